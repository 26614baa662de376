"""Trust: outside.

The synchronous client: calls, deadlines, threads, signals and revocation.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from threading import Event, Thread
from typing import assert_type

import pytest

from exclave.abi.exceptions import DeadlineExceeded, Fault, Refused, Revoked
from exclave.abi.interface import protected
from exclave.abi.rights import GRANT, WRITE
from exclave.abi.wire import INLINE_LIMIT, Kind, encode
from exclave.runtime import outcome
from exclave.runtime.client import bind, close
from exclave.runtime.component import Component
from exclave.runtime.deadline import deadline
from support.probe import Declared, LimitExceeded, Private, Probe, Public
from support.serving import PATIENCE, Peer, Serving, acting, pair, serving


@pytest.fixture
def served() -> Iterator[Serving]:
    with serving(Probe()) as made:
        yield made


@pytest.fixture
def probe(served: Serving) -> Probe:
    return bind(served.connect("app", badge=4), Probe, target="probe")


def _behind(served: Serving) -> Probe:
    assert isinstance(served.component, Probe)
    return served.component


def test_a_client_calls_like_the_component_and_is_typed_like_it(probe: Probe) -> None:
    assert_type(probe.echo(b"x"), bytes)
    assert probe.echo(b"x") == b"x"
    assert probe.echo(data=b"y") == b"y"
    assert probe.who() == "app/4/6"
    assert probe.who(2) == "app/4/6" * 2
    assert probe.who(loud=True, times=2) == "APP/4/6" * 2
    assert probe.show() == Public(name="n")
    assert type(probe.show()) is Public
    assert probe.count([Public(name="a"), Private(name="b")]) == 2


@pytest.mark.parametrize("size", [0, 1, INLINE_LIMIT - 10, INLINE_LIMIT, 1_000_000])
def test_any_size_of_argument_and_result_comes_through(probe: Probe, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert probe.echo(data) == data


def test_the_client_says_what_it_is_and_what_it_has(probe: Probe) -> None:
    assert repr(probe) == "<Probe at 'probe'>"
    with pytest.raises(
        AttributeError, match="Probe at 'probe' has no protected method 'init'; it has count, echo"
    ):
        probe.init  # noqa: B018 - the access is the test


def test_wrong_use_is_a_type_error_before_anything_is_sent(served: Serving, probe: Probe) -> None:
    with pytest.raises(TypeError, match=r"echo\(data: bytes\) -> bytes: missing"):
        probe.echo()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"probe\.echo: an argument cannot travel"):
        probe.echo(object())  # type: ignore[arg-type]
    assert _behind(served).log == []


def test_an_argument_of_another_type_is_refused_naming_it(probe: Probe) -> None:
    with pytest.raises(
        Refused, match=r"BadArguments: probe\.echo: echo: Expected `bytes`, got `str`"
    ) as caught:
        probe.echo("text")  # type: ignore[arg-type]
    assert caught.value.code == "BadArguments"


def test_a_declared_exception_arrives_as_itself(probe: Probe) -> None:
    with pytest.raises(LimitExceeded, match="the limit is 7") as caught:
        probe.fail("limit")
    assert caught.value.limit == 7
    with pytest.raises(Declared) as other:
        probe.fail("declared")
    assert other.value.args == ("x", b"y", 1, None, 2.5, True)


def test_what_is_not_declared_arrives_as_a_fault_without_its_text(probe: Probe) -> None:
    with pytest.raises(Fault, match=r"ValueError: probe\.fail: Probe\.fail failed") as caught:
        probe.fail("value")
    assert caught.value.kind == "ValueError"
    assert "secret" not in str(caught.value)
    assert probe.echo(b"still") == b"still"


def test_another_interface_is_refused_when_connecting(served: Serving) -> None:
    class Other(Component):
        @protected
        def echo(self, data: bytes) -> bytes:
            return data

    with pytest.raises(
        Refused, match=r"InterfaceMismatch: probe \(Other\): .* run both from the same source"
    ):
        bind(served.connect(), Other, target="probe")


def test_a_large_argument_without_the_frame_right_is_refused_here(served: Serving) -> None:
    probe = bind(served.connect(rights=WRITE), Probe, target="probe", rights=WRITE)
    with pytest.raises(Refused, match=r'NotGranted: probe\.echo: 70006 bytes .* add "frame" to the rights'):
        probe.echo(bytes(70_000))
    assert len(probe.large(70_000)) == 70_000


def test_without_the_call_right_the_server_refuses(served: Serving) -> None:
    probe = bind(served.connect(rights=GRANT), Probe, target="probe", rights=GRANT)
    with pytest.raises(Refused, match="NotGranted"):
        probe.echo(b"x")


def test_an_argument_over_the_frame_limit_is_refused_here(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome, "FRAME_LIMIT", 100_000)
    with pytest.raises(Refused, match="TooLarge"):
        probe.echo(bytes(100_000))


def test_a_deadline_that_passed_sends_nothing(served: Serving, probe: Probe) -> None:
    with (
        deadline(0),
        pytest.raises(DeadlineExceeded, match=r"probe\.echo did not answer before the deadline"),
    ):
        probe.echo(b"x")
    assert probe.echo(b"y") == b"y"
    assert _behind(served).log == [b"y"]


def test_a_call_that_is_late_raises_and_its_answer_does_not_reach_the_next_call(
    served: Serving, probe: Probe
) -> None:
    with deadline(0.02), pytest.raises(DeadlineExceeded):
        probe.hold()
    _behind(served).release.set()
    assert [probe.echo(bytes([i])) for i in range(3)] == [b"\0", b"\1", b"\2"]


def test_a_call_that_waits_behind_another_is_cancelled_at_the_server(served: Serving, probe: Probe) -> None:
    holder = served.peer()
    holder.call(Probe, "hold")
    assert _behind(served).entered.wait(PATIENCE)
    with deadline(0.02), pytest.raises(DeadlineExceeded):
        probe.echo(b"late")
    _behind(served).release.set()
    assert holder.answer() is None
    assert probe.echo(b"next") == b"next"
    assert _behind(served).log == [b"next"]


def test_the_timeout_of_the_client_applies_without_a_deadline(served: Serving) -> None:
    probe = bind(served.connect(), Probe, target="probe", timeout=0.02)
    with pytest.raises(DeadlineExceeded):
        probe.hold()
    _behind(served).release.set()


def test_threads_share_a_client_and_each_gets_its_own_answers(probe: Probe) -> None:
    wrong: list[bytes] = []

    def run(number: int) -> None:
        for i in range(100):
            data = f"{number}/{i}".encode()
            if probe.echo(data) != data:
                wrong.append(data)

    threads = [Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert wrong == []


def test_a_thread_that_waits_for_another_ones_call_keeps_its_deadline(served: Serving, probe: Probe) -> None:
    thread = Thread(target=probe.hold)
    thread.start()
    assert _behind(served).entered.wait(PATIENCE)
    with deadline(0.02), pytest.raises(DeadlineExceeded):
        probe.echo(b"x")
    _behind(served).release.set()
    thread.join(PATIENCE)
    assert probe.echo(b"y") == b"y"
    assert _behind(served).log == [b"y"]


def test_signals_do_not_prolong_a_deadline(served: Serving, probe: Probe) -> None:
    ticks = []
    previous = signal.signal(signal.SIGALRM, lambda *_: ticks.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
    try:
        with deadline(0.1), pytest.raises(DeadlineExceeded):
            probe.hold()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    _behind(served).release.set()
    assert ticks
    assert probe.echo(b"x") == b"x"


class _Interrupted(Exception):
    pass


def test_an_exception_from_a_signal_handler_ends_the_call_and_not_the_client(
    served: Serving, probe: Probe
) -> None:
    def interrupt(*_: object) -> None:
        raise _Interrupted

    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        with pytest.raises(_Interrupted):
            probe.hold()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    _behind(served).release.set()
    assert probe.echo(b"x") == b"x"


def test_a_revoked_capability_raises_revoked_and_stays_so(served: Serving, probe: Probe) -> None:
    assert probe.echo(b"x") == b"x"
    served.within(lambda: served.server.remove(1))
    for _ in range(2):
        with pytest.raises(Revoked):
            probe.echo(b"y")
    assert _behind(served).log == [b"x"]


def test_a_revocation_during_a_call_ends_the_wait(served: Serving) -> None:
    client, server = pair()
    duplicate = server.dup()
    greeted = Event()

    def answer() -> None:
        peer = Peer(server)
        peer.receive()
        peer.send(encode(Kind.WELCOME))
        peer.receive()
        greeted.set()

    thread = Thread(target=answer)
    thread.start()

    def revoke() -> None:
        assert greeted.wait(PATIENCE)
        duplicate.shutdown(socket.SHUT_RDWR)

    other = Thread(target=revoke)
    other.start()
    with pytest.raises(Revoked, match="exclave status"):
        bind(client, Probe, target="probe").echo(b"x")
    for waiting in (thread, other):
        waiting.join(PATIENCE)
    server.close()
    duplicate.close()


def test_a_client_that_may_reconnect_does_so_after_a_revocation(served: Serving) -> None:
    probe = bind(None, Probe, target="probe", reconnect=lambda _left: served.connect())
    assert probe.echo(b"1") == b"1"
    served.within(lambda: served.server.remove(1))
    with pytest.raises(Revoked):
        probe.echo(b"2")
    assert probe.echo(b"3") == b"3"
    assert _behind(served).log == [b"1", b"3"]


def test_what_reconnecting_raises_is_what_the_call_raises() -> None:
    def refuse(left: float) -> socket.socket:
        assert 0 < left <= 5
        raise Refused("NotGranted", "add probe to `use`")

    with pytest.raises(Refused, match="add probe to `use`"):
        bind(None, Probe, target="probe", reconnect=refuse, timeout=5).echo(b"x")


def test_close_ends_the_connection_and_later_calls(served: Serving, probe: Probe) -> None:
    close(probe)
    assert served.report().text == "closed"
    with pytest.raises(Revoked, match="the client for probe was closed"):
        probe.echo(b"x")
    with pytest.raises(TypeError, match="is not a client"):
        close(Probe())


def test_a_call_waits_for_room_in_the_servers_queue_until_its_deadline() -> None:
    stop = Event()

    def deaf(peer: Peer) -> None:
        peer.receive()
        peer.send(encode(Kind.WELCOME))
        assert stop.wait(PATIENCE)

    with acting(deaf) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 70_000)
        probe = bind(sock, Probe, target="probe")
        # The first calls fill the queue of a server that does not receive; the later ones find no room.
        for _ in range(5):
            with deadline(0.01), pytest.raises(DeadlineExceeded):
                probe.echo(bytes(60_000))
        stop.set()
