from __future__ import annotations

import os
import pty
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from exclave.abi import control
from exclave.abi.rights import WRITE
from exclave.monolith import world as subject
from exclave.monolith.world import World, from_terminal
from exclave.nucleus.shell.audit import read
from exclave.nucleus.shell.distribution import CONNECTIONS
from exclave.nucleus.shell.spawn import Process
from support.descriptions import rich
from support.descriptors import open_descriptors
from support.nuclei import Booted


class Scene:
    """A booted system of which every exclave serves, and its monolith, which is this test."""

    def __init__(self, directory: Path) -> None:
        self.booted = Booted(rich(), directory)
        self.booted.ready("signer", "ledger", "nic")
        self.nucleus = self.booted.nucleus
        self.world = World(self.nucleus)
        ours, self.first = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self.first.settimeout(5)
        reading, self._life = os.pipe()
        pid = os.posix_spawn("/bin/cat", ["cat"], {}, file_actions=[(os.POSIX_SPAWN_DUP2, reading, 0)])
        os.close(reading)
        identity = self.nucleus.identities.own
        self.nucleus.monolith = Process("monolith", pid, os.pidfd_open(pid), ours, None, identity, (), ())
        self.clients: list[socket.socket] = []

    def ask(
        self, kind: str, name: str, descriptors: int = 0
    ) -> tuple[control.ControlMessage | None, list[int]]:
        """Ask as a process of the monolith, on a new connection; the answer and its descriptors."""
        client, server = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.settimeout(5)
        self.clients.append(client)
        if not self.world._answer(server, control.Ask(kind, name)):
            server.close()
        return control.receive(client, descriptors)

    def admitted(self, name: str) -> control.Admit:
        """The next admission at an exclave; its socket is closed."""
        message, descriptors = control.receive(self.booted.exclaves[name], 1)
        control.close_all(descriptors)
        assert isinstance(message, control.Admit)
        return message

    def hear(self, *messages: control.ControlMessage) -> None:
        """Say something as the monolith's first process."""
        for message in messages:
            control.send(self.first, message)
        while self.world._heard():
            continue

    def end_first(self) -> None:
        """End the monolith's first process with exit code 0."""
        os.close(self._life)
        self._life = -1
        assert self.nucleus.monolith is not None
        self.nucleus.monolith.wait()

    def close(self) -> None:
        self.world.close()
        self.booted.close()
        for sock in (*self.clients, self.first):
            sock.close()
        if self._life >= 0:
            os.close(self._life)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()


def test_endpoint_of_the_description_is_granted_once_for_each_process(scene: Scene) -> None:
    assert scene.ask("endpoint", "signer") == (control.Granted(6), [])
    assert scene.ask("endpoint", "signer") == (control.Granted(6), [])
    assert scene.ask("endpoint", "nic") == (control.Granted(WRITE), [])
    assert scene.admitted("signer") == control.Admit(1, "monolith", 4, 6)
    assert scene.admitted("signer") == control.Admit(2, "monolith", 4, 6)
    assert scene.admitted("nic") == control.Admit(3, "monolith", 4, WRITE)
    assert len({entry.slot for entry in scene.nucleus.connections}) == 3


@pytest.mark.parametrize("name", ["ledger", "nobody", "monolith", "", "x" * 5000, "si\x1b[1mgner"])
def test_endpoint_that_is_not_granted_is_denied_with_the_line_that_would_grant_it(
    scene: Scene, name: str
) -> None:
    answer, _ = scene.ask("endpoint", name)
    assert isinstance(answer, control.Denied)
    assert answer.code == "FAILED_LOOKUP"
    assert "[monolith] use" in answer.text
    (entry,) = [entry for entry in read(scene.booted.log) if entry["kind"] == "denied"]
    assert entry["asked"].isprintable()
    assert len(entry["asked"]) < 100
    assert list(scene.nucleus.connections) == []


def test_denials_are_logged_up_to_a_limit(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "DENIALS_LOGGED", 3)
    for _ in range(6):
        scene.ask("endpoint", "nobody")
    assert [entry["kind"] for entry in read(scene.booted.log)].count("denied") == 3


def test_asker_that_is_gone_takes_no_slot(scene: Scene) -> None:
    client, server = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.close()
    with server, pytest.raises(BrokenPipeError):
        scene.world._answer(server, control.Ask("endpoint", "signer"))
    assert list(scene.nucleus.connections) == []
    assert scene.ask("endpoint", "signer")[0] == control.Granted(6)


def test_connections_are_bounded_and_closing_one_makes_room(scene: Scene) -> None:
    for _ in range(CONNECTIONS):
        assert scene.ask("endpoint", "signer")[0] == control.Granted(6)
        scene.admitted("signer")
    answer, _ = scene.ask("endpoint", "signer")
    assert answer == control.Denied("NOT_ENOUGH_MEMORY", "the monolith has 256 connections open; close some")
    scene.booted.tell("signer", control.Dropped(17, "closed"))
    assert scene.ask("endpoint", "signer")[0] == control.Granted(6)


def test_exclave_that_has_ended_is_told_with_its_reason(scene: Scene) -> None:
    scene.booted.leave("signer")
    assert scene.ask("endpoint", "signer")[0] == control.Denied("Stopped", "signer exited with 0")
    assert scene.ask("endpoint", "nic")[0] == control.Granted(WRITE)


def test_full_log_costs_the_monolith_its_new_connections(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "SIZE_LIMIT", scene.nucleus.audit.size - 1)
    answer, _ = scene.ask("endpoint", "signer")
    assert answer == control.Denied("NOT_ENOUGH_MEMORY", "the audit log is full; start the system anew")


@pytest.mark.parametrize("kind", ["", "secret", "endpoint ", "x" * 1000])
def test_question_of_another_kind_is_denied(scene: Scene, kind: str) -> None:
    answer, _ = scene.ask(kind, "signer")
    assert isinstance(answer, control.Denied)
    assert answer.code == "INVALID_ARGUMENT"


def test_region_is_given_with_the_rights_of_the_description(scene: Scene) -> None:
    answer, (reading,) = scene.ask("region", "orders", 1)
    assert answer == control.Granted(0, size=8192)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.write(reading, b"x")
    answer, (writing,) = scene.ask("region", "ring", 1)
    assert answer == control.Granted(0, size=4096, writable=True)
    assert os.pwrite(writing, b"x", 0) == 1
    # A second process of the monolith gets the same mapping.
    answer, (again,) = scene.ask("region", "ring", 1)
    assert os.pread(again, 1, 0) == b"x"
    control.close_all([reading, writing, again])
    maps = [entry for entry in read(scene.booted.log) if entry.get("op") == "map_frame"]
    assert [entry["result"] for entry in maps] == ["OK", "OK"]


def test_notification_is_given_to_wait_or_to_signal(scene: Scene) -> None:
    answer, waits = scene.ask("notification", "paid", 8)
    assert answer == control.Granted(0, wait=True, badges=(1, 2))
    assert len(waits) == 2
    answer, signals = scene.ask("notification", "wake", 8)
    assert answer == control.Granted(0, wait=False, badges=(1,))
    assert len(signals) == 1
    control.close_all([*waits, *signals])


@pytest.mark.parametrize(
    ("kind", "name"),
    [("region", "scratch"), ("region", "none"), ("notification", "none"), ("region", "paid")],
)
def test_what_is_shared_with_others_only_is_denied(scene: Scene, kind: str, name: str) -> None:
    before = open_descriptors()
    answer, descriptors = scene.ask(kind, name, 4)
    assert isinstance(answer, control.Denied)
    assert answer.code == "FAILED_LOOKUP"
    assert descriptors == []
    # The asker's own end is still open.
    assert len(open_descriptors()) == len(before) + 1


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (control.Exited(0), 0),
        (control.Exited(42), 42),
        (control.Exited(300), 44),
        (control.Exited(-1), 255),
        (control.Failed("execve", "126", "x"), 126),
        (control.Failed("execve", "999", "x"), 231),
        (control.Failed("execve", "1" * 5000, "x"), 125),
        (control.Failed("execve", "-1", "x"), 125),
        (control.Failed("execve", "", "x"), 125),
    ],
)
def test_what_its_first_process_says_is_the_exit_code(
    scene: Scene, message: control.ControlMessage, code: int
) -> None:
    scene.hear(control.Launched(), message, control.Exited(7))
    assert scene.nucleus.exit_code == code
    exits = [entry["code"] for entry in read(scene.booted.log) if entry["kind"] == "exit"]
    assert exits == [code]


def test_what_its_first_process_says_is_shown_harmlessly(scene: Scene) -> None:
    scene.hear(control.Failed("execve", "127", "a\x1b[2Jb"))
    assert scene.booted.warnings() == [r"a\x1b[2Jb"]


def test_junk_of_its_first_process_changes_nothing(scene: Scene) -> None:
    scene.first.send(b"junk")
    scene.hear(control.Begin(), control.Ready((), b""))
    assert scene.nucleus.exit_code is None
    assert not scene.world._launched


def test_last_words_count_when_its_first_process_has_ended(scene: Scene) -> None:
    for message in (control.Launched(), control.Exited(9)):
        control.send(scene.first, message)
    scene.end_first()
    scene.world._died()
    assert scene.nucleus.exit_code == 9
    assert scene.booted.warnings() == []


def test_first_process_that_ends_without_a_word_gives_its_own_code(scene: Scene) -> None:
    scene.end_first()
    scene.world._died()
    assert scene.nucleus.exit_code == 0
    assert scene.booted.warnings() == ["the monolith's first process ended with 0"]


def test_killed_first_process_gives_the_shells_code(scene: Scene) -> None:
    assert scene.nucleus.monolith is not None
    scene.nucleus.monolith.kill()
    scene.nucleus.monolith.wait()
    scene.world._died()
    assert scene.nucleus.exit_code == 128 + 9


def test_signal_is_passed_on_until_the_end(scene: Scene) -> None:
    scene.world._forward(15)
    assert control.receive(scene.first)[0] == control.Signal(15)
    scene.first.close()
    scene.world._forward(15)
    scene.nucleus.exit_code = 0
    scene.world._forward(15)


def test_process_without_a_terminal_is_in_no_foreground() -> None:
    kept = os.dup(0)
    null = os.open("/dev/null", os.O_RDONLY)
    main, terminal = pty.openpty()
    try:
        os.dup2(null, 0)
        assert not from_terminal()
        # A terminal of another session is not this process's.
        os.dup2(terminal, 0)
        assert not from_terminal()
    finally:
        os.dup2(kept, 0)
        control.close_all([kept, null, main, terminal])
