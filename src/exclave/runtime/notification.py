"""Trust: outside.

Notifications: asynchronous signals that coalesce. Each signaller has its own badge bit, fixed by the
nucleus; waiting returns the bits of all who signalled since the last wait, and clears them (seL4 Reference
Manual, chapter Notifications).

Rules:
 1. signal() never blocks and never fails because the waiter is slow: a full queue means that the signal is
    already pending.
"""

from __future__ import annotations

import math
import select
import socket
import time
from typing import Final

from exclave.abi.exceptions import Refused, Revoked
from exclave.runtime import place

DRAIN: Final = 4096
ILLEGAL_OPERATION: Final = "IllegalOperation"


class Notification:
    """One notification, as this domain holds it: to signal, or to wait."""

    __slots__ = ("_signal", "_waits", "name")

    def __init__(
        self, name: str, signal: socket.socket | None, waits: list[tuple[socket.socket, int]]
    ) -> None:
        self.name = name
        self._signal = signal
        self._waits = waits
        for sock, _ in waits:
            sock.setblocking(False)

    def signal(self) -> None:
        """Set this domain's badge bit in the notification word.

        Raises:
            Refused: this domain holds it without the right to signal.
            Revoked: the capability was revoked, or the waiter is gone.
        """
        if self._signal is None:
            raise Refused(
                ILLEGAL_OPERATION, f'this domain may wait for the notification "{self.name}", not signal it'
            )
        try:
            self._signal.send(b"\1", socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return
        except OSError:
            raise Revoked(f'the notification "{self.name}" was revoked') from None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for signals and clear them.

        Args:
            timeout: seconds; None waits without end, 0 polls.

        Returns:
            The badge bits of all who signalled; 0 when the time ran out.

        Raises:
            Refused: this domain holds it without the right to wait.
            Revoked: every signaller is gone for good.
        """
        if self._signal is not None:
            raise Refused(
                ILLEGAL_OPERATION, f'this domain may signal the notification "{self.name}", not wait for it'
            )
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            # Another object for the same notification may have found a signaller gone.
            badges = {sock.fileno(): (sock, badge) for sock, badge in self._waits if sock.fileno() >= 0}
            if not badges:
                raise Revoked(f'every signaller of the notification "{self.name}" is gone')
            poll = select.poll()
            for descriptor in badges:
                poll.register(descriptor, select.POLLIN)
            left = None if end is None else max(0, math.ceil((end - time.monotonic()) * 1000))
            ready = poll.poll(left)
            word = 0
            for descriptor, _ in ready:
                sock, badge = badges[descriptor]
                if self._drain(sock):
                    word |= badge
            if word or not ready:
                return word

    def _drain(self, sock: socket.socket) -> bool:
        """Empty one signaller's queue; True when it had signalled. A signaller that is gone is forgotten."""
        signalled = False
        for _ in range(DRAIN):
            try:
                data = sock.recv(16)
            except BlockingIOError:
                return signalled
            except OSError:
                data = b""
            if not data:
                self._waits = [entry for entry in self._waits if entry[0] is not sock]
                sock.close()
                return signalled
            signalled = True
        return signalled


def notification(name: str) -> Notification:
    """The notification `name`, as the description gives it to this domain.

    Raises:
        Refused: the description gives it to others only.
    """
    here = place.handed()
    if here is not None:
        if name in here.signals:
            return Notification(name, here.signals[name], [])
        if name in here.waits:
            return Notification(name, None, here.waits[name])
        raise place.refuse_unknown("notification", name, sorted({*here.signals, *here.waits}))
    sock, granted, received = place.ask("notification", name, 64)
    sock.close()
    sockets = [socket.socket(fileno=descriptor) for descriptor in received]
    if granted.wait:
        return Notification(name, None, list(zip(sockets, granted.badges, strict=True)))
    return Notification(name, sockets[0], [])
