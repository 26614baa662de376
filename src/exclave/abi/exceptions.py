"""What a call can raise, as the caller sees it.

Trust: reviewed.
Purpose: one exception per way in which a call can fail, each saying who failed, in what, and the fix.
Rules: 1. nothing here is unpickled or built from a name that came over the wire.
2. text that a peer chose is printable and short before it is kept.
"""

from __future__ import annotations

from typing import Final, TypeAlias

CrossingValue: TypeAlias = bool | int | float | str | bytes | None
"""What an argument of a declared exception may be: it is all that crosses with the exception."""

TEXT_LIMIT: Final = 1024


def printable(text: str) -> str:
    """Return text that a peer chose, cut to TEXT_LIMIT characters and without control characters."""
    cut = text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "replace").decode("ascii") for c in cut
    )


class ExclaveError(Exception):
    """The base of everything that a call raises, except the exceptions that a component declares."""


class Refused(ExclaveError):
    """The callee, or the nucleus, turned the request down; nothing was done.

    Args:
        code: which rule refused, one of `wire.Code` or a refusal's name.
        text: who refused what, and the fix.
    """

    def __init__(self, code: str, text: str) -> None:
        self.code = printable(code)
        self.text = printable(text)
        super().__init__(f"{self.code}: {self.text}")

    def __reduce__(self) -> tuple[type[Refused], tuple[str, str]]:
        """Copy by code and text: the default would rebuild it from the joined message."""
        return type(self), (self.code, self.text)


class Revoked(ExclaveError, ConnectionError):
    """The capability is gone: revoked by the nucleus, or the callee ended. The call may have run or not."""


class DeadlineExceeded(ExclaveError, TimeoutError):
    """The deadline passed before the reply came. The call may have run or not."""


class Fault(ExclaveError):
    """The callee misbehaved: it raised what it did not declare, or broke the protocol.

    Args:
        kind: the class of what was raised, or "protocol", "budget", "memory", "result".
        text: what is known about it; details go to the fault handler, not to the caller.
    """

    def __init__(self, kind: str, text: str) -> None:
        self.kind = printable(kind)
        self.text = printable(text)
        super().__init__(f"{self.kind}: {self.text}")

    def __reduce__(self) -> tuple[type[Fault], tuple[str, str]]:
        """Copy by kind and text: the default would rebuild it from the joined message."""
        return type(self), (self.kind, self.text)


class ComponentError(Exception):
    """The base of the exceptions that a component declares with `raises=[...]` and that reach its caller.

    The positional arguments of the constructor cross, and the caller's side builds the exception from
    them anew; each must be a CrossingValue.
    """

    crossing: tuple[CrossingValue, ...]

    def __new__(cls, *args: CrossingValue, **keywords: object) -> ComponentError:
        """Keep the constructor's arguments: a subclass may hand others on to Exception.

        Raises:
            TypeError: a keyword argument; the component's fault, because only positional ones cross.
        """
        if keywords:
            names = ", ".join(sorted(keywords))
            raise TypeError(
                f"{cls.__name__}({names}=...): only positional arguments cross; pass them by position"
            )
        made = super().__new__(cls, *args)
        made.crossing = args
        return made
