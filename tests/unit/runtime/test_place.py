from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exclave.abi import control
from exclave.abi.exceptions import Fault, Refused, Revoked
from exclave.runtime import place
from support.descriptors import open_descriptors


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where this process, as one of the monolith, looks for the nucleus."""
    where = str(tmp_path / "nucleus")
    monkeypatch.setenv("EXCLAVE_SOCKET", where)
    for name in ("EXCLAVE_INLINE", "EXCLAVE_ENDPOINTS"):
        monkeypatch.delenv(name, raising=False)
    return where


@contextmanager
def nucleus(path: str, answer: Callable[[socket.socket], object]) -> Iterator[list[control.Ask]]:
    """A nucleus that answers one question; gives what was asked."""
    asked: list[control.Ask] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen()

        def serve() -> None:
            with listener.accept()[0] as sock:
                asked.append(control.expect(sock, control.Ask)[0])
                answer(sock)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield asked
        finally:
            thread.join()


def test_granted_endpoint_is_the_very_socket_of_the_question(path: str) -> None:
    def answer(sock: socket.socket) -> None:
        control.send(sock, control.Granted(6))
        sock.send(b"from the exclave")

    with nucleus(path, answer) as asked:
        sock, granted, received = place.ask("endpoint", "signer")
    assert asked == [control.Ask("endpoint", "signer")]
    assert (granted.rights, received) == (6, [])
    assert sock.recv(100) == b"from the exclave"
    assert sock.gettimeout() is None
    assert not os.get_inheritable(sock.fileno())
    sock.close()


@pytest.mark.parametrize(
    ("denied", "kind", "text"),
    [
        (control.Denied("FAILED_LOOKUP", "not yours"), Refused, "FAILED_LOOKUP: not yours"),
        (control.Denied("Stopped", "signer exited with 1"), Fault, "stopped: signer exited with 1"),
    ],
)
def test_denial_is_a_typed_error(path: str, denied: control.Denied, kind: type[Exception], text: str) -> None:
    before = open_descriptors()
    with nucleus(path, lambda sock: control.send(sock, denied)), pytest.raises(kind) as caught:
        place.ask("endpoint", "signer")
    assert str(caught.value) == text
    assert open_descriptors() == before


def test_no_nucleus_says_how_to_start_one(path: str) -> None:
    before = open_descriptors()
    with pytest.raises(Refused, match="start this program with `exclave run"):
        place.ask("endpoint", "signer")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
    with pytest.raises(Refused, match="--inline"):
        place.ask("endpoint", "signer")
    assert open_descriptors() == before


@pytest.mark.parametrize("data", [b"junk", control.encode(control.Begin()), bytes(120_000)])
def test_answer_that_is_none_is_refused_and_leaks_nothing(path: str, data: bytes) -> None:
    reading, writing = os.pipe()
    before = open_descriptors()
    answer = nucleus(path, lambda sock: socket.send_fds(sock, [data], [reading, writing]))
    with answer, pytest.raises(Refused, match='the nucleus gave no answer when asked for the region "x"'):
        place.ask("region", "x", 4)
    assert open_descriptors() == before
    control.close_all([reading, writing])


def test_nucleus_that_hangs_up_is_refused(path: str) -> None:
    with nucleus(path, lambda _: None), pytest.raises(Refused, match="the nucleus did not answer"):
        place.ask("region", "x", 1)


def test_nucleus_that_does_not_answer_in_time_is_refused(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "ASK_SECONDS", 0.01)
    given_up = threading.Event()
    with nucleus(path, lambda _: given_up.wait(20)):
        with pytest.raises(Refused, match="the nucleus did not answer"):
            place.ask("region", "x", 1)
        given_up.set()


def test_grant_without_its_descriptor_is_an_os_error(path: str) -> None:
    before = open_descriptors()
    answer = nucleus(path, lambda sock: control.send(sock, control.Granted(0)))
    with answer, pytest.raises(OSError, match="no free descriptor for the region x"):
        place.ask("region", "x", 1)
    assert open_descriptors() == before


def test_descriptors_of_an_answer_come_in_order_and_are_not_inherited(path: str) -> None:
    reading, writing = os.pipe()
    with nucleus(path, lambda sock: control.send(sock, control.Granted(0), (reading, writing))):
        sock, _, received = place.ask("notification", "x", 8)
    sock.close()
    os.write(received[1], b"x")
    assert os.read(reading, 1) == b"x"
    assert [os.get_inheritable(descriptor) for descriptor in received] == [False, False]
    control.close_all([reading, writing, *received])


def test_inline_system_has_no_nucleus_to_ask(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXCLAVE_INLINE", "{}")
    with pytest.raises(Refused, match='an inline system has no region "x", only components'):
        place.ask("region", "x", 1)


def test_connection_from_before_the_start_can_be_taken_once(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, exclaves = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with mine, exclaves:
        mine.setblocking(False)
        control.send(exclaves, control.Granted(2))
        monkeypatch.setenv("EXCLAVE_ENDPOINTS", f"echo=999,signer={mine.fileno()}")
        sock, granted, _ = place.ask("endpoint", "signer")
        with sock:
            assert granted.rights == 2
            assert sock.getblocking()
            sock.send(b"call")
            assert exclaves.recv(10) == b"call"
            sock.setblocking(False)
            before = open_descriptors()
            with pytest.raises(Refused, match="a single process of the monolith can use an exclave"):
                place.ask("endpoint", "signer")
            assert open_descriptors() == before


def test_connection_from_before_the_start_that_was_revoked_is_refused(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, exclaves = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with mine:
        exclaves.close()
        monkeypatch.setenv("EXCLAVE_ENDPOINTS", f"signer={mine.fileno()}")
        with pytest.raises(Refused, match='the one connection to "signer" is taken'):
            place.ask("endpoint", "signer")


@given(st.text(max_size=30))
def test_refusal_of_something_unknown_names_what_is_there(name: str) -> None:
    error = place.refuse_unknown("region", name, ["a", "b"])
    assert error.code == "FailedLookup"
    assert "it has: a, b" in error.text
    assert "it has: none" in place.refuse_unknown("region", name, []).text


def test_exclave_takes_each_connection_once_and_the_newest() -> None:
    handed = place.Handed("signer")
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
    handed.give_endpoint("ledger", pairs[0][0], 6)
    handed.give_endpoint("ledger", pairs[1][0], 2)
    # The one that was never taken is closed: its peer sees the end.
    assert pairs[0][1].recv(1) == b""
    assert handed.take_endpoint("ledger") is pairs[1][0]
    with pytest.raises(Revoked, match="ledger has ended, and does not serve again yet"):
        handed.take_endpoint("ledger")
    assert handed.endpoints["ledger"] == (None, 2)
    for pair in pairs:
        for end in pair:
            end.close()
