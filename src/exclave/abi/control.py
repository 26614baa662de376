"""Trust: reviewed.

Messages between the nucleus and the domains it made, over each domain's control socket,
and between the processes of a monolith and the nucleus, over the monolith's listener.

Rules:
 1. A message is one SOCK_SEQPACKET datagram: a MessagePack array with a tag, at most
    CONTROL_LIMIT bytes; descriptors travel beside it, in the order the message names.
 2. Decoding is total: anything else is None, and the receiver decides what that means.
 3. Whatever a domain sends is a claim. The nucleus acts on a claim only about that domain itself.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Final, TypeVar

import msgspec

CONTROL_LIMIT: Final = 96 * 1024
CONTROL_FD: Final = 3
DEFAULT_LISTENER: Final = "/run/exclave/nucleus"
SECRET_CHUNK: Final = 32 * 1024
DESCRIPTOR_BYTES: Final = struct.calcsize("i")


class Configure(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Nucleus to an exclave, first: what it is and which filters it puts on itself."""

    name: str
    component: str
    filter_import: bytes
    filter_serve: bytes
    budget: float


class Entered(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Exclave to nucleus: the import filter is in force, and no component code has run yet."""

    secret_memory: str


class GiveSecret(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """Nucleus to exclave: `size` bytes of this secret follow, in raw datagrams of SECRET_CHUNK."""

    name: str
    size: int


class GiveEndpoint(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Nucleus to exclave, with one socket: it may call `name`."""

    name: str
    rights: int


class GiveRegion(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Nucleus to exclave, with one memfd: map `size` bytes; answered by Mapped."""

    name: str
    size: int
    writable: bool


class GiveNotification(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """Nucleus to exclave, with one socket per badge (to wait) or one socket (to signal)."""

    name: str
    wait: bool
    badges: tuple[int, ...]


class Mapped(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """Exclave to nucleus: the region is mapped; the nucleus may now seal it against new writers."""

    name: str


class Begin(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """Nucleus to exclave: everything was handed over; import, initialise, serve."""


class Ready(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """Exclave to nucleus: the component serves, under the serve filter."""

    methods: tuple[str, ...]
    digest: bytes


class Failed(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """Domain to nucleus: it could not come up. `text` is for the operator, at most 8 KiB."""

    stage: str
    kind: str
    text: str


class Admit(msgspec.Struct, frozen=True, array_like=True, tag=11):
    """Nucleus to exclave, with one socket: serve this caller. Badge and rights are the nucleus's word."""

    connection: int
    caller: str
    badge: int
    rights: int


class Withdraw(msgspec.Struct, frozen=True, array_like=True, tag=12):
    """Nucleus to exclave: the capability behind this connection is no longer live."""

    connection: int


class Dropped(msgspec.Struct, frozen=True, array_like=True, tag=13):
    """Exclave to nucleus: it gave up this connection, and why."""

    connection: int
    reason: str


class FaultReport(msgspec.Struct, frozen=True, array_like=True, tag=14):
    """Exclave to nucleus: a call raised what the component did not declare."""

    method: str
    kind: str
    text: str


class Launch(msgspec.Struct, frozen=True, array_like=True, tag=15):
    """Nucleus to the monolith's pid 1: run this command under this filter."""

    command: tuple[str, ...]
    filter_monolith: bytes


class Launched(msgspec.Struct, frozen=True, array_like=True, tag=16):
    """The monolith's pid 1 to nucleus: the command runs."""


class Signal(msgspec.Struct, frozen=True, array_like=True, tag=17):
    """Nucleus to the monolith's pid 1: pass this signal on to the command."""

    number: int


class Exited(msgspec.Struct, frozen=True, array_like=True, tag=18):
    """The monolith's pid 1 to nucleus: how the command ended, as the shell counts (128 + n for a signal)."""

    code: int


class Ask(msgspec.Struct, frozen=True, array_like=True, tag=19):
    """A process of the monolith to nucleus: connect me to `name`. Kinds: endpoint, region, notification."""

    kind: str
    name: str


class Granted(msgspec.Struct, frozen=True, array_like=True, tag=20):
    """Nucleus to a process of the monolith. For an endpoint this very socket is the endpoint from now on."""

    rights: int
    size: int = 0
    writable: bool = False
    wait: bool = False
    badges: tuple[int, ...] = ()


class Denied(msgspec.Struct, frozen=True, array_like=True, tag=21):
    """Nucleus to a process of the monolith: no, with the refusal and what would have to be different."""

    code: str
    text: str


ControlMessage = (
    Configure
    | Entered
    | GiveSecret
    | GiveEndpoint
    | GiveRegion
    | GiveNotification
    | Mapped
    | Begin
    | Ready
    | Failed
    | Admit
    | Withdraw
    | Dropped
    | FaultReport
    | Launch
    | Launched
    | Signal
    | Exited
    | Ask
    | Granted
    | Denied
)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[ControlMessage] = msgspec.msgpack.Decoder(ControlMessage)
_M = TypeVar("_M", bound=msgspec.Struct)


def encode(message: ControlMessage) -> bytes:
    """Encode one control message.

    Raises:
        ValueError: it is larger than CONTROL_LIMIT; the sender's fault.
    """
    data = _encoder.encode(message)
    if len(data) > CONTROL_LIMIT:
        raise ValueError(f"{type(message).__name__} is {len(data)} bytes, the limit is {CONTROL_LIMIT}")
    return data


def decode(data: bytes | bytearray | memoryview) -> ControlMessage | None:
    """Decode one datagram; None when it is not a control message."""
    if len(data) > CONTROL_LIMIT:
        return None
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def send(sock: socket.socket, message: ControlMessage, descriptors: tuple[int, ...] = ()) -> None:
    """Send one message, with descriptors, without waiting for a reader that does not read.

    Raises:
        OSError: the peer is gone (EPIPE) or does not read (EAGAIN); the peer's fault.
    """
    data = encode(message)
    if descriptors:
        socket.send_fds(sock, [data], list(descriptors), socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)
    else:
        sock.send(data, socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)


def receive(sock: socket.socket, descriptors: int = 0) -> tuple[ControlMessage | None, list[int]]:
    """Receive one message and at most `descriptors` descriptors.

    Returns:
        The message, or None for something malformed or cut short, and the descriptors, close-on-exec, which
        the caller owns; none of them when this process has no room for all (EMFILE).

    Raises:
        EOFError: the peer closed its end.
        OSError: from the socket (EAGAIN when it does not block).
    """
    if not descriptors:
        data = sock.recv(CONTROL_LIMIT + 1)
        if not data:
            raise EOFError
        return decode(data), []
    # Not socket.recv_fds, which ignores its flags.
    room = socket.CMSG_LEN(descriptors * DESCRIPTOR_BYTES)
    data, beside, flags, _ = sock.recvmsg(CONTROL_LIMIT + 1, room, socket.MSG_CMSG_CLOEXEC)
    received = descriptors_in(beside)
    if not data and not received:
        raise EOFError
    message = None if flags & socket.MSG_TRUNC else decode(data)
    # Cut short: this process has no room for the descriptors, and some without the others are of no use.
    if message is None or flags & socket.MSG_CTRUNC:
        close_all(received)
        return message, []
    return message, received


def expect(sock: socket.socket, kind: type[_M], descriptors: int = 0) -> tuple[_M, list[int]]:
    """Receive the one kind of message that may come now.

    Raises:
        EOFError: the peer closed its end.
        ValueError: something else came; the peer's fault.
    """
    message, received = receive(sock, descriptors)
    if not isinstance(message, kind):
        close_all(received)
        raise ValueError(f"expected {kind.__name__}, got {type(message).__name__}")
    return message, received


def descriptors_in(beside: list[tuple[int, int, bytes]]) -> list[int]:
    """The descriptors among what recvmsg(2) gave beside the data (SCM_RIGHTS, unix(7))."""
    found: list[int] = []
    for level, kind, data in beside:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            whole = len(data) - len(data) % DESCRIPTOR_BYTES
            found += struct.unpack(f"{whole // DESCRIPTOR_BYTES}i", data[:whole])
    return found


def close_all(descriptors: list[int]) -> None:
    """Close descriptors that were received and are not wanted."""
    for descriptor in descriptors:
        os.close(descriptor)
