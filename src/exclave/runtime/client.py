"""The synchronous client: an object that looks like the component and calls it in its domain.

Trust: outside.
Purpose: make a call one method call, safe under threads, forks, signals and a hostile server.
Rules: 1. a thread waits for the lock and for the answer, and never past its deadline.
2. a process uses a socket that it opened itself: after a fork each one connects anew.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from time import monotonic_ns
from typing import Any, Final, TypeVar, cast

from exclave.abi.exceptions import Revoked
from exclave.abi.interface import Interface, Method
from exclave.abi.rights import WRITE_GRANT
from exclave.runtime.deadline import DEFAULT_TIMEOUT, current
from exclave.runtime.link import Link
from exclave.runtime.outcome import ProtocolFault, encode_arguments, late

_C = TypeVar("_C")
_CLIENT: Final = "_exclave_client"


class Client:
    """Calls the methods of one component over one endpoint.

    Args:
        sock: this process's end, or None to connect at the first call.
        interface: what the component serves.
        target: its name, for messages.
        rights: what the capability allows, a set of `abi.rights`.
        reconnect: opens a new connection, given the seconds that are left; None = cannot.
        timeout: seconds for a call when no deadline is in force.
    """

    __slots__ = ("_links", "_reconnect", "_timeout", "closed", "interface", "rights", "target")

    def __init__(
        self,
        sock: socket.socket | None,
        interface: Interface,
        *,
        target: str,
        rights: int = WRITE_GRANT,
        reconnect: Callable[[float], socket.socket] | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        self.interface = interface
        self.target = target
        self.rights = rights
        self.closed = False
        self._reconnect = reconnect
        self._timeout = int(timeout * 1e9)
        self._links: dict[int, Link] = {}
        if sock is not None:
            self._link().open(sock, interface, current.get() or monotonic_ns() + self._timeout)

    def call(self, method: Method, arguments: tuple[Any, ...]) -> Any:
        """Call one method and wait for its answer.

        Raises:
            Refused, Fault, DeadlineExceeded, Revoked: see `abi.exceptions`.
            ComponentError: one that the method declares.
            TypeError: an argument cannot travel; the caller's fault.
        """
        now = monotonic_ns()
        end = current.get() or now + self._timeout
        if end <= now:
            raise late(self.target, method.name)
        body = encode_arguments(self.target, method, self.rights, arguments)
        link = self._links.get(os.getpid()) or self._link()
        lock = link.lock
        if not lock.acquire(False):
            left = (end - monotonic_ns()) / 1e9
            if left <= 0 or not lock.acquire(timeout=left):
                raise late(self.target, method.name)
        try:
            if end <= monotonic_ns():
                raise late(self.target, method.name)
            return link.call(link.sock or self._connect(link, end), method, body, end)
        except (Revoked, ProtocolFault):
            link.drop()
            raise
        finally:
            lock.release()

    def close(self) -> None:
        """Give the connection up; a later call raises Revoked."""
        self.closed = True
        link = self._links.get(os.getpid())
        if link is not None:
            with link.lock:
                link.drop()

    def _link(self) -> Link:
        """Return this process's link, leaving those that it inherited by fork to who made them."""
        process = os.getpid()
        link = self._links.setdefault(process, Link(self.target))
        for other in list(self._links):
            if other != process:
                inherited = self._links.pop(other, None)
                if inherited is not None:
                    # Closes this process's copy of the descriptor: the other process keeps its own.
                    inherited.drop()
        return link

    def _connect(self, link: Link, end: int) -> socket.socket:
        """Open this process's own connection."""
        if self.closed:
            raise Revoked(f"the client for {self.target} was closed; connect again")
        if self._reconnect is None:
            raise Revoked(
                f"this process has no connection to {self.target} and no way to open one: the one it had was "
                "revoked or belongs to its parent; connect again with exclave.connect"
            )
        left = end - monotonic_ns()
        if left <= 0:
            raise late(self.target, "connect")
        sock = self._reconnect(left / 1e9)
        link.open(sock, self.interface, end)
        return sock


def bind(
    sock: socket.socket | None,
    component: type[_C],
    *,
    target: str,
    rights: int = WRITE_GRANT,
    reconnect: Callable[[float], socket.socket] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> _C:
    """Return an object with the component's protected methods, which run in the component's domain.

    Args:
        sock: this process's end of the endpoint; None to connect at the first call.
        component: the component class; it is not instantiated.
        target: name of the domain that serves it.
        rights: what the capability allows, a set of `abi.rights`.
        reconnect: opens a new connection, given the seconds that are left. It is used after a fork and
            after a revocation; what it raises is what the call raises.
        timeout: seconds for a call when no deadline is in force.

    Raises:
        Refused: the server serves another version of the interface.
        Revoked, Fault, DeadlineExceeded: it did not answer, or wrongly.
        TypeError: the component is not one; its author's fault.
    """
    interface = Interface.of(component)
    client = Client(sock, interface, target=target, rights=rights, reconnect=reconnect, timeout=timeout)
    members: dict[str, Any] = {
        method.name: staticmethod(_stub(client, method)) for method in interface.methods
    }
    members[_CLIENT] = client
    members["__slots__"] = ()
    members["__repr__"] = lambda _: f"<{component.__name__} at {target!r}>"
    members["__getattr__"] = _no_such(component.__name__, target, tuple(interface.by_name))
    return cast("_C", type(f"{component.__name__}Client", (), members)())


def close(proxy: object) -> None:
    """Close the connection of an object that `bind` returned.

    Raises:
        TypeError: it is none; the caller's fault.
    """
    client = getattr(type(proxy), _CLIENT, None)
    if not isinstance(client, Client):
        raise TypeError(f"{proxy!r} is not a client; pass what exclave.connect returned")
    client.close()


def _stub(client: Client, method: Method) -> Callable[..., Any]:
    call, arity, fill = client.call, method.arity, method.bind

    def stub(*arguments: Any, **keywords: Any) -> Any:
        if keywords or len(arguments) != arity or method.keyword_only:
            arguments = fill(arguments, keywords)
        return call(method, arguments)

    stub.__name__ = method.name
    stub.__qualname__ = f"{client.interface.name}.{method.name}"
    return stub


def _no_such(component: str, target: str, names: tuple[str, ...]) -> Callable[[object, str], object]:
    def missing(_: object, name: str) -> object:
        raise AttributeError(
            f"{component} at {target!r} has no protected method {name!r}; it has {', '.join(names)}",
            name=name,
        )

    return missing
