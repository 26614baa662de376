"""Trust: reviewed.

What domains share besides endpoints: regions of memory and notifications, as descriptors the nucleus keeps.

Rules:
 1. A reader gets a descriptor that was opened for reading: neither mmap nor mprotect makes it writable.
 2. Once the owner of a SHARED_RO region has mapped it, the memory is sealed against new writers
    (F_SEAL_FUTURE_WRITE, memfd_create(2)).
 3. A region's size never changes (F_SEAL_SHRINK, F_SEAL_GROW), so that no reader gets SIGBUS.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from typing import Final

from exclave.system.description import Description, Notification, Region

F_ADD_SEALS: Final = 1033
F_SEAL_SEAL: Final = 0x1
F_SEAL_SHRINK: Final = 0x2
F_SEAL_GROW: Final = 0x4
F_SEAL_FUTURE_WRITE: Final = 0x10
QUEUE_BYTES: Final = 4096


class SharedRegion:
    """The memory of one region of the description."""

    def __init__(self, region: Region) -> None:
        self.region = region
        self._memory = os.memfd_create(f"region-{region.name}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self._memory, region.size)
        # Without this a reader could open its descriptor anew for writing: a memfd is made with mode 777.
        os.fchmod(self._memory, 0o400)
        fcntl.fcntl(self._memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)
        self._reading = os.open(f"/proc/self/fd/{self._memory}", os.O_RDONLY | os.O_CLOEXEC)

    def descriptor(self, writable: bool) -> int:
        """The descriptor to hand to a domain that may, or may not, write."""
        return self._memory if writable else self._reading

    def seal(self) -> None:
        """Let nobody become a writer any more."""
        fcntl.fcntl(self._memory, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

    def close(self) -> None:
        """Close the nucleus's descriptors; mappings stay."""
        os.close(self._memory)
        os.close(self._reading)


class SharedNotification:
    """The sockets of one notification: a pair for each signaller."""

    def __init__(self, notification: Notification) -> None:
        self.notification = notification
        self._pairs: dict[str, tuple[socket.socket, socket.socket]] = {}
        for signaller in notification.signal:
            signal, wait = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            # A full queue means only that the signal is pending, so it may be short.
            signal.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, QUEUE_BYTES)
            self._pairs[signaller] = signal, wait

    def ends(self, holder: str) -> tuple[list[int], tuple[int, ...]]:
        """What the holder gets: descriptors, and with which badges."""
        if holder == self.notification.wait:
            badges = tuple(1 << bit for bit in range(len(self.notification.signal)))
            return [self._pairs[signaller][1].fileno() for signaller in self.notification.signal], badges
        badge = 1 << self.notification.signal.index(holder)
        return [self._pairs[holder][0].fileno()], (badge,)

    def end(self, holder: str) -> None:
        """Revoke what the holder was given: its peers see that it is gone for good."""
        for signaller, (signal, _) in self._pairs.items():
            if holder in (signaller, self.notification.wait):
                # A second end finds the socket shut down already.
                with contextlib.suppress(OSError):
                    signal.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the nucleus's descriptors."""
        for pair in self._pairs.values():
            for end in pair:
                end.close()


class Shared:
    """All regions and notifications of a description."""

    def __init__(self, description: Description) -> None:
        self.regions = {name: SharedRegion(region) for name, region in description.regions.items()}
        self.notifications = {
            name: SharedNotification(notification) for name, notification in description.notifications.items()
        }

    def end(self, holder: str) -> None:
        """Revoke the notifications of a domain that has ended. Memory stays: others have mapped it."""
        for notification in self.notifications.values():
            notification.end(holder)

    def close(self) -> None:
        """Close the nucleus's descriptors of all of them."""
        for region in self.regions.values():
            region.close()
        for notification in self.notifications.values():
            notification.close()
