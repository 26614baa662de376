from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator

import pytest

from exclave.nucleus.shell.loop import Loop
from support.descriptors import open_descriptors


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with one, other:
        yield one, other


def test_callback_runs_for_each_readable_descriptor(
    loop: Loop, pair: tuple[socket.socket, socket.socket]
) -> None:
    heard: list[bytes] = []
    loop.watch(pair[1].fileno(), lambda: heard.append(pair[1].recv(10)))
    pair[0].send(b"one")
    pair[0].send(b"two")
    assert loop.run_until(lambda: len(heard) == 2, 5)
    assert heard == [b"one", b"two"]


def test_callback_runs_when_the_peer_is_gone(loop: Loop, pair: tuple[socket.socket, socket.socket]) -> None:
    heard: list[bytes] = []
    loop.watch(pair[1].fileno(), lambda: heard.append(pair[1].recv(10)))
    pair[0].close()
    assert loop.run_until(lambda: bool(heard), 5)
    assert heard[0] == b""


def test_forgotten_descriptor_is_not_called_even_when_it_was_ready_in_the_same_turn(
    loop: Loop, pair: tuple[socket.socket, socket.socket]
) -> None:
    called: list[str] = []
    one, other = pair

    def callback(name: str, own: socket.socket, rival: socket.socket) -> None:
        called.append(name)
        own.recv(10)
        loop.forget(rival.fileno())

    loop.watch(one.fileno(), lambda: callback("one", one, other))
    loop.watch(other.fileno(), lambda: callback("other", other, one))
    one.send(b"x")
    other.send(b"x")
    assert not loop.run_until(lambda: len(called) == 2, 0.01)
    assert len(called) == 1
    loop.forget(one.fileno())
    loop.forget(one.fileno())


def test_timers_run_in_the_order_of_their_times(loop: Loop) -> None:
    ran: list[str] = []
    loop.later(0.003, lambda: ran.append("third"))
    loop.later(0, lambda: ran.append("first"))
    loop.later(0, lambda: ran.append("second"))
    assert loop.run_until(lambda: len(ran) == 3, 5)
    assert ran == ["first", "second", "third"]


def test_run_until_gives_up_in_time_and_asks_first(loop: Loop) -> None:
    assert loop.run_until(lambda: True, 0)
    assert not loop.run_until(lambda: False, 0)
    assert not loop.run_until(lambda: False, 0.002)


def test_signal_is_seen_between_callbacks_and_wakes_the_loop(loop: Loop) -> None:
    seen: list[int] = []
    loop.on_signal(signal.SIGUSR1, seen.append)
    loop.on_signal(signal.SIGUSR2, seen.append)

    def inside() -> None:
        signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGUSR2)
        signal.raise_signal(signal.SIGUSR1)
        assert seen == []

    loop.later(0, inside)
    assert loop.run_until(lambda: bool(seen), 5)
    assert seen == [signal.SIGUSR1, signal.SIGUSR2]
    signal.raise_signal(signal.SIGUSR2)
    assert loop.run_until(lambda: len(seen) == 3)


def test_flood_of_signals_does_not_block(loop: Loop) -> None:
    seen: list[int] = []
    loop.on_signal(signal.SIGUSR1, seen.append)
    for _ in range(5000):
        signal.raise_signal(signal.SIGUSR1)
    assert loop.run_until(lambda: bool(seen), 5)
    assert seen == [signal.SIGUSR1]


def test_closed_loop_gives_signals_back_and_leaves_no_descriptor() -> None:
    before = open_descriptors()
    loop = Loop()
    loop.on_signal(signal.SIGUSR1, lambda _: None)
    loop.close()
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    assert signal.set_wakeup_fd(-1) == -1
    assert open_descriptors() == before


def test_callback_that_raises_ends_the_run(loop: Loop) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"x")

    def fail() -> None:
        raise ZeroDivisionError

    loop.watch(reading, fail)
    with pytest.raises(ZeroDivisionError):
        loop.run_until(lambda: False, 5)
    os.close(reading)
    os.close(writing)
