"""Trust: reviewed.

The monolith's listener: its processes ask for the capabilities that the description gives the monolith.

Rules:
 1. Whoever connects is the monolith: the listener is in its view only. Nothing it says changes who it is.
 2. A process that connects and asks nothing costs one descriptor for ASK_SECONDS; PENDING bounds how many.
 3. Asking too fast is slowed down, so that a flood costs the monolith, not its neighbours or the log.
 4. Descriptors that come with a question are not received.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Final

from exclave.abi import control
from exclave.nucleus.shell.loop import Loop

PENDING: Final = 64
ASK_SECONDS: Final = 5.0
RATE: Final = 200.0
BURST: Final = 400.0

Answer = Callable[[socket.socket, control.Ask], bool]


class Asks:
    """Accepts and answers questions.

    Args:
        loop: the nucleus's.
        listener: the listening socket; owned.
        answer: answers a question on its socket; True when it took the socket over.
    """

    def __init__(self, loop: Loop, listener: socket.socket, answer: Answer) -> None:
        self._loop = loop
        self._listener = listener
        self._answer = answer
        self._pending: dict[int, socket.socket] = {}
        self._tokens = BURST
        self._refilled = time.monotonic()
        listener.setblocking(False)
        loop.watch(listener.fileno(), self._accept)

    def close(self) -> None:
        """Stop listening and drop everybody who has not been answered."""
        self._loop.forget(self._listener.fileno())
        self._listener.close()
        for sock in list(self._pending.values()):
            self._drop(sock)

    def _accept(self) -> None:
        if len(self._pending) >= PENDING or not self._take_token():
            self._pause()
            return
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        sock.setblocking(False)
        self._pending[sock.fileno()] = sock
        self._loop.watch(sock.fileno(), lambda: self._read(sock))
        self._loop.later(ASK_SECONDS, lambda: self._drop(sock))

    def _pause(self) -> None:
        """Leave the rest in the listener's queue for a moment."""
        self._loop.forget(self._listener.fileno())

        def resume() -> None:
            if self._listener.fileno() >= 0:
                self._loop.watch(self._listener.fileno(), self._accept)

        self._loop.later(2 / RATE, resume)

    def _take_token(self) -> bool:
        now = time.monotonic()
        self._tokens = min(BURST, self._tokens + (now - self._refilled) * RATE)
        self._refilled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _drop(self, sock: socket.socket) -> None:
        if sock.fileno() >= 0 and self._pending.get(sock.fileno()) is sock:
            self._forget(sock)
            sock.close()

    def _forget(self, sock: socket.socket) -> None:
        del self._pending[sock.fileno()]
        self._loop.forget(sock.fileno())

    def _read(self, sock: socket.socket) -> None:
        try:
            message, _ = control.receive(sock)
        except BlockingIOError:
            return
        except (EOFError, OSError):
            self._drop(sock)
            return
        if not isinstance(message, control.Ask):
            self._drop(sock)
            return
        self._forget(sock)
        taken = False
        try:
            taken = self._answer(sock, message)
        except OSError:
            # The asker is gone, or does not read its answer.
            taken = False
        finally:
            if not taken:
                sock.close()
