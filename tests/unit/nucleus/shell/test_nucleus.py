from __future__ import annotations

import os
import resource
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from exclave.abi import control
from exclave.abi.exceptions import Revoked
from exclave.nucleus.shell.audit import AuditError, read
from exclave.nucleus.shell.dispatch import Effect, NucleusBug, replay
from exclave.nucleus.shell.member import Stage
from exclave.nucleus.shell.nucleus import FAULTS_LOGGED
from exclave.runtime.notification import Notification as Held
from support.descriptions import rich
from support.nuclei import PATIENCE, Booted


@pytest.fixture
def booted(tmp_path: Path) -> Iterator[Booted]:
    made = Booted(rich(), tmp_path)
    yield made
    made.close()


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_exclave_comes_up_by_entering_and_being_ready(booted: Booted) -> None:
    booted.ready("signer", "ledger", "nic")
    member = booted.member("signer")
    assert member.methods == ("sign",)
    assert member.secret_memory == "memfd_secret"
    assert booted.warnings() == []


@pytest.mark.parametrize(
    "message",
    [
        control.Ready(("sign",), bytes(16)),
        control.Entered("again"),
        control.Mapped("ring"),
        control.Mapped("no such region"),
        control.Exited(0),
        control.Granted(7),
        control.Begin(),
    ],
)
def test_message_out_of_its_place_is_a_fault_of_the_exclave_alone(
    booted: Booted, message: control.ControlMessage
) -> None:
    booted.ready("signer", "ledger")
    pid = booted.member("signer").process
    assert pid is not None
    booted.tell("signer", message)
    assert booted.member("signer").stage is Stage.ENDED
    assert booted.member("signer").reason == "sent something that is no control message at this point"
    assert not alive(pid.pid)
    assert booted.member("ledger").stage is Stage.READY


@pytest.mark.parametrize("data", [b"junk", b"\x91\x09", bytes(200_000)])
def test_junk_is_a_fault(booted: Booted, data: bytes) -> None:
    booted.ready("signer")
    booted.exclaves["signer"].send(data)
    booted.turn()
    assert booted.member("signer").stage is Stage.ENDED


def test_ready_before_entering_is_a_fault(booted: Booted) -> None:
    booted.tell("signer", control.Ready((), b""))
    assert booted.member("signer").stage is Stage.ENDED


def test_mapped_region_is_noted(booted: Booted) -> None:
    booted.tell("signer", control.Entered("x"), control.Mapped("orders"))
    assert booted.member("signer").mapped == {"orders"}


def test_failure_at_the_start_is_told_with_its_detail_and_without_control_characters(
    booted: Booted,
) -> None:
    booted.tell("signer", control.Entered("x"), control.Failed("im\x1bport", "Val\nue", "one\n\x1b[2Jtwo"))
    assert booted.warnings() == [r"signer im\x1bport raised Val\nue" + "\none\n\\x1b[2Jtwo"]
    assert booted.member("signer").stage is Stage.ENDED


def test_faults_of_calls_are_told_harmlessly_and_at_most_a_hundred_times(booted: Booted) -> None:
    booted.ready("signer")
    for number in range(FAULTS_LOGGED + 50):
        booted.tell("signer", control.FaultReport("si\x9bgn", "E\x07", f"{number}\n\x1b]0;title\x07"))
    warnings = booted.warnings()
    assert len(warnings) == FAULTS_LOGGED
    assert warnings[0] == "signer: si\\x9bgn raised E\\x07\n0\n\\x1b]0;title\\x07"
    assert "later faults are counted, not shown" in warnings[-1]
    assert booted.member("signer").faults == FAULTS_LOGGED + 50
    assert booted.member("signer").stage is Stage.READY


def test_hostile_texts_leave_a_log_that_can_be_read_and_replayed(booted: Booted) -> None:
    booted.tell("signer", control.Entered("s" * 90_000))
    booted.tell("signer", control.Ready(("\x01" * 300,) * 300, bytes(5000)))
    booted.tell("signer", control.FaultReport("m" * 30_000, "k" * 30_000, "t" * 30_000))
    booted.tell("signer", control.Failed("s" * 30_000, "\x02" * 30_000, "t" * 30_000))
    booted.close()
    kinds = [entry["kind"] for entry in read(booted.log)]
    assert kinds.count("ready") == 1
    assert kinds[-1] == "end"
    assert replay(read(booted.log)) == kinds.count("decision")
    assert booted.log.stat().st_size < 200_000


@pytest.mark.parametrize(
    ("number", "reason"),
    [(signal.SIGKILL, "was killed by signal 9"), (signal.SIGTERM, "was killed by signal 15")],
)
def test_killed_exclave_is_told(booted: Booted, number: signal.Signals, reason: str) -> None:
    process = booted.member("nic").process
    assert process is not None
    os.kill(process.pid, number)
    assert booted.nucleus.loop.run_until(lambda: booted.member("nic").stage is Stage.ENDED, PATIENCE)
    assert booted.warnings() == [f"nic {reason}"]


def test_exclave_that_exits_is_told(booted: Booted) -> None:
    booted.leave("nic")
    assert booted.warnings() == ["nic exited with 0"]


def test_last_words_of_a_process_are_heard_before_its_end(booted: Booted) -> None:
    control.send(booted.exclaves["nic"], control.Entered("x"))
    control.send(booted.exclaves["nic"], control.Failed("init", "OSError", "no disk"))
    booted.leave("nic")
    assert booted.warnings() == ["nic init raised OSError\nno disk"]


def test_exclave_that_closes_its_control_socket_is_ended(booted: Booted) -> None:
    booted.ready("nic")
    booted.exclaves["nic"].close()
    assert booted.nucleus.loop.run_until(lambda: booted.member("nic").stage is Stage.ENDED, PATIENCE)
    assert booted.member("nic").reason == "closed its control socket"


def test_exclave_that_does_not_read_its_messages_is_ended(booted: Booted) -> None:
    booted.ready("ledger")
    member = booted.member("ledger")
    for number in range(5000):
        booted.nucleus.tell(member, control.Withdraw(number))
    assert member.stage is Stage.ENDED
    assert member.reason == "does not read its control messages: Resource temporarily unavailable"
    booted.nucleus.tell(member, control.Withdraw(1))


def connected(booted: Booted, holder: str, target: str) -> socket.socket:
    """A client's end of a connection that the description gives the holder."""
    client, server = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.setblocking(False)
    slot = booted.nucleus.layout.uses[holder, target].slot
    booted.nucleus.connect(holder, booted.member(target), slot, server, copied=False)
    return client


def test_connection_is_admitted_with_the_badge_and_rights_of_the_core(booted: Booted) -> None:
    booted.ready("signer", "ledger")
    with connected(booted, "signer", "ledger") as client:
        message, (descriptor,) = control.receive(booted.exclaves["ledger"], 1)
        assert message == control.Admit(1, "signer", 1, 2)
        with socket.socket(fileno=descriptor) as served:
            client.send(b"call")
            assert served.recv(10) == b"call"


def test_ended_exclave_loses_what_it_serves_and_what_it_holds(booted: Booted) -> None:
    booted.ready("signer", "ledger", "nic")
    serves, holds = connected(booted, "nic", "ledger"), connected(booted, "signer", "ledger")
    with serves, holds:
        booted.tell("signer", control.Begin())
        assert holds.recv(10) == b""
        with pytest.raises(BlockingIOError):
            serves.recv(10)
        booted.tell("ledger", control.Begin())
        assert serves.recv(10) == b""
    assert list(booted.nucleus.connections) == []


def test_ended_exclave_loses_its_notifications(booted: Booted) -> None:
    (descriptor,), _ = booted.nucleus.shared.notifications["paid"].ends("ledger")
    waits, badges = booted.nucleus.shared.notifications["paid"].ends("monolith")
    sockets = [socket.socket(fileno=os.dup(end)) for end in (descriptor, *waits)]
    ledger = Held("paid", sockets[0], [])
    waiter = Held("paid", None, list(zip(sockets[1:], badges, strict=True)))
    ledger.signal()
    booted.tell("ledger", control.Begin())
    with pytest.raises(Revoked):
        ledger.signal()
    assert waiter.wait(5) == 1
    assert waiter.wait(0) == 0
    booted.tell("nic", control.Begin())
    with pytest.raises(Revoked):
        waiter.wait(5)
    for sock in sockets:
        sock.close()


def test_exclave_can_drop_its_own_callers_only(booted: Booted) -> None:
    booted.ready("signer", "ledger", "nic")
    with connected(booted, "signer", "ledger") as client:
        booted.tell("nic", control.Dropped(1, "closed"), control.Dropped(99, "closed"))
        with pytest.raises(BlockingIOError):
            client.recv(10)
        booted.tell("ledger", control.Dropped(1, "too slow \x1b"))
        assert client.recv(10) == b""
    assert booted.member("nic").stage is Stage.READY
    (entry,) = [entry for entry in read(booted.log) if entry["kind"] == "dropped"]
    assert entry["reason"] == r"too slow \x1b"


def test_revoked_capability_is_withdrawn_from_its_exclave(booted: Booted) -> None:
    booted.ready("ledger")
    with connected(booted, "nic", "ledger") as client:
        control.receive(booted.exclaves["ledger"], 1)
        layout = booted.nucleus.layout
        booted.nucleus.perform(booted.nucleus.dispatcher.must("revoke", layout.endpoints["ledger"]))
        assert client.recv(10) == b""
    assert control.receive(booted.exclaves["ledger"])[0] == control.Withdraw(1)


def test_effect_that_nothing_performs_is_a_nucleus_bug(booted: Booted) -> None:
    with pytest.raises(NucleusBug, match="nothing performs effect"):
        booted.nucleus.perform(Effect(99, 0, 0, 0))


def test_run_ends_with_the_code_of_the_monolith(booted: Booted) -> None:
    booted.nucleus.loop.later(0, lambda: setattr(booted.nucleus, "exit_code", 42))
    assert booted.nucleus.run() == 42


def test_close_leaves_no_process_even_when_the_log_cannot_be_written(tmp_path: Path) -> None:
    booted = Booted(rich(), tmp_path)
    booted.ready("signer", "ledger", "nic")
    client = connected(booted, "signer", "ledger")
    pids = [member.process.pid for member in booted.nucleus.members.values() if member.process]
    assert len(pids) == 3
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (booted.nucleus.audit.size, hard))
    try:
        with pytest.raises(AuditError, match="cannot write line"):
            booted.tell("ledger", control.FaultReport("m", "k", "t"))
        booted.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [pid for pid in pids if alive(pid)] == []
    client.close()
