"""Domains contain what they are said to contain: as root and as an ordinary user, tier by tier.

Each attack has three runs: its harmless twin works, the attack fails with the errno of the layer that is
named for it, and without that layer it succeeds.
"""

from __future__ import annotations

import functools
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import TypedDict

import pytest

from exclave.nucleus.shell.identity import BLOCK, BLOCKS, FIRST
from support.ordinary import IS_ROOT, USERS, User, both_users, opened, ordinary_user, popen_as, run_as
from support.workload import WORK

SOURCE = {"PYTHONPATH": str(Path(__file__).resolve().parents[4] / "src")}
PROGRAM = Path(__file__).resolve().parents[3] / "support" / "confined.py"


class Said(TypedDict, total=False):
    """What the program prints."""

    uid: int
    results: dict[str, str]
    layers: list[str]
    notes: list[str]
    owners: list[int]
    left: bool
    step: str
    errno: int
    detail: str
    fix: str


SCENES: dict[str, dict[str, object]] = {
    "bare": {"kind": "unconfined"},
    "full": {},
    "full, no seccomp": {"without": ["seccomp"]},
    "all": {"network": "all"},
    "all, no landlock": {"network": "all", "without": ["landlock"]},
    "tcp": {"network": "tcp"},
    "tcp, no seccomp": {"network": "tcp", "without": ["seccomp"]},
    "no-landlock": {"tier": "no-landlock"},
    "no-seccomp": {"tier": "no-seccomp"},
    "seccomp-only": {"tier": "seccomp-only"},
    "no-userns": {"tier": "no-userns"},
    "no-userns, no seccomp": {"tier": "no-userns", "without": ["seccomp"]},
    "no-userns, nothing": {"tier": "no-userns", "without": ["seccomp", "landlock"]},
    "system": {"system": True},
    "system, all": {"system": True, "network": "all"},
    "import": {"kind": "exclave", "stages": 1},
    "private": {"kind": "exclave", "stages": 1, "private": True},
    "driver": {"kind": "driver", "stages": 1},
    "serve": {"kind": "exclave"},
    "exclave, no seccomp": {"kind": "exclave", "without": ["seccomp"]},
}

# attack, the scene that contains it and how, the scene without that layer
MONOLITH = [
    ("write_read_only", "full", "EROFS", "bare"),
    ("read_host_file", "full", "ENOENT", "bare"),
    ("signal_victim", "full", "ESRCH", "bare"),
    ("abstract_socket", "full", "ECONNREFUSED", "bare"),
    ("path_socket", "full", "ENOENT", "bare"),
    ("datagram_pair_reconnect", "full", "ENOENT", "bare"),
    ("tcp_other", "full", "EPERM", "bare"),
    ("udp", "full", "EPERM", "bare"),
    ("session_key", "full", "EPERM", "bare"),
    ("session_key", "full, no seccomp", "ENOKEY", "bare"),
    ("many_processes", "full", "EAGAIN", "bare"),
    ("many_descriptors", "full", "EMFILE", "bare"),
    ("much_memory", "full", "ENOMEM", "bare"),
    ("large_file", "full", "EFBIG", "bare"),
    ("vsock", "full", "EPERM", "full, no seccomp"),
    ("io_uring", "full", "EPERM", "full, no seccomp"),
    ("user_fault", "full", "EPERM", "full, no seccomp"),
    ("new_user_namespace", "full", "EPERM", "full, no seccomp"),
    ("clone_user_namespace", "full", "EPERM", "full, no seccomp"),
    ("clone3_user_namespace", "full", "ENOSYS", "full, no seccomp"),
    ("dumpable_again", "full", "EPERM", "full, no seccomp"),
    ("peer_pidfd", "full", "EPERM", "full, no seccomp"),
    ("x32_call", "full", "signal 31", "full, no seccomp"),
    ("abstract_socket", "all", "EPERM", "all, no landlock"),
    ("tcp_other", "tcp", "EACCES", "all"),
    ("udp", "tcp", "EPERM", "all"),
    ("tcp_fast_open", "tcp", "EPERM", "tcp, no seccomp"),
    ("read_host_file", "no-landlock", "ENOENT", "bare"),
    ("signal_victim", "no-landlock", "ESRCH", "bare"),
    ("io_uring", "no-landlock", "EPERM", "full, no seccomp"),
    ("read_host_file", "no-seccomp", "ENOENT", "bare"),
    ("signal_victim", "no-seccomp", "ESRCH", "bare"),
    ("abstract_socket", "no-seccomp", "ECONNREFUSED", "bare"),
    ("write_read_only", "no-userns", "EACCES", "bare"),
    ("read_host_file", "no-userns", "EACCES", "bare"),
    ("signal_victim", "no-userns", "EPERM", "bare"),
    ("path_socket", "no-userns", "EPERM", "bare"),
    ("datagram_pair_reconnect", "no-userns", "EPERM", "bare"),
    ("tcp_other", "no-userns", "EPERM", "bare"),
    ("io_uring", "no-userns", "EPERM", "no-userns, no seccomp"),
]
# In the same tier with the same uid, to show which layer it is; root's domains have another uid than root.
SAME_UID = [
    ("read_host_file", "no-userns, no seccomp", "EACCES", "no-userns, nothing"),
    ("signal_victim", "no-userns, no seccomp", "EPERM", "no-userns, nothing"),
    ("path_socket", "no-userns", "EPERM", "no-userns, no seccomp"),
    ("datagram_pair_reconnect", "no-userns", "EPERM", "no-userns, no seccomp"),
]
SAME_UID += [
    (attack, "seccomp-only", "EPERM", "no-userns, nothing")
    for attack in (
        "signal_victim",
        "path_socket",
        "datagram_pair_reconnect",
        "io_uring",
        "user_fault",
        "tcp_other",
    )
]
EXCLAVE = [
    ("open_for_reading", "serve", "EPERM", "import"),
    ("make_executable", "import", "EPERM", "exclave, no seccomp"),
    ("executable_memory", "import", "EPERM", "exclave, no seccomp"),
    ("make_socket", "import", "EPERM", "exclave, no seccomp"),
    ("fork_child", "import", "EPERM", "exclave, no seccomp"),
    ("io_uring", "import", "EPERM", "exclave, no seccomp"),
    ("user_fault", "import", "EPERM", "exclave, no seccomp"),
    ("execute", "import", "EPERM", "exclave, no seccomp"),
    ("executable_memory", "serve", "EPERM", "exclave, no seccomp"),
    ("execute", "serve", "EPERM", "exclave, no seccomp"),
    ("open_for_writing", "import", "EPERM", None),
    ("change_own_bytes", "import", "EPERM", None),
    ("change_own_bytes", "exclave, no seccomp", "EROFS", None),
    ("use_device", "import", "EPERM", "driver"),
    ("dumpable_again", "serve", "EPERM", "exclave, no seccomp"),
    ("peer_pidfd", "serve", "EPERM", "exclave, no seccomp"),
    ("new_user_namespace", "serve", "EPERM", "exclave, no seccomp"),
]
TWINS = {
    "full": "read_grant write_grant read_shown signal_self unix_pair plain_memory run_program fork_child "
    "make_socket memory_file socket_option executable_memory open_for_reading",
    "tcp": "read_grant tcp_granted",
    "all": "tcp_granted",
    "no-landlock": "read_grant write_grant run_program",
    "no-userns": "plain_memory unix_pair fork_child run_program socket_option memory_file",
    "import": "open_for_reading plain_memory memory_file socket_option own_bytes",
    "system": " ".join(f"work:{name}" for name in WORK),
    "system, all": "work:names work:event_loop work:spawned_pool",
    "private": "read_private",
    "driver": "use_device own_bytes",
    "serve": "plain_memory memory_file socket_option",
}
# Attempts after which nothing of the process is left to try another.
LAST = ("execute", "new_user_namespace")


def command(user: User, scene: dict[str, object]) -> list[str]:
    """Choose the command that acts out a scene."""
    words = [sys.executable, str(PROGRAM)]
    # Without a view root's domains have other uids and cannot pass a closed directory.
    return opened(words) if user == "root" and scene.get("tier") == "no-userns" else words


def run(user: User, scene: dict[str, object]) -> Said:
    """Act a scene out as a user."""
    done = run_as(user, command(user, scene), input=json.dumps(scene), env=SOURCE, timeout=60)
    assert done.returncode == 0, done.stderr
    said: Said = json.loads(done.stdout)
    return said


@functools.cache
def acted(user: User, name: str) -> Said:
    """Act a named scene out once, with all attempts that any test wants of it."""
    table = [*MONOLITH, *SAME_UID, *EXCLAVE]
    wanted = {attack for attack, contained, _, removed in table if name in (contained, removed)}
    wanted |= set(TWINS.get(name, "").split())
    ordered = sorted(wanted, key=lambda attempt: (attempt in LAST, attempt == "execute", attempt))
    said = run(user, {**SCENES[name], "attempts": ordered})
    assert "step" not in said, said
    return said


def check(user: User, attack: str, contained: str, code: str, removed: str | None) -> None:
    assert acted(user, contained)["results"][attack] == code
    if removed is not None:
        assert acted(user, removed)["results"][attack].startswith("ok")


@both_users
@pytest.mark.parametrize(
    ("scene", "twin"), [(scene, twin) for scene, all_of in TWINS.items() for twin in all_of.split()]
)
def test_harmless_twins_work(user: User, scene: str, twin: str) -> None:
    assert acted(user, scene)["results"][twin].startswith("ok")


@both_users
@pytest.mark.parametrize(("attack", "contained", "code", "removed"), MONOLITH)
def test_a_monolith_is_contained(user: User, attack: str, contained: str, code: str, removed: str) -> None:
    check(user, attack, contained, code, removed)


@pytest.mark.parametrize(("attack", "contained", "code", "removed"), SAME_UID)
def test_without_a_view_the_layer_itself_contains(
    attack: str, contained: str, code: str, removed: str
) -> None:
    check("ordinary", attack, contained, code, removed)


@both_users
@pytest.mark.parametrize(("attack", "contained", "code", "removed"), EXCLAVE)
def test_an_exclave_is_contained(
    user: User, attack: str, contained: str, code: str, removed: str | None
) -> None:
    check(user, attack, contained, code, removed)


@both_users
def test_an_exclave_gets_a_uid_of_its_own(user: User) -> None:
    said = acted(user, "serve")
    assert "distinct-uid" in said["layers"]
    uid = int(str(said["domain-uid"]))  # type: ignore[typeddict-item]
    assert uid not in (0, said["uid"])
    if user == "root":
        assert FIRST <= uid < FIRST + BLOCK * BLOCKS


@both_users
def test_a_view_holds_exactly_the_bytes_given(user: User) -> None:
    assert acted(user, "import")["results"]["own_bytes"] == f"ok {bytes(range(256)).hex()}"


@both_users
def test_a_hidden_directory_is_seen_empty(user: User) -> None:
    results = run(user, {**SCENES["private"], "attempts": ["list_hidden", "list_beside_hidden"]})["results"]
    assert results["list_hidden"] == "ok "
    assert "hidden" in results["list_beside_hidden"]
    assert "shown" in results["list_beside_hidden"]


def test_a_user_shares_his_uid_with_an_exclave_that_needs_his_private_files() -> None:
    said = acted("ordinary", "private")
    assert "distinct-uid" not in said["layers"]
    assert any(note.startswith("uid: shared with the user, others may not read") for note in said["notes"])


def test_without_subordinate_ids_a_user_shares_his_uid_and_is_told() -> None:
    said = run("ordinary", {"kind": "exclave", "attempts": ["plain_memory"], "without": ["subordinate"]})
    assert said["results"] == {"plain_memory": "ok mapped"}
    assert "distinct-uid" not in said["layers"]
    assert any(note.startswith("uid: shared") for note in said["notes"])


@both_users
def test_files_made_through_a_write_grant_belong_to_its_owner(user: User) -> None:
    said = acted(user, "full")
    assert said["owners"] == [0 if user == "root" else ordinary_user().uid]


@both_users
def test_each_tier_reports_its_layers(user: User) -> None:
    assert {"namespaces", "view", "seccomp"} <= set(acted(user, "full")["layers"])
    assert not any(layer.startswith("landlock") for layer in acted(user, "no-landlock")["layers"])
    assert not {"namespaces", "view"} & set(acted(user, "no-userns")["layers"])
    assert any("abstract sockets" in note for note in acted(user, "all, no landlock")["notes"])


@both_users
@pytest.mark.parametrize(
    ("broken", "step"),
    [("source", "view"), ("program", "execve")],
)
def test_a_failed_step_is_named_and_leaves_nothing(user: User, broken: str, step: str) -> None:
    said = run(user, {"kind": "exclave", "attempts": [], "broken": broken})
    assert (said["step"], said["errno"], said["left"]) == (step, 2, False)
    assert said["fix"]


@both_users
def test_named_ports_are_refused_where_nothing_checks_them(user: User) -> None:
    said = run(user, {"attempts": [], "network": "tcp", "tier": "no-landlock"})
    assert (said["step"], said["left"]) == ("network", False)


@both_users
@pytest.mark.parametrize("tier", ["full", "no-userns"])
def test_a_domain_ends_with_its_nucleus(user: User, tier: str) -> None:
    scene = {"kind": "exclave", "attempts": [], "linger": True, "tier": tier}
    nucleus = popen_as(user, command(user, scene), env=SOURCE, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with nucleus:
        assert nucleus.stdin is not None
        assert nucleus.stdout is not None
        nucleus.stdin.write(json.dumps(scene))
        nucleus.stdin.close()
        domain = os.pidfd_open(int(nucleus.stdout.readline()))
        assert select.select([domain], [], [], 0)[0] == []
        nucleus.send_signal(signal.SIGKILL)
        assert select.select([domain], [], [], 20)[0] == [domain]
        os.close(domain)


def test_both_users_are_tested_by_root() -> None:
    assert ("root" in USERS) == IS_ROOT
