from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exclave.abi import control
from exclave.nucleus.shell import asks as subject
from exclave.nucleus.shell.asks import Asks
from exclave.nucleus.shell.loop import Loop
from support.descriptors import open_descriptors


class Scene:
    """A listener that answers on a loop of its own, and clients of it."""

    def __init__(self, directory: Path) -> None:
        self.path = str(directory / "nucleus")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(self.path)
        listener.listen(256)
        self.loop = Loop()
        self.asked: list[control.Ask] = []
        self.taken: list[socket.socket] = []
        self.answer: Callable[[socket.socket], bool] = self.take
        self.asks = Asks(self.loop, listener, self.on_ask)
        self.clients: list[socket.socket] = []

    def on_ask(self, sock: socket.socket, question: control.Ask) -> bool:
        self.asked.append(question)
        return self.answer(sock)

    def take(self, sock: socket.socket) -> bool:
        """Answer with a grant and keep the socket."""
        control.send(sock, control.Granted(6))
        self.taken.append(sock)
        return True

    def deny(self, sock: socket.socket) -> bool:
        """Answer with a refusal."""
        control.send(sock, control.Denied("FAILED_LOOKUP", "no"))
        return False

    def client(self) -> socket.socket:
        """A new connection."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.settimeout(5)
        sock.connect(self.path)
        self.clients.append(sock)
        return sock

    def turn(self) -> None:
        """Serve until nothing is ready any more."""
        while self.loop._epoll.poll(0):
            self.loop._turn(0)

    def close(self) -> None:
        self.asks.close()
        for sock in (*self.clients, *self.taken):
            sock.close()
        self.loop.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()


def test_question_is_answered_and_the_socket_taken_over(scene: Scene) -> None:
    client = scene.client()
    control.send(client, control.Ask("endpoint", "signer"))
    scene.turn()
    assert control.receive(client) == (control.Granted(6), [])
    assert scene.asked == [control.Ask("endpoint", "signer")]
    client.send(b"a call")
    assert scene.taken[0].recv(10) == b"a call"


def test_taken_socket_is_not_dropped_when_its_time_is_over(scene: Scene) -> None:
    client = scene.client()
    control.send(client, control.Ask("endpoint", "signer"))
    scene.turn()
    scene.asks._drop(scene.taken[0])
    scene.taken[0].send(b"still here")
    assert control.receive(client)[0] == control.Granted(6)
    assert client.recv(100) == b"still here"


def test_refused_question_is_answered_and_the_socket_closed(scene: Scene) -> None:
    scene.answer = scene.deny
    client = scene.client()
    control.send(client, control.Ask("region", "x"))
    scene.turn()
    assert control.receive(client)[0] == control.Denied("FAILED_LOOKUP", "no")
    with pytest.raises(EOFError):
        control.receive(client)


@pytest.mark.parametrize("data", [b"junk", b"\x91\x08", control.encode(control.Exited(0)), bytes(120_000)])
def test_junk_is_dropped_without_an_answer(scene: Scene, data: bytes) -> None:
    client = scene.client()
    client.send(data)
    scene.turn()
    assert scene.asked == []
    with pytest.raises(EOFError):
        control.receive(client)


def test_client_that_leaves_is_forgotten(scene: Scene) -> None:
    before = open_descriptors()
    for _ in range(5):
        scene.client()
    scene.turn()
    for sock in scene.clients:
        sock.close()
    scene.turn()
    assert scene.asks._pending == {}
    assert open_descriptors() == before


def test_descriptors_sent_along_are_not_received(scene: Scene) -> None:
    reading, writing = os.pipe()
    scene.answer = scene.deny
    client = scene.client()
    scene.turn()
    before = open_descriptors()
    socket.send_fds(client, [control.encode(control.Ask("endpoint", "x"))], [reading, writing, reading])
    scene.turn()
    assert scene.asked == [control.Ask("endpoint", "x")]
    # Only the connection's own descriptor is gone, and nothing has come.
    assert open_descriptors() < before
    assert len(before - open_descriptors()) == 1
    control.close_all([reading, writing])


def test_silent_clients_cost_at_most_pending_descriptors_and_make_room_in_time(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "PENDING", 4)
    monkeypatch.setattr(subject, "ASK_SECONDS", 0.02)
    before = len(open_descriptors())
    silent = [scene.client() for _ in range(10)]
    late = scene.client()
    control.send(late, control.Ask("endpoint", "signer"))
    most = 0

    def answered() -> bool:
        nonlocal most
        most = max(most, len(scene.asks._pending))
        return bool(scene.taken)

    assert scene.loop.run_until(answered, 20)
    assert most == 4
    assert control.receive(late)[0] == control.Granted(6)
    assert scene.loop.run_until(lambda: not scene.asks._pending, 5)
    # What remains is the clients themselves and the one socket that was taken over.
    assert len(open_descriptors()) == before + len(silent) + 2


def test_flood_is_slowed_down_to_the_rate(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    scene.asks._refilled = now
    scene.asks._tokens = 3.0
    taken = [scene.asks._take_token() for _ in range(5)]
    assert taken == [True, True, True, False, False]
    now += 1.0
    assert [scene.asks._take_token() for _ in range(201)].count(True) == 200
    now += 3600.0
    assert [scene.asks._take_token() for _ in range(1000)].count(True) == subject.BURST


def test_client_without_a_token_waits_in_the_queue_and_is_answered(scene: Scene) -> None:
    scene.asks._tokens = 0.0
    scene.answer = scene.deny
    clients = [scene.client() for _ in range(3)]
    for client in clients:
        control.send(client, control.Ask("endpoint", "x"))
    assert scene.loop.run_until(lambda: len(scene.asked) == 3, 5)
    assert [control.receive(client)[0] for client in clients] == [control.Denied("FAILED_LOOKUP", "no")] * 3


def test_asker_that_is_gone_when_it_is_answered_costs_nothing(scene: Scene) -> None:
    client = scene.client()
    control.send(client, control.Ask("endpoint", "x"))

    def gone(sock: socket.socket) -> bool:
        client.close()
        return scene.take(sock)

    scene.answer = gone
    before = open_descriptors()
    scene.turn()
    assert scene.asked == [control.Ask("endpoint", "x")]
    assert scene.taken == []
    assert len(open_descriptors()) == len(before) - 1


def test_bug_in_the_answer_closes_the_socket_and_comes_out(scene: Scene) -> None:
    def fail(_sock: socket.socket) -> bool:
        raise ZeroDivisionError

    scene.answer = fail
    client = scene.client()
    control.send(client, control.Ask("endpoint", "x"))
    with pytest.raises(ZeroDivisionError):
        scene.turn()
    with pytest.raises(EOFError):
        control.receive(client)


def test_close_drops_whoever_waits_even_while_accepting_is_paused(tmp_path: Path) -> None:
    before = open_descriptors()
    scene = Scene(tmp_path)
    silent = scene.client()
    scene.turn()
    scene.asks._tokens = 0.0
    scene.client()
    scene.turn()
    scene.asks.close()
    assert silent.recv(10) == b""
    over: list[bool] = []
    scene.loop.later(2 / subject.RATE, lambda: over.append(True))
    assert scene.loop.run_until(lambda: bool(over), 5)
    for sock in scene.clients:
        sock.close()
    scene.loop.close()
    assert open_descriptors() == before
