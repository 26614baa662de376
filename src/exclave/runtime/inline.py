"""Trust: outside.

An inline system: every component in the process that calls it, for development and debugging. Nothing is
isolated from anything, and the process says so once.

Rules:
 1. Arguments and results cross by the same codecs as between domains, so that what works inline works apart.
 2. A component is called directly, on the caller's thread: a debugger steps into it.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import importlib
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar, cast

import msgspec

from exclave.abi.exceptions import Fault, Refused
from exclave.abi.interface import ENCODER, Caller, Interface, Method, can_cross
from exclave.abi.wire import Code
from exclave.linux import calls
from exclave.runtime import place
from exclave.runtime.component import Component, prepare
from exclave.runtime.outcome import encode_arguments
from exclave.runtime.secret import Secret, Secrets

C = TypeVar("C", bound=Component)
P = ParamSpec("P")
R = TypeVar("R")
WARNING: Final = "exclave: INLINE: nothing is isolated: this process holds every secret itself"

MONOLITH: Final = "monolith"

_lock = threading.RLock()
_inside: contextvars.ContextVar[str] = contextvars.ContextVar("exclave_inside", default=MONOLITH)
_components: dict[str, Component] = {}


class InlineExclave(msgspec.Struct, frozen=True):
    """One component of an inline system; `use` is the target's name -> rights."""

    component: str
    secrets: dict[str, str] = {}
    use: dict[str, int] = {}


class InlineSystem(msgspec.Struct, frozen=True):
    """What `exclave run --inline` tells the process: names and files, never a secret's content."""

    exclaves: dict[str, InlineExclave]
    monolith: dict[str, int]
    path: str


@functools.cache
def _system() -> InlineSystem | None:
    text = os.environ.get(place.INLINE_VARIABLE)
    if not text:
        return None
    print(WARNING, file=sys.stderr, flush=True)
    return msgspec.json.decode(text, type=InlineSystem)


def active() -> bool:
    """Whether this process is an inline system."""
    return _system() is not None


def component(name: str, cls: type[C]) -> C:
    """A client of a component in this process, in the name of whoever's code is running.

    Raises:
        Refused: the description does not let the caller use it, or the class is not the component's.
    """
    system = _system()
    assert system is not None
    holder = _inside.get()
    allowed = system.monolith if holder == MONOLITH else system.exclaves[holder].use
    if name not in allowed:
        have = ", ".join(allowed) or "none"
        raise Refused(
            "FailedLookup", f'{holder} may not use "{name}" (it may use: {have}); see `use` of its table'
        )
    caller = Caller(holder, 1 + [*system.exclaves, MONOLITH].index(holder), allowed[name])
    made = _component(system, name)
    if Interface.of(cls).digest != Interface.of(type(made)).digest:
        text = f"{name} runs another version of {cls.__name__}"
        raise Refused(Code.INTERFACE_MISMATCH, text)
    return cast("C", _Client(name, made, Interface.of(cls), caller))


def _component(system: InlineSystem, name: str) -> Component:
    """The component itself, made once."""
    with _lock:
        if name in _components:
            return _components[name]
        entry = system.exclaves[name]
        if system.path not in sys.path:
            sys.path.append(system.path)
        module, _, attribute = entry.component.partition(":")
        made: Component = getattr(importlib.import_module(module), attribute)()
        secrets = {secret: _read(secret, path) for secret, path in entry.secrets.items()}
        prepare(made, name=name, secrets=Secrets(secrets), uses=entry.use)
        _components[name] = made
        before = _inside.set(name)
        try:
            made.init()
        finally:
            _inside.reset(before)
        return made


def _read(name: str, path: str) -> Secret:
    memory = calls.secret_memory(Path(path).stat().st_size).view
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.readv(descriptor, [memory])
    finally:
        os.close(descriptor)
    return Secret(name, memory[:size])


class _Client:
    """Calls a component through its interface's codecs."""

    def __init__(self, name: str, target: Component, interface: Interface, caller: Caller) -> None:
        self._name = name
        self._target = target
        self._caller = caller
        for method in interface.methods:
            setattr(self, method.name, functools.partial(self._call, method))

    def _call(self, method: Method, *positional: Any, **keywords: Any) -> Any:
        where = f"{self._name}.{method.name}"
        values = method.bind(positional, keywords)
        body = encode_arguments(self._name, method, self._caller.rights, values)
        try:
            arguments = method.arguments.decode(body)
        except (msgspec.DecodeError, TypeError, ValueError, RecursionError) as error:
            raise Refused(Code.BAD_ARGUMENTS, f"{where}: {error}") from None
        split = len(arguments) - len(method.keyword_only)
        before = (self._caller,) if method.wants_caller else ()
        named = dict(zip(method.keyword_only, arguments[split:], strict=True))
        with _lock:
            before_call = _inside.set(self._name)
            try:
                result = getattr(self._target, method.name)(*before, *arguments[:split], **named)
            except Exception as error:
                raise _crossing(method, where, error) from error
            finally:
                _inside.reset(before_call)
        try:
            return method.result.decode(ENCODER.encode(result))
        except Exception as error:
            raise Fault("result", f"{where}: {error}") from None


def _crossing(method: Method, where: str, error: Exception) -> Exception:
    """What the caller sees of an exception: one that the method declares, made anew, else a fault."""
    for declared in method.raises:
        if isinstance(error, declared) and can_cross(error.crossing):
            return declared(*error.crossing)
    return Fault(type(error).__name__, f"{where} failed")


class AsyncInline(Generic[C]):
    """A client of a component in this process, for asyncio: each call runs on a thread of its own."""

    def __init__(self, client: C) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        return functools.partial(asyncio.to_thread, getattr(self._client, name))

    async def call(self, method: Callable[Concatenate[C, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a protected method, typed by the method itself."""
        return await asyncio.to_thread(getattr(self._client, method.__name__), *args, **kwargs)

    def close(self) -> None:
        """Do nothing: there is no connection."""
