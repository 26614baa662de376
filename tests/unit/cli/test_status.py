from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from exclave.nucleus.shell import status as subject
from exclave.nucleus.shell.status import StatusError, StatusSocket, ask, running, snapshot
from support.descriptions import rich
from support.descriptors import open_descriptors
from support.nuclei import Booted

Run = Callable[..., Result]


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where running systems have their directories."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "exclave").mkdir(mode=0o700)
    return tmp_path / "exclave"


class Serving:
    """A system that answers for its status, on a thread of its own."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700)
        self.booted = Booted(rich(), directory)
        self.booted.ready("signer", "ledger")
        self.socket = StatusSocket(self.booted.nucleus)
        self._ending, ended = os.pipe()
        self._ended = ended
        done: list[bool] = []
        loop = self.booted.nucleus.loop
        loop.watch(self._ending, lambda: done.append(bool(os.read(self._ending, 1))))
        self.thread = threading.Thread(target=lambda: loop.run_until(lambda: bool(done)))
        self.thread.start()

    def close(self) -> None:
        os.write(self._ended, b"x")
        self.thread.join()
        self.booted.nucleus.loop.forget(self._ending)
        self.socket.close()
        self.booted.close()
        os.close(self._ending)
        os.close(self._ended)


@pytest.fixture
def serving(runtime: Path) -> Iterator[Serving]:
    made = Serving(runtime / "shop-1")
    yield made
    made.close()


def test_json_shows_the_whole_system(serving: Serving, run: Run) -> None:
    result = run("status", "--json")
    assert result.exit_code == 0, result.stderr
    answer = json.loads(result.stdout)
    assert set(answer) == {
        *("system", "description", "pid", "tier", "stage", "measurement", "log", "domains"),
        *("capabilities", "conclaves", "connections"),
    }
    assert answer["system"] == "shop"
    assert answer["tier"] == "full"
    assert answer["stage"] == "SEALED"
    assert answer["pid"] == os.getpid()
    assert len(answer["measurement"]) == 64
    assert {entry["name"]: entry["kind"] for entry in answer["domains"]} == {
        "signer": "exclave",
        "ledger": "exclave",
        "nic": "driver",
        "monolith": "monolith",
    }
    assert answer["conclaves"] == [{"name": "payments", "state": "RUNNING"}]
    signer = answer["domains"][0]
    assert signer["methods"] == ["sign"]
    assert signer["state"] == "RUNNING"
    assert signer["component"] == "signer:Signer"
    assert signer["reason"] is None
    kinds = [entry["kind"] for entry in answer["capabilities"]]
    assert (kinds.count("endpoint"), kinds.count("region"), kinds.count("notification")) == (4, 6, 5)
    assert all(entry["live"] for entry in answer["capabilities"])


def test_text_shows_domains_and_capabilities(serving: Serving, run: Run) -> None:
    result = run("status", "shop")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"shop  tier full  SEALED  nucleus {os.getpid()}"
    assert any(line.startswith("signer") and "RUNNING" in line and "sign" in line for line in lines)
    assert any("paid" in line and "notification" in line for line in lines)
    assert lines[-1] == f"log: {serving.booted.log}"
    assert "\x1b" not in result.stdout


def test_system_is_named_by_its_name_or_by_its_directory(serving: Serving) -> None:
    assert ask("shop")["system"] == "shop"
    assert ask("shop-1")["system"] == "shop"
    for other in ("shop-2", "sho", "bank"):
        with pytest.raises(StatusError, match=f'no system "{other}" is running'):
            ask(other)


def test_ended_exclave_has_its_reason_and_no_live_capability(runtime: Path, tmp_path: Path) -> None:
    booted = Booted(rich(), tmp_path)
    booted.ready("signer", "ledger")
    booted.leave("ledger")
    answer = snapshot(booted.nucleus)
    ledger = answer["domains"][1]
    assert ledger["state"] == "STOPPED"
    assert ledger["reason"] == "exited with 0"
    assert "pid" not in ledger
    dead = {(entry["holder"], entry["target"]) for entry in answer["capabilities"] if not entry["live"]}
    assert dead == {("ledger", "orders"), ("ledger", "paid"), ("ledger", "wake")}
    booted.close()


def test_nothing_running_exits_125_and_says_how_to_start(runtime: Path, run: Run) -> None:
    result = run("status")
    assert result.exit_code == 125
    assert "no system is running for this user; start one with `exclave run exclave.toml`" in result.stderr
    assert result.stdout == ""


def test_several_systems_must_be_told_apart(serving: Serving, runtime: Path) -> None:
    other = Serving(runtime / "shop-2")
    try:
        with pytest.raises(StatusError, match=r"several systems are running: .*; name one"):
            ask("shop")
        assert ask("shop-2")["system"] == "shop"
        assert [path.name for path in running()] == ["shop-1", "shop-2"]
    finally:
        other.close()


def listening(path: Path) -> socket.socket:
    path.parent.mkdir(mode=0o700)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(path))
    return listener


def test_system_that_was_killed_does_not_answer(runtime: Path, run: Run) -> None:
    listening(runtime / "shop-9" / "status").close()
    result = run("status")
    assert result.exit_code == 125
    assert result.stderr == "exclave: no running system answered\n"


@pytest.mark.parametrize("data", [b"", b"junk", b"[1]", b"[" * 100_000, b'{"a":"\xff"}', None])
def test_answer_that_is_none_is_no_answer(
    runtime: Path, monkeypatch: pytest.MonkeyPatch, data: bytes | None
) -> None:
    monkeypatch.setattr(subject, "ASK_SECONDS", 5.0)
    with listening(runtime / "shop-9" / "status") as listener:
        listener.listen()

        def answer() -> None:
            with listener.accept()[0] as sock:
                if data is None:
                    sock.send(b"status")
                    return
                memory = os.memfd_create("answer")
                os.write(memory, data)
                os.lseek(memory, 0, os.SEEK_SET)
                socket.send_fds(sock, [b"status"], [memory])
                os.close(memory)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(StatusError, match="no running system answered"):
            ask(None)
        thread.join()


def test_answer_is_sealed_and_asking_leaves_nothing_at_the_nucleus(runtime: Path) -> None:
    before = open_descriptors()
    serving = Serving(runtime / "shop-1")
    silent = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(5)]
    for sock in silent:
        sock.connect(str(runtime / "shop-1" / "status"))
    assert ask("shop")["system"] == "shop"
    _, (descriptor,), _, _ = socket.recv_fds(silent[0], 64, 1)
    with pytest.raises(PermissionError):
        os.pwrite(descriptor, b"x", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 0)
    os.close(descriptor)
    for sock in silent:
        sock.close()
    serving.close()
    assert open_descriptors() == before


def test_wrong_use_exits_2(run: Run) -> None:
    assert run("status", "one", "two").exit_code == 2
