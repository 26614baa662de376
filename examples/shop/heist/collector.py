"""Trust: hostile.

Where the thief's loot arrives: one TCP and one UDP port of the loopback interface, the same number.
"""

from __future__ import annotations

import selectors
import socket
from threading import Lock, Thread
from types import TracebackType
from typing import Final

LOOT_LIMIT: Final = 1 << 20


class Collector:
    """Takes what arrives, and counts."""

    def __init__(self) -> None:
        self._listener, self._datagrams = bound_pair()
        self.port = int(self._listener.getsockname()[1])
        self._lock = Lock()
        self._loot = bytearray()
        self._stop, self._stopped = socket.socketpair()
        self._thread = Thread(target=self._collect, name="collector")

    def __enter__(self) -> Collector:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.close()
        self._thread.join()
        for sock in (self._listener, self._datagrams, self._stopped):
            sock.close()

    def empty(self) -> bytes:
        """Everything that arrived since the last time."""
        with self._lock:
            loot = bytes(self._loot)
            self._loot.clear()
        return loot

    def _collect(self) -> None:
        with selectors.DefaultSelector() as selector:
            for sock in (self._listener, self._datagrams, self._stopped):
                selector.register(sock, selectors.EVENT_READ, sock)
            connections: set[socket.socket] = set()
            while True:
                for key, _ in selector.select():
                    sock = key.data
                    if sock is self._stopped:
                        for connection in connections:
                            connection.close()
                        return
                    if sock is self._listener:
                        connection, _ = self._listener.accept()
                        connections.add(connection)
                        selector.register(connection, selectors.EVENT_READ, connection)
                    elif not self._take(sock) and sock in connections:
                        connections.discard(sock)
                        selector.unregister(sock)
                        sock.close()

    def _take(self, sock: socket.socket) -> bytes:
        try:
            data = sock.recv(65536)
        except OSError:
            return b""
        with self._lock:
            self._loot += data[: LOOT_LIMIT - len(self._loot)]
        return data


def bound_pair() -> tuple[socket.socket, socket.socket]:
    """A listening TCP socket and a UDP socket on one free port."""
    while True:
        listener = socket.create_server(("127.0.0.1", 0))
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            datagrams.bind(listener.getsockname())
        except OSError:
            listener.close()
            datagrams.close()
            continue
        return listener, datagrams
