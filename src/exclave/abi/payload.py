"""Bodies that are too large for a datagram, and datagrams that bring descriptors.

Trust: reviewed.
Purpose: put a body into a sealed memfd, take one out of it, and receive without leaking a descriptor.
Rules: 1. a received descriptor is asked for its seals before anything else: only the kernel's own memory
files answer, so no file system that the sender controls is ever waited for.
2. the content is copied out with pread: nothing of a sender's memory stays mapped.
3. who receives descriptors closes each of them on every path.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from array import array
from collections.abc import Sequence
from typing import Final, TypeAlias

from exclave.abi.wire import FRAME_LIMIT

SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE

# Linux 6.3, memfd_create(2); Python 3.11 has no name for it. Older kernels answer EINVAL.
_MFD_NOEXEC_SEAL: Final = 0x0008
_BASE_FLAGS: Final = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING

# Room for two: a message brings at most one, and a second one shows that its sender broke the rule. The
# kernel itself drops what does not fit, and says so with MSG_CTRUNC.
_INT_SIZE: Final = array("i").itemsize
ANCILLARY_SIZE: Final = socket.CMSG_SPACE(2 * _INT_SIZE)

# Plain integers: these are used for each datagram, and arithmetic on the enums costs more than the call.
TRUNCATED: Final = int(socket.MSG_TRUNC | socket.MSG_CTRUNC)
_CLOEXEC: Final = int(socket.MSG_CMSG_CLOEXEC)


Ancillary: TypeAlias = tuple[int, int, bytes]


class Received(list[int]):
    """Descriptors that came with a datagram and belong to the receiver; `close` closes those still here."""

    __slots__ = ()

    def close(self) -> None:
        """Close every descriptor, once."""
        while self:
            os.close(self.pop())


def _create() -> int:
    try:
        return os.memfd_create("exclave", _BASE_FLAGS | _MFD_NOEXEC_SEAL)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    return os.memfd_create("exclave", _BASE_FLAGS)


def seal(body: bytes | bytearray | memoryview) -> int:
    """Copy a body into a new sealed memfd.

    Returns:
        The descriptor, close-on-exec, which the caller closes.

    Raises:
        OSError: no memory or no descriptor left, or over RLIMIT_FSIZE; the sender's own limits.
    """
    descriptor = _create()
    try:
        view = memoryview(body)
        while view:
            view = view[os.write(descriptor, view) :]
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def check(descriptors: Sequence[int], length: int) -> str:
    """Return why these descriptors are not the one sealed frame of `length` bytes, "" when they are.

    Nothing here can wait: F_GET_SEALS is answered by memfds and by files in tmpfs, which only ever have
    F_SEAL_SEAL (fcntl(2)), and fstat is asked only of what has all four seals.
    """
    if len(descriptors) != 1:
        return f"{len(descriptors)} descriptors came, a frame is exactly one"
    try:
        seals = fcntl.fcntl(descriptors[0], fcntl.F_GET_SEALS)
        if seals & SEALS != SEALS:
            return "the frame is not sealed: SEAL, SHRINK, GROW and WRITE are needed"
        status = os.fstat(descriptors[0])
    except OSError:
        return "the descriptor is not a memfd"
    if not stat.S_ISREG(status.st_mode):
        return "the descriptor is not a memfd"
    if status.st_size != length or length > FRAME_LIMIT:
        return f"the frame has {status.st_size} bytes, the header says {length}"
    return ""


def read(descriptor: int, length: int) -> bytes | None:
    """Copy out a frame that passed `check`; None when the kernel does not give all of it.

    Raises:
        MemoryError: the copy does not fit into this domain's memory.
    """
    try:
        body = os.pread(descriptor, length, 0)
    except OSError:
        return None
    return body if len(body) == length else None


def receive(
    sock: socket.socket, buffer: bytearray, ancillary: int = ANCILLARY_SIZE
) -> tuple[int, bool, Received]:
    """Receive one datagram and the descriptors that came with it.

    Args:
        sock: a SOCK_SEQPACKET socket.
        buffer: where the datagram goes.
        ancillary: bytes of room for descriptors.

    Returns:
        Size of the datagram (0: the peer closed), whether something did not fit, and the descriptors.

    Raises:
        OSError: from recvmsg(2).
    """
    size, messages, flags, _ = sock.recvmsg_into((buffer,), ancillary, _CLOEXEC)
    return size, flags & TRUNCATED != 0, descriptors(messages)


def descriptors(messages: list[Ancillary]) -> Received:
    """Return the descriptors in what recvmsg(2) gave beside a datagram; the receiver closes them."""
    received = Received()
    if messages:
        for level, kind, data in messages:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                received.extend(array("i", data[: len(data) - len(data) % _INT_SIZE]))
    return received


def send(sock: socket.socket, header: bytes, descriptor: int, flags: int = 0) -> None:
    """Send a header together with one frame.

    Raises:
        OSError: from sendmsg(2).
    """
    sock.sendmsg((header,), ((socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", (descriptor,))),), flags)
