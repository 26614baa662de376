from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from exclave.abi import control
from exclave.abi.exceptions import Refused, Revoked
from exclave.runtime import place
from exclave.runtime.notification import Notification, notification
from support.descriptors import open_descriptors


class Scene:
    """Signallers and one waiter, as the nucleus connects them."""

    def __init__(self, count: int) -> None:
        self.stack = ExitStack()
        self.ends: list[tuple[socket.socket, socket.socket]] = []
        for _ in range(count):
            signal, wait = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            signal.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            self.stack.enter_context(signal)
            self.stack.enter_context(wait)
            self.ends.append((signal, wait))
        self.signallers = [Notification("paid", signal, []) for signal, _ in self.ends]
        self.waiter = self.another()

    def another(self) -> Notification:
        """One more object for the waiter's side: it shares the sockets."""
        return Notification("paid", None, [(wait, 1 << bit) for bit, (_, wait) in enumerate(self.ends)])


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene(3)
    with made.stack:
        yield made


def test_wait_returns_the_bits_of_all_who_signalled_and_clears_them(scene: Scene) -> None:
    scene.signallers[0].signal()
    scene.signallers[2].signal()
    assert scene.waiter.wait(5) == 0b101
    assert scene.waiter.wait(0) == 0
    scene.signallers[1].signal()
    assert scene.waiter.wait() == 0b010


def test_signals_coalesce(scene: Scene) -> None:
    for _ in range(3):
        scene.signallers[0].signal()
    assert scene.waiter.wait(5) == 1
    assert scene.waiter.wait(0) == 0


def test_signal_never_blocks_and_is_not_lost_when_the_queue_is_full(scene: Scene) -> None:
    for _ in range(20_000):
        scene.signallers[1].signal()
    assert scene.waiter.wait(5) == 2
    assert scene.waiter.wait(0) == 0
    scene.signallers[1].signal()
    assert scene.waiter.wait(5) == 2


def test_waiter_is_woken_by_a_signal_that_comes_later(scene: Scene) -> None:
    words: list[int] = []
    thread = threading.Thread(target=lambda: words.append(scene.waiter.wait(20)))
    thread.start()
    scene.signallers[2].signal()
    thread.join(20)
    assert words == [4]


def test_time_out_gives_no_bits(scene: Scene) -> None:
    assert scene.waiter.wait(0.002) == 0
    assert scene.waiter.wait(-1) == 0


def test_signaller_that_leaves_does_not_end_a_wait_for_the_others(scene: Scene) -> None:
    scene.ends[0][0].close()
    assert scene.waiter.wait(0.01) == 0
    scene.signallers[1].signal()
    assert scene.waiter.wait(5) == 2


def test_last_signal_of_one_that_left_is_seen(scene: Scene) -> None:
    scene.signallers[0].signal()
    scene.ends[0][0].close()
    assert scene.waiter.wait(5) == 1


def test_wait_without_any_signaller_left_is_revoked(scene: Scene) -> None:
    for signal, _ in scene.ends:
        signal.close()
    other = scene.another()
    for _ in range(2):
        with pytest.raises(Revoked, match='every signaller of the notification "paid" is gone'):
            scene.waiter.wait()
    # The first object closed the sockets that both share.
    with pytest.raises(Revoked):
        other.wait(0)


def test_signal_without_a_waiter_is_revoked(scene: Scene) -> None:
    scene.ends[0][1].close()
    with pytest.raises(Revoked, match='the notification "paid" was revoked'):
        scene.signallers[0].signal()
    scene.ends[1][0].shutdown(socket.SHUT_RDWR)
    with pytest.raises(Revoked):
        scene.signallers[1].signal()


def test_hostile_signaller_wakes_the_waiter_and_does_no_more(scene: Scene) -> None:
    reading, writing = os.pipe()
    before = open_descriptors()
    signal = scene.ends[0][0]
    signal.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
    signal.send(os.urandom(60_000))
    socket.send_fds(signal, [b"x"], [reading, writing])
    assert scene.waiter.wait(5) == 1
    assert open_descriptors() == before
    scene.signallers[1].signal()
    assert scene.waiter.wait(5) == 2
    control.close_all([reading, writing])


def test_each_side_is_refused_the_other(scene: Scene) -> None:
    with pytest.raises(Refused, match=r"may signal the notification .*, not wait"):
        scene.signallers[0].wait(0)
    with pytest.raises(Refused, match=r"may wait for the notification .*, not signal"):
        scene.waiter.signal()


def test_exclave_finds_what_it_was_handed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    handed = place.Handed(
        "ledger", signals={"paid": scene.ends[0][0]}, waits={"wake": [(scene.ends[1][1], 1)]}
    )
    monkeypatch.setattr(place, "_handed", handed)
    notification("paid").signal()
    assert scene.waiter.wait(5) == 1
    scene.signallers[1].signal()
    assert notification("wake").wait(5) == 1
    with pytest.raises(Refused, match=r'was handed no notification "other" .it has: paid, wake'):
        notification("other")


@pytest.mark.parametrize("wait", [True, False])
def test_monolith_asks_the_nucleus(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait: bool
) -> None:
    monkeypatch.setenv("EXCLAVE_SOCKET", str(tmp_path / "nucleus"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(tmp_path / "nucleus"))
        listener.listen()

        def answer() -> None:
            with listener.accept()[0] as sock:
                asked, _ = control.expect(sock, control.Ask)
                ends = [pair[1] for pair in scene.ends] if wait else [scene.ends[1][0]]
                badges = (1, 2, 4) if wait else (2,)
                granted = control.Granted(0, wait=wait, badges=badges)
                if asked == control.Ask("notification", "paid"):
                    control.send(sock, granted, tuple(end.fileno() for end in ends))

        thread = threading.Thread(target=answer)
        thread.start()
        mine = notification("paid")
        thread.join()
    if wait:
        scene.signallers[2].signal()
        assert mine.wait(5) == 4
    else:
        mine.signal()
        assert scene.waiter.wait(5) == 2
    sockets = [sock for sock, _ in mine._waits] + ([mine._signal] if mine._signal else [])
    assert [os.get_inheritable(sock.fileno()) for sock in sockets] == [False] * len(sockets)
    for sock in sockets:
        sock.close()
