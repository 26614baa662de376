"""Trust: outside.

A component for tests of the calls: each method does one thing that a server must survive.
"""

from __future__ import annotations

import sys
from threading import Event
from typing import Any

import msgspec

from exclave.abi.exceptions import ComponentError
from exclave.abi.interface import Caller, protected
from exclave.runtime.component import Component
from support.serving import PATIENCE


class Public(msgspec.Struct):
    """What a caller may see."""

    name: str


class Private(Public):
    """What a caller may not see."""

    secret: str = "s3cret"


class LimitExceeded(ComponentError):
    """A declared exception whose message is not its argument."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the limit is {limit}")
        self.limit = limit


class Declared(ComponentError):
    """A declared exception that keeps what it is given."""


class Undeclared(ComponentError):
    """A component error that no method declares."""


class Probe(Component):
    """Does what it is told."""

    def __init__(self) -> None:
        self.entered = Event()
        self.release = Event()
        self.log: list[bytes] = []

    @protected
    def echo(self, data: bytes) -> bytes:
        """Give it back."""
        self.log.append(data[:16])
        return data

    @protected
    def who(self, caller: Caller, times: int = 1, *, loud: bool = False) -> str:
        """Say who calls."""
        name = f"{caller.name}/{caller.badge}/{caller.rights}"
        return (name.upper() if loud else name) * times

    @protected
    def hold(self) -> None:
        """Say that it runs, and wait to be released."""
        self.entered.set()
        assert self.release.wait(PATIENCE)
        self.release.clear()

    @protected(raises=[LimitExceeded, Declared])
    def fail(self, how: str) -> None:
        """Raise something."""
        raise {
            "limit": LimitExceeded(7),
            "declared": Declared("x", b"y", 1, None, 2.5, True),
            "crossing": Declared([1]),  # type: ignore[arg-type]  # what a careless component does
            "undeclared": Undeclared("secret text"),
            "value": ValueError("secret text"),
            "exit": SystemExit(3),
            "interrupt": KeyboardInterrupt(),
            "generator": GeneratorExit(),
            "memory": MemoryError(),
        }[how]

    @protected
    def recurse(self) -> int:
        """Never end."""
        return self.recurse() + 1

    @protected
    def exhaust(self) -> None:
        """Ask for more memory than there is."""
        self.log.append(bytes(sys.maxsize // 2))

    @protected
    def wrong(self, how: str) -> bytes:
        """Return something else than bytes."""
        results: dict[str, Any] = {
            "str": "text",
            "none": None,
            "object": object(),
            "int": 2**70,
            "list": [b"x"],
        }
        result: bytes = results[how]
        return result

    @protected
    def number(self, how: str) -> int:
        """Return a number, or something like one."""
        results: dict[str, Any] = {"large": 2**70, "bool": True, "float": 1.5, "good": 5}
        result: int = results[how]
        return result

    @protected
    def show(self) -> Public:
        """Return something that carries more than its type shows."""
        return Private(name="n")

    @protected
    def spoil(self) -> Public:
        """Return something whose field is of another type."""
        return Public(name=b"bytes")  # type: ignore[arg-type]  # what a careless component does

    @protected
    def count(self, items: list[Public]) -> int:
        """Count."""
        return len(items)

    @protected
    def large(self, size: int) -> bytes:
        """Return that many bytes."""
        return bytes(size)
