"""Trust: outside.

`connect`: from a name in the description to an object with the component's methods.

Rules:
 1. The client needs the component's class for its types only; the component itself is not here.
"""

from __future__ import annotations

import socket
from typing import TypeVar

from exclave.runtime import aio, client, inline, place
from exclave.runtime.component import Component

C = TypeVar("C", bound=Component)
DEFAULT_TIMEOUT = 30.0

_proxies: dict[tuple[str, type[Component]], Component] = {}


def connect(name: str, component: type[C], *, timeout: float = DEFAULT_TIMEOUT) -> C:
    """Connect this domain to an exclave that the description lets it use.

    Args:
        name: the exclave's name in the description.
        component: its class; only the signatures of its protected methods are used.
        timeout: seconds one call may take, unless a `deadline` block says less.

    Returns:
        A client with the component's protected methods. Threads may share it, and it lives through fork:
        each process gets a connection of its own, with the same badge.

    Raises:
        Refused: the description does not let this domain use it, the class is another version than the
            exclave runs, or this process does not run under exclave.
        Fault: the exclave has stopped.
    """
    if inline.active():
        return inline.component(name, component)
    here = place.handed()
    if here is None:
        sock, granted, _ = place.ask("endpoint", name)
        return client.bind(
            sock,
            component,
            target=name,
            rights=granted.rights,
            reconnect=lambda _seconds: place.ask("endpoint", name)[0],
            timeout=timeout,
        )
    if name not in here.endpoints:
        raise place.refuse_unknown("exclave", name, sorted(here.endpoints))
    known = _proxies.get((name, component))
    if known is not None:
        return known  # type: ignore[return-value]  # the key holds the class
    _, rights = here.endpoints[name]
    proxy = client.bind(
        here.take_endpoint(name),
        component,
        target=name,
        rights=rights,
        reconnect=lambda _seconds: here.take_endpoint(name),
        timeout=timeout,
    )
    _proxies[name, component] = proxy
    return proxy


async def connect_async(
    name: str, component: type[C], *, timeout: float = DEFAULT_TIMEOUT
) -> aio.AsyncProxy[C] | inline.AsyncInline[C]:
    """Connect as `connect` does, for asyncio: methods are awaited, and may be cancelled.

    Raises:
        Refused, Fault: as `connect`.
    """
    if inline.active():
        return inline.AsyncInline(inline.component(name, component))
    if place.handed() is not None:
        raise place.refuse_unknown("asyncio endpoint", name, [])

    async def reconnect() -> socket.socket:
        return place.ask("endpoint", name)[0]

    sock, granted, _ = place.ask("endpoint", name)
    return await aio.bind(
        sock, component, target=name, rights=granted.rights, reconnect=reconnect, timeout=timeout
    )
