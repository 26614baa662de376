"""Trust: reviewed.

Connections: the sockets that capabilities on endpoints are made of. One capability, one socket pair.

Rules:
 1. The nucleus keeps a duplicate of every connection's server end: shutting it down revokes the capability,
    wherever copies of its descriptor are (shutdown(2) acts on the socket).
 2. A connection lives exactly as long as its capability is live in the core.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from exclave.nucleus.shell.dispatch import Dispatcher


@dataclass(slots=True)
class Connection:
    """One open connection.

    Attributes:
        number: how the exclave and the nucleus name it.
        holder: domain id of the caller.
        slot: the capability behind it, in the holder's row.
        target: domain id of the callee.
        server: the nucleus's duplicate of the server end.
        copied: whether the slot was filled for this connection and is emptied with it.
    """

    number: int
    holder: int
    slot: int
    target: int
    server: socket.socket
    copied: bool


class Connections:
    """All open connections."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._numbers = itertools.count(1)
        self._open: dict[int, Connection] = {}

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._open.values()))

    def add(self, holder: int, slot: int, target: int, server: socket.socket, copied: bool) -> Connection:
        """Keep a duplicate of the server end under a number of its own."""
        connection = Connection(next(self._numbers), holder, slot, target, server, copied)
        self._open[connection.number] = connection
        return connection

    def used_slots(self, holder: int) -> set[int]:
        """The slots that the holder's connections occupy."""
        return {entry.slot for entry in self._open.values() if entry.holder == holder}

    def get(self, number: int) -> Connection | None:
        """The connection of that number, while it is open."""
        return self._open.get(number)

    def close(self, connection: Connection) -> None:
        """Shut a connection down for both ends and empty the slot that was filled for it."""
        if self._open.pop(connection.number, None) is None:
            return
        # The peers may have shut it down already.
        with contextlib.suppress(OSError):
            connection.server.shutdown(socket.SHUT_RDWR)
        connection.server.close()
        if connection.copied:
            self._dispatcher.submit(connection.holder, "delete", connection.slot)

    def sweep(self) -> list[Connection]:
        """Close every connection whose capability is no longer live, and return them."""
        dead = [entry for entry in self if not self._dispatcher.is_live(entry.holder, entry.slot)]
        for connection in dead:
            self.close(connection)
        return dead
