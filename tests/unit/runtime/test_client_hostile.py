"""Trust: outside.

Hostile servers of every sort: a client gets a typed exception by its deadline, and nothing is left open.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exclave.abi import payload
from exclave.abi.exceptions import DeadlineExceeded, ExclaveError, Fault, Refused, Revoked
from exclave.abi.wire import DATAGRAM_LIMIT, FRAME_LIMIT, HEADER, INLINE_LIMIT, Kind, encode
from exclave.runtime.client import bind
from exclave.runtime.deadline import deadline
from exclave.runtime.outcome import DISCARD_LIMIT
from support.probe import Probe
from support.serving import PATIENCE, Peer, acting

_BODY = msgspec.msgpack.encode(bytes(INLINE_LIMIT))
Reply = Callable[[int], bytes]


def _open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _welcome(peer: Peer) -> None:
    assert peer.receive().kind == Kind.HELLO
    peer.send(encode(Kind.WELCOME))


def _answering(make: Reply, *, then: bool = True) -> Callable[[Peer], None]:
    """A server that welcomes, answers the first call with what `make` gives, and then behaves."""

    def script(peer: Peer) -> None:
        _welcome(peer)
        peer.send(make(peer.receive().sequence))
        while then:
            data = peer.sock.recv(DATAGRAM_LIMIT)
            if not data:
                return
            peer.send(encode(Kind.REPLY, HEADER.unpack_from(data)[3], msgspec.msgpack.encode(b"good")))

    return script


_BROKEN: dict[str, Reply] = {
    "garbage": lambda _: b"garbage that is long enough for a header",
    "short": lambda _: b"\x04",
    "lying length": lambda s: HEADER.pack(Kind.REPLY, 0, 0, s, 500, 0) + b"\xc0",
    "longer than it says": lambda s: HEADER.pack(Kind.REPLY, 0, 0, s, 0, 0) + b"\xc0",
    "oversized": lambda s: HEADER.pack(Kind.REPLY, 0, 0, s, INLINE_LIMIT + 1, 0) + bytes(INLINE_LIMIT + 1),
    "truncated by the receiver": lambda s: HEADER.pack(Kind.REPLY, 0, 0, s, 150_000, 0) + bytes(150_000),
    "a method in a reply": lambda s: HEADER.pack(Kind.REPLY, 0, 1, s, 1, 0) + b"\xc0",
    "frame that does not come": lambda s: encode(Kind.REPLY, s, framed=INLINE_LIMIT + 1),
    "unknown kind": lambda s: HEADER.pack(77, 0, 0, s, 0, 0),
    "garbage to another sequence": lambda s: HEADER.pack(77, 0, 0, s + 1, 0, 0),
}


@pytest.mark.parametrize("make", _BROKEN.values(), ids=_BROKEN.keys())
def test_what_breaks_the_protocol_is_a_fault_and_ends_the_connection(make: Reply) -> None:
    with acting(_answering(make)) as sock:
        probe = bind(sock, Probe, target="probe")
        with pytest.raises(
            Fault, match=r"protocol: probe broke the protocol: .*the connection was closed"
        ) as caught:
            probe.echo(b"x")
        assert caught.value.kind == "protocol"
        assert sock.fileno() == -1
        with pytest.raises(Revoked):
            probe.echo(b"x")


def _notice(kind: Kind, *parts: object) -> Reply:
    return lambda s: encode(kind, s, msgspec.msgpack.encode(parts))


_WRONG: dict[str, Reply] = {
    "a result of another type": lambda s: encode(Kind.REPLY, s, msgspec.msgpack.encode("text")),
    "no result": lambda s: encode(Kind.REPLY, s),
    "a result that ends early": lambda s: encode(Kind.REPLY, s, b"\xc4\xff"),
    "a result and more": lambda s: encode(Kind.REPLY, s, b"\xc4\x00\x00"),
    "an endless result": lambda s: encode(Kind.REPLY, s, b"\x91" * 60_000),
    "a huge claim": lambda s: encode(Kind.REPLY, s, b"\xc6\xff\xff\xff\xff"),
    "an exception that is not declared": _notice(Kind.RAISED, 0, ["x"]),
    "an exception before the first": _notice(Kind.RAISED, -1, []),
    "a refusal without a text": _notice(Kind.REFUSAL, "code"),
    "a refusal that is numbers": _notice(Kind.REFUSAL, 1, 2),
    "a fault that is not utf-8": lambda s: encode(Kind.FAULT, s, b"\x92\xa1\xff\xa1\xff"),
    "a call": lambda s: encode(Kind.CALL, s, msgspec.msgpack.encode(("a", "b"))),
    "a welcome": lambda s: encode(Kind.WELCOME, s),
    "a cancellation": lambda s: encode(Kind.CANCEL, s),
}


@pytest.mark.parametrize("make", _WRONG.values(), ids=_WRONG.keys())
def test_a_wrong_answer_is_a_fault_of_this_call_alone(make: Reply) -> None:
    with acting(_answering(make)) as sock:
        probe = bind(sock, Probe, target="probe")
        with pytest.raises(Fault, match="protocol: probe answered wrongly"):
            probe.echo(b"x")
        assert probe.echo(b"x") == b"good"


@pytest.mark.parametrize("arguments", [[], [1, 2], [[1]], [{}], [None] * 9])
def test_a_declared_exception_that_cannot_be_made_is_a_fault(arguments: list[object]) -> None:
    with acting(_answering(_notice(Kind.RAISED, 0, arguments))) as sock:
        probe = bind(sock, Probe, target="probe")
        with pytest.raises(Fault, match="answered wrongly"):
            probe.fail("x")
        assert probe.echo(b"x") == b"good"


def test_text_of_a_server_cannot_drive_a_terminal_or_fill_a_log() -> None:
    with acting(_answering(_notice(Kind.FAULT, "\x1b]0;owned\x07", "\r\n" * 20_000))) as sock:
        with pytest.raises(Fault) as caught:
            bind(sock, Probe, target="probe").echo(b"x")
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 10_000


@settings(max_examples=40)
@given(st.sampled_from([*Kind, 0, 99]), st.booleans(), st.binary(max_size=50), st.booleans())
def test_any_answer_is_a_result_or_a_typed_exception(
    kind: int, right: bool, body: bytes, whole: bool
) -> None:
    def make(sequence: int) -> bytes:
        length = len(body) if whole else len(body) + 1
        return HEADER.pack(kind, 0, 0, sequence if right else sequence + 1, length, 0) + body

    with acting(_answering(make, then=False)) as sock:
        probe = bind(sock, Probe, target="probe")
        try:
            result = probe.echo(b"x")
        except (ExclaveError, ConnectionError):
            result = b""
        assert type(result) is bytes


@pytest.mark.parametrize(
    "greeting",
    [
        b"",
        b"garbage",
        encode(Kind.REPLY, 0, b"\xc0"),
        encode(Kind.REFUSAL, 0, b"\x01"),
        encode(Kind.FAULT, 0, msgspec.msgpack.encode(("a", "b"))),
        HEADER.pack(Kind.WELCOME, 0, 0, 0, 9, 0),
    ],
)
def test_a_greeting_that_is_none_is_typed(greeting: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.send(greeting)

    with acting(script) as sock:
        with pytest.raises((Fault, Revoked)):
            bind(sock, Probe, target="probe")
        assert sock.fileno() == -1


def test_a_refusal_at_the_greeting_is_a_refusal() -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.send(encode(Kind.REFUSAL, 0, msgspec.msgpack.encode(("Any", "thing"))))

    with acting(script) as sock, pytest.raises(Refused, match=r"Any: probe \(Probe\): thing"):
        bind(sock, Probe, target="probe")


def _silent(peer: Peer) -> None:
    assert peer.drained() >= 0


def test_a_silent_server_costs_the_deadline_and_no_more() -> None:
    with acting(_silent) as sock, deadline(0.02), pytest.raises(DeadlineExceeded, match=r"probe\.connect"):
        bind(sock, Probe, target="probe")

    def welcomes(peer: Peer) -> None:
        _welcome(peer)
        _silent(peer)

    with acting(welcomes) as sock:
        probe = bind(sock, Probe, target="probe")
        with deadline(0.02), pytest.raises(DeadlineExceeded, match=r"probe\.echo"):
            probe.echo(b"x")


def test_answers_to_other_calls_are_discarded() -> None:
    def script(peer: Peer) -> None:
        _welcome(peer)
        sequence = peer.receive().sequence
        for other in (0, sequence + 1, sequence - 1, 2**32 - 1):
            peer.send(encode(Kind.REPLY, other, msgspec.msgpack.encode(b"wrong")))
        peer.send(encode(Kind.REPLY, sequence, msgspec.msgpack.encode(b"right")))
        for late in (sequence, sequence):
            peer.send(encode(Kind.REPLY, late, msgspec.msgpack.encode(b"replayed")))
        peer.send(encode(Kind.REPLY, peer.receive().sequence, msgspec.msgpack.encode(b"second")))
        assert peer.ended()

    with acting(script) as sock:
        probe = bind(sock, Probe, target="probe")
        assert probe.echo(b"x") == b"right"
        assert probe.echo(b"y") == b"second"


def test_endless_answers_to_nothing_are_a_fault() -> None:
    def script(peer: Peer) -> None:
        _welcome(peer)
        sequence = peer.receive().sequence
        for _ in range(DISCARD_LIMIT * 2):
            peer.send(encode(Kind.REPLY, sequence + 1, b"\xc0"))

    with acting(script) as sock:
        probe = bind(sock, Probe, target="probe", timeout=PATIENCE)
        with pytest.raises(Fault, match="answers to calls that nobody made"):
            probe.echo(b"x")


def test_a_deadline_ends_the_wait_also_while_answers_to_nothing_keep_coming() -> None:
    def script(peer: Peer) -> None:
        _welcome(peer)
        sequence = peer.receive().sequence
        peer.sock.setblocking(False)
        while True:
            try:
                peer.send(encode(Kind.REPLY, sequence + 1, b"\xc0"))
            except BlockingIOError:
                continue

    with acting(script) as sock:
        probe = bind(sock, Probe, target="probe", timeout=PATIENCE)
        with deadline(0.005), pytest.raises((DeadlineExceeded, Fault)):
            probe.echo(b"x")


def _frames(count: int) -> Callable[[], list[int]]:
    return lambda: [payload.seal(_BODY) for _ in range(count)]


def _unsealed() -> list[int]:
    made = os.memfd_create("x", os.MFD_ALLOW_SEALING)
    os.ftruncate(made, len(_BODY))
    return [made]


_SMUGGLED: dict[str, tuple[Callable[[], list[int]], int]] = {
    "beside an inline answer": (_frames(1), 0),
    "two": (_frames(2), len(_BODY)),
    "many": (_frames(50), len(_BODY)),
    "another size": (_frames(1), len(_BODY) + 1),
    "the largest size": (_frames(1), FRAME_LIMIT),
    "unsealed": (_unsealed, len(_BODY)),
    "a pipe": (lambda: list(os.pipe()), len(_BODY)),
    "a socket": (lambda: [socket.socket(socket.AF_UNIX).detach()], len(_BODY)),
    "a directory": (lambda: [os.open("/", os.O_RDONLY)], len(_BODY)),
}


@pytest.mark.parametrize(("make", "framed"), _SMUGGLED.values(), ids=_SMUGGLED.keys())
def test_descriptors_that_do_not_belong_to_the_answer_are_closed(
    make: Callable[[], list[int]], framed: int
) -> None:
    def script(peer: Peer) -> None:
        _welcome(peer)
        sequence = peer.receive().sequence
        descriptors = make()
        body = b"" if framed else msgspec.msgpack.encode(b"x")
        peer.send(encode(Kind.REPLY, sequence, body, framed=framed), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        assert peer.ended()

    before = _open_descriptors()
    with acting(script) as sock, pytest.raises(Fault, match="broke the protocol"):
        bind(sock, Probe, target="probe").echo(b"x")
    assert _open_descriptors() <= before


def test_a_frame_whose_content_is_of_another_type_is_a_fault_and_closed() -> None:
    def script(peer: Peer) -> None:
        _welcome(peer)
        sequence = peer.receive().sequence
        body = msgspec.msgpack.encode("x" * INLINE_LIMIT)
        frame = payload.seal(body)
        peer.send(encode(Kind.REPLY, sequence, framed=len(body)), [frame])
        os.close(frame)
        assert peer.ended()

    before = _open_descriptors()
    with acting(script) as sock:
        with pytest.raises(Fault, match="answered wrongly"):
            bind(sock, Probe, target="probe").echo(b"x")
        sock.close()
    assert _open_descriptors() <= before
