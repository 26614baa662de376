"""Trust: outside.

Hostile callers of every sort. Whatever one does, another caller gets its answer, and the server stays.
"""

from __future__ import annotations

import os
import select
import socket
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exclave.abi.interface import Caller, Interface
from exclave.abi.rights import WRITE
from exclave.abi.wire import DATAGRAM_LIMIT, HEADER, INLINE_LIMIT, Kind, encode
from exclave.runtime.connection import QUEUE_LIMIT, SLOW
from exclave.runtime.server import MALFORMED_LIMIT, ReportKind, Server
from support.probe import Probe
from support.serving import Peer, Serving, pair, readable, serving

_ECHO = Interface.of(Probe).by_name["echo"].index
_BODY = msgspec.msgpack.encode((bytes(INLINE_LIMIT + 1),))


@pytest.fixture
def served() -> Iterator[Serving]:
    with serving(Probe()) as made:
        yield made


def _another_gets_its_answer(served: Serving) -> None:
    peer = served.peer("other")
    peer.call(Probe, "echo", b"fine")
    assert peer.answer() == b"fine"
    peer.sock.close()


def _open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _settled(served: Serving) -> int:
    """Count once the server has finished the turn in which it answered."""
    served.within(lambda: None)
    return _open_descriptors()


def _until_lost(action: Callable[[], object]) -> None:
    """Repeat something until the server has closed the connection."""
    while True:
        action()


_MALFORMED: dict[str, bytes] = {
    "short": b"\x03",
    "one byte short": encode(Kind.CALL, 5)[:-1],
    "unknown kind": HEADER.pack(200, 0, 0, 5, 0, 0),
    "lying length": HEADER.pack(Kind.CALL, 0, 0, 5, 100, 0) + b"x",
    "oversized": HEADER.pack(Kind.CALL, 0, 0, 5, DATAGRAM_LIMIT, 0) + bytes(DATAGRAM_LIMIT),
    "truncated by the receiver": bytes(DATAGRAM_LIMIT * 2),
    "frame that does not come": encode(Kind.CALL, 5, framed=INLINE_LIMIT + 1),
    "a server's message": encode(Kind.REPLY, 5, b"\xc0"),
    "a server's welcome": encode(Kind.WELCOME, 5),
}


@pytest.mark.parametrize("data", _MALFORMED.values(), ids=_MALFORMED.keys())
def test_malformed_messages_are_refused_and_then_end_the_connection(served: Serving, data: bytes) -> None:
    peer = served.peer("bad")
    for _ in range(MALFORMED_LIMIT - 1):
        peer.send(data)
        assert peer.notice()[:2] == (Kind.REFUSAL, "Malformed")
    peer.call(Probe, "echo", b"x")
    assert peer.answer() == b"x"
    peer.send(data)
    assert peer.ended()
    report = served.report()
    assert (report.kind, report.caller) == (ReportKind.DROPPED, "bad")
    assert "malformed messages" in report.text
    _another_gets_its_answer(served)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=60) | st.binary(min_size=20, max_size=20), max_size=6), st.booleans())
def test_any_sequence_of_datagrams_leaves_the_server_serving(
    served: Serving, datagrams: list[bytes], greeted: bool
) -> None:
    peer = served.peer() if greeted else Peer(served.connect())
    try:
        for data in datagrams:
            peer.send(data)
    except (BrokenPipeError, ConnectionResetError):
        assert datagrams
    peer.sock.close()
    _another_gets_its_answer(served)


def test_an_empty_datagram_ends_only_its_connection(served: Serving) -> None:
    peer = served.peer()
    peer.send(b"")
    assert peer.ended()
    assert served.report().text == "closed"
    _another_gets_its_answer(served)


def test_a_caller_that_does_not_read_its_answers_loses_its_connection(served: Serving) -> None:
    peer = served.peer("slow")
    data = encode(Kind.CALL, 1, msgspec.msgpack.encode((bytes(60_000),)), method=_ECHO)
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        _until_lost(lambda: peer.send(data))
    report = served.report()
    assert (report.kind, report.caller, report.text) == (ReportKind.DROPPED, "slow", SLOW)
    _another_gets_its_answer(served)


def test_a_caller_that_does_not_read_refusals_loses_its_connection(served: Serving) -> None:
    peer = Peer(served.connect("slow"))
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        _until_lost(lambda: peer.send(encode(Kind.HELLO, 1, bytes(16))))
    assert served.report().text == SLOW
    _another_gets_its_answer(served)


def test_a_caller_that_does_not_read_frames_loses_its_connection(served: Serving) -> None:
    before = _settled(served)
    peer = served.peer("slow")
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        _until_lost(lambda: peer.call(Probe, "large", INLINE_LIMIT + 1))
    assert served.report().kind == ReportKind.DROPPED
    _another_gets_its_answer(served)
    peer.sock.close()
    assert _settled(served) <= before


def test_a_flood_of_calls_delays_another_caller_by_one_call(served: Serving) -> None:
    probe, holder, flooder, other = served.component, served.peer(), served.peer("flooder"), served.peer()
    assert isinstance(probe, Probe)
    holder.call(Probe, "hold")
    assert probe.entered.wait(20)
    flooder.sock.setblocking(False)
    sent = 0

    def flood() -> None:
        nonlocal sent
        flooder.call(Probe, "echo", b"flood", sequence=sent + 1)
        sent += 1

    with pytest.raises(BlockingIOError):
        _until_lost(flood)
    assert sent > 2 * QUEUE_LIMIT
    other.call(Probe, "echo", b"other")
    probe.release.set()
    assert holder.answer() is None
    assert other.answer() == b"other"
    assert probe.log.index(b"other") <= 1
    flooder.sock.settimeout(20)
    for sequence in range(1, sent + 1):
        assert flooder.receive().sequence == sequence


def test_a_replayed_sequence_gets_one_answer_for_each_call(served: Serving) -> None:
    peer = served.peer()
    for data in (b"a", b"b", b"c"):
        peer.call(Probe, "echo", data, sequence=5)
    assert [peer.answer() for _ in range(3)] == [b"a", b"b", b"c"]
    _another_gets_its_answer(served)


def test_cancelling_what_does_not_wait_does_nothing(served: Serving) -> None:
    peer = served.peer()
    for sequence in range(1000):
        peer.send(encode(Kind.CANCEL, sequence))
    peer.call(Probe, "echo", b"x")
    assert peer.answer() == b"x"


@pytest.mark.parametrize("data", [encode(Kind.CANCEL, 1), encode(Kind.CALL, 1, b"\x90", method=9999)])
def test_a_caller_that_floods_without_end_does_not_keep_another_one_waiting(
    served: Serving, data: bytes
) -> None:
    flooders = [served.peer("flooder") for _ in range(2)]
    stop = Event()

    def flood(peer: Peer) -> None:
        peer.sock.setblocking(False)
        while not stop.is_set():
            try:
                peer.send(data)
            except BlockingIOError:
                if readable(peer.sock):
                    peer.sock.recv(1)
            except (BrokenPipeError, ConnectionResetError):
                return

    threads = [Thread(target=flood, args=(peer,)) for peer in flooders]
    for thread in threads:
        thread.start()
    for _ in range(20):
        _another_gets_its_answer(served)
    stop.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


class _Flooded:
    """An epoll during whose every wait one more message arrives: a flood that is as fast as the server."""

    def __init__(self, epoll: select.epoll, flooder: Peer) -> None:
        self.epoll = epoll
        self.flooder = flooder
        self.waits = 0

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        self.waits += 1
        assert self.waits < 1000, "the turn does not end"
        self.flooder.send(encode(Kind.CANCEL, self.waits))
        return self.epoll.poll(timeout)


def test_a_flood_as_fast_as_the_server_does_not_keep_a_turn_from_ending() -> None:
    server = Server(Probe(), Interface.of(Probe), lambda _: None)
    pairs = [pair(), pair()]
    for number, (_, end) in enumerate(pairs):
        server.add(number, end, Caller("app", 1, WRITE))
    other, flooder = (Peer(client) for client, _ in pairs)
    other.send(encode(Kind.HELLO, 0, Interface.of(Probe).digest))
    other.call(Probe, "echo", b"other")
    epoll = server._epoll
    server._epoll = _Flooded(epoll, flooder)  # type: ignore[assignment]  # only `poll` is used in a turn
    server._turn()
    server._turn()
    assert other.receive().kind == Kind.WELCOME
    assert other.answer() == b"other"
    server._epoll = epoll
    server.close()
    for client, _ in pairs:
        client.close()


def test_a_caller_that_closes_before_its_turn_is_forgotten(served: Serving) -> None:
    probe, holder, peer = served.component, served.peer(), served.peer("gone")
    assert isinstance(probe, Probe)
    holder.call(Probe, "hold")
    assert probe.entered.wait(20)
    peer.call(Probe, "echo", b"never")
    peer.sock.close()
    probe.release.set()
    assert holder.answer() is None
    assert served.report().caller == "gone"
    _another_gets_its_answer(served)
    assert probe.log == [b"fine"]


def test_a_revoked_caller_is_not_served_what_it_had_queued(served: Serving) -> None:
    """Attacker holds a capability and fills its queue; the nucleus shuts its duplicate of the socket down."""
    probe, holder = served.component, served.peer()
    assert isinstance(probe, Probe)
    peer = served.peer("revoked")
    duplicate = peer.sock.dup()
    holder.call(Probe, "hold")
    assert probe.entered.wait(20)
    for sequence in range(10):
        peer.call(Probe, "echo", b"never", sequence=sequence)
    duplicate.shutdown(socket.SHUT_RDWR)
    probe.release.set()
    assert holder.answer() is None
    assert served.report().text == "closed"
    duplicate.close()
    _another_gets_its_answer(served)
    assert probe.log == [b"fine"]


def test_forged_credentials_beside_a_call_change_nothing(served: Serving) -> None:
    peer = served.peer("app", badge=3)
    body = msgspec.msgpack.encode((1, False))
    data = encode(Kind.CALL, 1, body, method=Interface.of(Probe).by_name["who"].index)
    credentials = array("i", [os.getpid(), os.getuid(), os.getgid()])
    peer.sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, credentials)])
    assert peer.answer() == "app/3/6"
