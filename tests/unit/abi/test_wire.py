"""Trust: outside.

The header: every byte string is a message or malformed, and a message has one encoding.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exclave.abi.wire import (
    FRAME,
    FRAME_LIMIT,
    HEADER,
    HEADER_SIZE,
    INLINE_LIMIT,
    Kind,
    Malformed,
    Message,
    decode,
    encode,
    encode_call,
)

_HEADERS = st.builds(
    HEADER.pack,
    st.integers(0, 9) | st.integers(0, 255),
    st.integers(0, 3) | st.integers(0, 255),
    st.integers(0, 2) | st.integers(0, 2**16 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 40) | st.sampled_from([INLINE_LIMIT, INLINE_LIMIT + 1, FRAME_LIMIT, FRAME_LIMIT + 1]),
    st.integers(0, 1) | st.integers(0, 2**64 - 1),
)


def _again(message: Message) -> bytes:
    framed = message.length if message.flags else 0
    return encode(
        message.kind,
        message.sequence,
        bytes(message.body),
        method=message.method,
        deadline=message.deadline,
        framed=framed,
    )


@given(st.binary(max_size=80) | st.builds(bytes.__add__, _HEADERS, st.binary(max_size=40)))
def test_decode_any_bytes_gives_a_message_with_one_encoding_or_malformed(data: bytes) -> None:
    decoded = decode(data)
    if isinstance(decoded, Message):
        assert _again(decoded) == data
    else:
        assert decoded.reason
        assert decoded.sequence == (HEADER.unpack_from(data)[3] if len(data) >= HEADER_SIZE else 0)


@given(st.binary(max_size=60))
def test_decode_gives_the_same_for_bytes_and_for_a_view(data: bytes) -> None:
    plain, viewed = decode(data), decode(memoryview(data))
    assert plain[:6] == viewed[:6]
    assert type(plain) is type(viewed)


@given(
    st.integers(0, 2**32 - 1), st.integers(0, 2**16 - 1), st.integers(0, 2**64 - 1), st.binary(max_size=50)
)
def test_encode_call_is_what_encode_gives(sequence: int, method: int, deadline: int, body: bytes) -> None:
    data = encode_call(sequence, method, deadline, body)
    assert data == encode(Kind.CALL, sequence, body, method=method, deadline=deadline)
    assert decode(data) == Message(Kind.CALL, 0, method, sequence, len(body), deadline, body)


def _packed(**fields: int) -> bytes:
    names = ("kind", "flags", "method", "sequence", "length", "deadline")
    return HEADER.pack(*(fields.get(name, 0) for name in names))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "0 bytes"),
        (b"\x03" * (HEADER_SIZE - 1), "19 bytes"),
        (_packed(kind=0), "kind 0 does not exist"),
        (_packed(kind=9), "kind 9 does not exist"),
        (_packed(kind=Kind.CALL, length=1), "length says 1, 0 bytes follow"),
        (_packed(kind=Kind.CALL) + b"x", "length says 0, 1 bytes follow"),
        (_packed(kind=Kind.CALL, length=INLINE_LIMIT + 1) + bytes(INLINE_LIMIT + 1), "bytes inline"),
        (_packed(kind=Kind.CALL, flags=2), "flags 0x2 do not exist"),
        (_packed(kind=Kind.CALL, flags=3, length=INLINE_LIMIT + 1), "flags 0x3 do not exist"),
        (_packed(kind=Kind.CALL, flags=FRAME, length=INLINE_LIMIT), "allowed are"),
        (_packed(kind=Kind.CALL, flags=FRAME, length=FRAME_LIMIT + 1), "allowed are"),
        (_packed(kind=Kind.CALL, flags=FRAME, length=INLINE_LIMIT + 1) + b"x", "1 bytes follow"),
        (_packed(kind=Kind.REFUSAL, flags=FRAME, length=INLINE_LIMIT + 1), "has no frame"),
        (_packed(kind=Kind.HELLO, flags=FRAME, length=INLINE_LIMIT + 1), "has no frame"),
        (_packed(kind=Kind.HELLO, length=15) + bytes(15), "digest of 15 bytes"),
        (_packed(kind=Kind.CANCEL, length=1) + b"x", "has no body"),
        (_packed(kind=Kind.WELCOME, length=1) + b"x", "has no body"),
        (_packed(kind=Kind.CANCEL, method=1), "no method"),
        (_packed(kind=Kind.REPLY, deadline=1), "no deadline"),
    ],
)
def test_decode_malformed_says_why(data: bytes, reason: str) -> None:
    decoded = decode(data)
    assert isinstance(decoded, Malformed)
    assert reason in decoded.reason


def test_decode_the_largest_inline_body_is_accepted() -> None:
    decoded = decode(encode(Kind.CALL, 1, bytes(INLINE_LIMIT)))
    assert isinstance(decoded, Message)
    assert decoded.length == INLINE_LIMIT


@pytest.mark.parametrize("length", [INLINE_LIMIT + 1, FRAME_LIMIT])
def test_decode_frame_lengths_at_the_bounds_are_accepted(length: int) -> None:
    decoded = decode(encode(Kind.REPLY, 7, framed=length))
    assert decoded == Message(Kind.REPLY, FRAME, 0, 7, length, 0, b"")


@pytest.mark.parametrize(
    ("kind", "sequence", "body", "method", "framed"),
    [
        (0, 0, b"", 0, 0),
        (Kind.CALL, -1, b"", 0, 0),
        (Kind.CALL, 2**32, b"", 0, 0),
        (Kind.CALL, 1, b"", 2**16, 0),
        (Kind.CALL, 1, b"x", 0, INLINE_LIMIT + 1),
        (Kind.CALL, 1, bytes(INLINE_LIMIT + 1), 0, 0),
        (Kind.CALL, 1, b"", 0, FRAME_LIMIT + 1),
        (Kind.REPLY, 1, b"", 1, 0),
    ],
)
def test_encode_refuses_what_decode_refuses(
    kind: int, sequence: int, body: bytes, method: int, framed: int
) -> None:
    with pytest.raises(ValueError, match="not a message"):
        encode(kind, sequence, body, method=method, framed=framed)
