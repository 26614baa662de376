"""Bytes to message and back: the format of everything that an endpoint carries.

Trust: reviewed.
Purpose: encode and decode the fixed header and say what may follow it.
Rules: 1. decode is total and bounded: each byte string gives a Message or a Malformed, never an exception.
2. one encoding per message: fields that a kind does not use are zero, and a body travels in a frame
if and only if it is over INLINE_LIMIT.
3. bodies are not looked into here; the recipient decodes them against its own types.
"""

from __future__ import annotations

import struct
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple, TypeAlias

HEADER: Final = struct.Struct("<BBHIIQ")
"""kind u8, flags u8, method u16, sequence u32, length u32, deadline u64 (CLOCK_MONOTONIC ns, 0 = none)."""

HEADER_SIZE: Final = HEADER.size
INLINE_LIMIT: Final = 64 * 1024
FRAME_LIMIT: Final = 256 * 1024 * 1024
DATAGRAM_LIMIT: Final = HEADER_SIZE + INLINE_LIMIT
DIGEST_SIZE: Final = 16
SEQUENCE_LIMIT: Final = 2**32
DEADLINE_LIMIT: Final = 2**64

FRAME: Final = 1
"""The flag of a message whose body is in the one sealed memfd that comes with it."""

Data: TypeAlias = bytes | bytearray | memoryview


class Kind(IntEnum):
    """The kinds of message."""

    HELLO = 1
    WELCOME = 2
    CALL = 3
    REPLY = 4
    RAISED = 5
    REFUSAL = 6
    FAULT = 7
    CANCEL = 8


class Code(StrEnum):
    """Why a server refused."""

    MALFORMED = "Malformed"
    INTERFACE_MISMATCH = "InterfaceMismatch"
    HELLO_FIRST = "HelloFirst"
    NOT_GRANTED = "NotGranted"
    UNKNOWN_METHOD = "UnknownMethod"
    BAD_ARGUMENTS = "BadArguments"
    TOO_LARGE = "TooLarge"
    DEADLINE_EXCEEDED = "DeadlineExceeded"


class Message(NamedTuple):
    """One decoded message. `body` is empty when FRAME is set: then `length` bytes are in the frame."""

    kind: int
    flags: int
    method: int
    sequence: int
    length: int
    deadline: int
    body: Data


class Malformed(NamedTuple):
    """Bytes that are no message: why, and the sequence to answer to when it could be read, else 0."""

    reason: str
    sequence: int


# Kinds that may carry a body, besides HELLO, whose body has a fixed size.
_WITH_BODY: Final = frozenset({Kind.CALL, Kind.REPLY, Kind.RAISED, Kind.REFUSAL, Kind.FAULT})
_WITH_FRAME: Final = frozenset({Kind.CALL, Kind.REPLY, Kind.RAISED})
_FIRST: Final = int(Kind.HELLO)
_LAST: Final = int(Kind.CANCEL)
_CALL: Final = int(Kind.CALL)
_HELLO: Final = int(Kind.HELLO)
_new: Final = tuple.__new__


def encode(
    kind: int,
    sequence: int = 0,
    body: Data = b"",
    *,
    method: int = 0,
    deadline: int = 0,
    framed: int = 0,
) -> bytes:
    """Encode one message.

    Args:
        kind: a Kind.
        sequence: which call it belongs to, 0..2**32-1.
        body: at most INLINE_LIMIT bytes; empty when `framed`.
        method: index of the method, for a CALL.
        deadline: CLOCK_MONOTONIC in nanoseconds, for a CALL; 0 = none.
        framed: size in bytes of the body that travels in a frame instead; 0 = inline.

    Raises:
        ValueError: not a message that `decode` accepts; the sender's own fault.
    """
    length = framed or len(body)
    flags = FRAME if framed else 0
    try:
        data = HEADER.pack(kind, flags, method, sequence, length, deadline) + body
    except struct.error as error:
        raise ValueError(f"not a message: {error}") from None
    checked = decode(data)
    if isinstance(checked, Malformed):
        raise ValueError(f"not a message: {checked.reason}")
    return data


def decode(data: Data) -> Message | Malformed:
    """Decode one datagram; its body is a view of `data` when that is a memoryview, else a copy.

    Returns:
        A Message, or a Malformed for everything else.
    """
    size = len(data)
    if size < HEADER_SIZE:
        return Malformed(f"{size} bytes, a header has {HEADER_SIZE}", 0)
    kind, flags, method, sequence, length, deadline = HEADER.unpack_from(data)
    inline = size - HEADER_SIZE
    if kind == _CALL and not flags and length == inline <= INLINE_LIMIT:
        # The most frequent message; the checks below would say the same.
        return _new(Message, (kind, flags, method, sequence, length, deadline, data[HEADER_SIZE:]))
    if kind < _FIRST or kind > _LAST:
        return Malformed(f"kind {kind} does not exist", sequence)
    if kind != _CALL and (method or deadline):
        return Malformed(f"kind {kind} has no method and no deadline", sequence)
    if flags == 0:
        if length != inline:
            return Malformed(f"length says {length}, {inline} bytes follow", sequence)
        if length > INLINE_LIMIT:
            return Malformed(f"{length} bytes inline, the limit is {INLINE_LIMIT}", sequence)
    elif flags == FRAME:
        if kind not in _WITH_FRAME:
            return Malformed(f"kind {kind} has no frame", sequence)
        if inline:
            return Malformed(f"{inline} bytes follow a header that names a frame", sequence)
        if length <= INLINE_LIMIT or length > FRAME_LIMIT:
            return Malformed(
                f"frame of {length} bytes, allowed are {INLINE_LIMIT + 1}..{FRAME_LIMIT}", sequence
            )
    else:
        return Malformed(f"flags {flags:#x} do not exist", sequence)
    if kind == _HELLO:
        if length != DIGEST_SIZE:
            return Malformed(f"digest of {length} bytes, it has {DIGEST_SIZE}", sequence)
    elif length and kind not in _WITH_BODY:
        return Malformed(f"kind {kind} has no body", sequence)
    return _new(Message, (kind, flags, method, sequence, length, deadline, data[HEADER_SIZE:]))


def encode_call(sequence: int, method: int, deadline: int, body: bytes) -> bytes:
    """Encode a CALL with its arguments inline, as `encode` does, for fields that are known to be in range."""
    return HEADER.pack(_CALL, 0, method, sequence, len(body), deadline) + body
