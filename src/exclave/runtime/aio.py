"""The asyncio client: the same calls, awaited.

Trust: outside.
Purpose: let many tasks call one component, with types for those who want them.
Rules: 1. each event loop of each process has its own connection. 2. no call passes its deadline.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from time import monotonic_ns
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from exclave.abi.exceptions import ExclaveError, Revoked
from exclave.abi.interface import Interface, Method
from exclave.abi.rights import WRITE_GRANT
from exclave.runtime.aiolink import Link
from exclave.runtime.deadline import DEFAULT_TIMEOUT, current
from exclave.runtime.outcome import encode_arguments, late, revoked

_C = TypeVar("_C")
_P = ParamSpec("_P")
_R = TypeVar("_R")
Connect = Callable[[], Awaitable[socket.socket]]


class _Place:
    """The connection of one event loop, and the lock under which it is made."""

    __slots__ = ("link", "lock")

    def __init__(self) -> None:
        self.link: Link | None = None
        self.lock = asyncio.Lock()


class AsyncProxy(Generic[_C]):
    """The protected methods of a component, as coroutines; made by `bind`.

    `await proxy.method(...)` calls by name; `await proxy.call(Component.method, ...)` is the same call,
    and type checkers know its types.
    """

    __slots__ = (
        "_component",
        "_interface",
        "_places",
        "_process",
        "_reconnect",
        "_rights",
        "_shut",
        "_target",
        "_timeout",
    )

    def __init__(
        self, component: type[_C], target: str, rights: int, reconnect: Connect | None, timeout: float
    ) -> None:
        self._component = component
        self._interface = Interface.of(component)
        self._target = target
        self._rights = rights
        self._reconnect = reconnect
        self._timeout = int(timeout * 1e9)
        self._shut = False
        self._process = os.getpid()
        self._places: dict[asyncio.AbstractEventLoop, _Place] = {}

    async def call(
        self, method: Callable[Concatenate[_C, _P], _R], /, *arguments: _P.args, **keywords: _P.kwargs
    ) -> _R:
        """Call a method of the component class, such as `Signer.sign`, in the component's domain.

        Raises:
            Refused, Fault, DeadlineExceeded, Revoked: see `abi.exceptions`.
            ComponentError: one that the method declares.
            TypeError: not a protected method, or the arguments do not fit; the caller's fault.
        """
        found = self._interface.by_name.get(getattr(method, "__name__", ""))
        if found is None:
            raise TypeError(f"{method!r} is not a protected method of {self._component.__name__}")
        result: _R = await self._call(found, arguments, keywords)
        return result

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        """Return the coroutine function of a protected method."""
        method = self._interface.by_name.get(name)
        if method is None:
            names = ", ".join(self._interface.by_name)
            raise AttributeError(
                f"{self._component.__name__} at {self._target!r} has no protected method {name!r}; "
                f"it has {names}",
                name=name,
            )
        found = method

        def stub(*arguments: Any, **keywords: Any) -> Awaitable[Any]:
            return self._call(found, arguments, keywords)

        return stub

    def __repr__(self) -> str:
        """Name the component and who serves it."""
        return f"<async {self._component.__name__} at {self._target!r}>"

    def close(self) -> None:
        """Close the connections of this process; a later call raises Revoked."""
        self._shut = True
        self._sweep()
        running = asyncio._get_running_loop()
        for loop, place in self._places.items():
            link = place.link
            if link is not None:
                if loop is running or not loop.is_running():
                    link.shut(self._closed)
                else:
                    loop.call_soon_threadsafe(link.shut, self._closed)
        self._places.clear()

    async def _call(self, method: Method, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        end = current.get() or monotonic_ns() + self._timeout
        if keywords or len(arguments) != method.arity or method.keyword_only:
            arguments = method.bind(arguments, keywords)
        body = encode_arguments(self._target, method, self._rights, arguments)
        left = end - monotonic_ns()
        if left <= 0:
            raise late(self._target, method.name)
        timer = asyncio.timeout(left / 1e9)
        try:
            async with timer:
                link = self._link() or await self._connect(None)
                return await link.call(method, body, end)
        except TimeoutError as error:
            if isinstance(error, ExclaveError) or not timer.expired():
                raise
            raise late(self._target, method.name) from None

    def _link(self) -> Link | None:
        place = self._places.get(asyncio.get_running_loop())
        link = place.link if place is not None else None
        if link is None or link.closed or link.process != os.getpid():
            return None
        return link

    async def _connect(self, sock: socket.socket | None) -> Link:
        """Return this loop's connection, making it from `sock` or anew."""
        self._sweep()
        place = self._places.setdefault(asyncio.get_running_loop(), _Place())
        async with place.lock:
            if place.link is not None and not place.link.closed:
                return place.link
            if sock is None:
                if self._shut:
                    raise self._closed()
                if self._reconnect is None:
                    raise Revoked(
                        f"this event loop has no connection to {self._target} and no way to open one: "
                        "the one it had was revoked or belongs to another loop; "
                        "connect again with exclave.aio.connect"
                    )
                sock = await self._reconnect()
            link = Link(sock, self._target)
            try:
                await link.greet(self._interface)
            except BaseException:
                link.shut(lambda: revoked(self._target))
                raise
            place.link = link
            return link

    def _sweep(self) -> None:
        """Close what belongs to closed loops, and this process's copies of what belongs to its parent."""
        inherited = self._process != os.getpid()
        self._process = os.getpid()
        for loop, place in list(self._places.items()):
            if inherited or loop.is_closed():
                del self._places[loop]
                if place.link is not None:
                    place.link.abandon()

    def _closed(self) -> Revoked:
        return Revoked(f"the client for {self._target} was closed; connect again")


async def bind(
    sock: socket.socket | None,
    component: type[_C],
    *,
    target: str,
    rights: int = WRITE_GRANT,
    reconnect: Connect | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> AsyncProxy[_C]:
    """Return the asyncio client for a component.

    Args:
        sock: this process's end of the endpoint; None to connect at the first call.
        component: the component class; it is not instantiated.
        target: name of the domain that serves it.
        rights: what the capability allows, a set of `abi.rights`.
        reconnect: opens a new connection; used in another event loop, after a fork and after a revocation.
        timeout: seconds for a call when no deadline is in force.

    Raises:
        Refused: the server serves another version of the interface.
        Revoked, Fault, DeadlineExceeded: it did not answer, or wrongly.
        TypeError: the component is not one; its author's fault.
    """
    proxy = AsyncProxy(component, target, rights, reconnect, timeout)
    if sock is not None:
        end = current.get() or monotonic_ns() + int(timeout * 1e9)
        try:
            async with asyncio.timeout(max(end - monotonic_ns(), 0) / 1e9):
                await proxy._connect(sock)
        except TimeoutError as error:
            if isinstance(error, ExclaveError):
                raise
            raise late(target, "connect") from None
    return proxy
