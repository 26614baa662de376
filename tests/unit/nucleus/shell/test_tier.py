"""Which tier a host gives, and that nothing weaker is used unnamed."""

from __future__ import annotations

import errno
import itertools
import os
import signal

import pytest

from exclave.linux import calls
from exclave.linux.bpf import ALLOW, Rule, assemble, fail
from exclave.nucleus.shell import probes
from exclave.nucleus.shell.identity import Range, SubordinateIds
from exclave.nucleus.shell.probes import Probe, attempt
from exclave.nucleus.shell.tier import FLOOR, Host, Tier, TierRefused, probe

SUBORDINATE = SubordinateIds(Range(100000, 65536), Range(100000, 65536))


def host(namespaces: bool, landlock: int, seccomp: bool, uid: int) -> Host:
    """Make a host with these layers."""
    plain = Host(
        best=None,
        tier=None,
        probes=(Probe("namespaces", namespaces, "", "the view", "allow them"),),
        uid=uid,
        gid=uid,
        namespaces=namespaces,
        landlock_abi=landlock,
        seccomp=seccomp,
        subordinate=SUBORDINATE if uid else None,
    )
    best = next((tier for tier in Tier if plain.offers(tier)), None)
    return Host(best, None, plain.probes, uid, uid, namespaces, landlock, seccomp, plain.subordinate)


EXPECTED = {
    (True, 7, True): Tier.FULL,
    (False, 7, True): Tier.NO_USERNS,
    (True, 0, True): Tier.NO_LANDLOCK,
    (True, 7, False): Tier.NO_SECCOMP,
    (True, 0, False): Tier.NO_SECCOMP,
    (False, 7, False): None,
    (False, 0, False): None,
}


@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize("layers", EXPECTED)
def test_the_best_tier(layers: tuple[bool, int, bool], uid: int) -> None:
    assert host(*layers, uid).best is EXPECTED[layers]


def test_only_seccomp_is_a_tier_for_users_and_none_for_root() -> None:
    assert host(False, 0, True, 1000).best is Tier.SECCOMP_ONLY
    assert host(False, 0, True, 0).best is None
    with pytest.raises(TierRefused, match="never used as root"):
        host(True, 7, True, 0).at(Tier.SECCOMP_ONLY)


@pytest.mark.parametrize(
    ("namespaces", "landlock", "seccomp", "uid"),
    [*itertools.product([True, False], [0, 4, 7], [True, False], [0, 1000])],
)
def test_unnamed_means_at_least_the_floor(namespaces: bool, landlock: int, seccomp: bool, uid: int) -> None:
    machine = host(namespaces, landlock, seccomp, uid)
    if machine.best in FLOOR:
        assert machine.at().tier is machine.best
    else:
        with pytest.raises(TierRefused, match="below the floor") as caught:
            machine.at()
        assert namespaces or caught.value.fixes == ("namespaces: allow them",)


@pytest.mark.parametrize("tier", list(Tier))
def test_a_named_tier_has_only_its_layers(tier: Tier) -> None:
    used = host(True, 7, True, 1000).at(tier)
    assert used.tier is tier
    assert used.namespaces == (tier not in (Tier.NO_USERNS, Tier.SECCOMP_ONLY))
    assert (used.landlock_abi > 0) == (tier in (Tier.FULL, Tier.NO_USERNS))
    assert used.seccomp == (tier is not Tier.NO_SECCOMP)
    assert (used.subordinate is None) == (not used.namespaces)


def test_a_tier_that_the_host_lacks_is_refused() -> None:
    with pytest.raises(TierRefused, match="does not offer the tier full"):
        host(False, 7, True, 1000).at(Tier.FULL)


def test_this_host_is_probed_without_changing_it() -> None:
    before = {name: os.readlink(f"/proc/self/ns/{name}") for name in os.listdir("/proc/self/ns")}  # noqa: PTH115, PTH208
    found = probe()
    assert {name: os.readlink(f"/proc/self/ns/{name}") for name in before} == before  # noqa: PTH115
    assert found.best is not None
    names = {item.name for item in found.probes}
    assert {
        "namespaces",
        "landlock",
        "seccomp",
        "memfd_secret",
        "pass-rights",
        "proc",
        "newuidmap",
        "kernel",
    } <= names
    for item in found.probes:
        assert item.detail
        assert item.ok or item.lost
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def best_under(*denied: str) -> str:
    """Probe under an outer filter that denies calls, as a container engine's does."""

    def action() -> str:
        calls.set_no_new_privs()
        table = {name: Rule(then=fail(errno.EPERM)) for name in denied}
        calls.install_seccomp(assemble(table, ALLOW, calls.arch()))
        best = probe().best
        return best.value if best else "none"

    worked, answer = attempt(action)
    assert worked, answer
    return answer


ONLY_SECCOMP = "none" if os.getuid() == 0 else "seccomp-only"


@pytest.mark.parametrize(
    ("denied", "expected"),
    [
        ((), "full"),
        (("unshare",), "no-userns"),
        (("mount",), "no-userns"),
        (("sethostname",), "no-userns"),
        (("mount_setattr",), "no-userns"),
        (("landlock_create_ruleset",), "no-landlock"),
        (("unshare", "landlock_create_ruleset"), ONLY_SECCOMP),
        (("seccomp",), "no-seccomp"),
    ],
)
def test_what_an_outer_filter_denies_is_found(denied: tuple[str, ...], expected: str) -> None:
    assert best_under(*denied) == expected


def test_a_probe_says_which_error() -> None:
    def fails() -> str:
        raise OSError(errno.EUSERS, "a step")

    assert attempt(fails) == (False, "EUSERS (a step)")


def test_a_probe_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_SECONDS", 1)
    reader, _writer = os.pipe()
    assert attempt(lambda: str(os.read(reader, 1))) == (False, "killed")
    os.close(reader)
    os.close(_writer)


def test_a_probe_that_dies_is_a_failure() -> None:
    def dies() -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        return "lives"

    assert attempt(dies) == (False, "killed")
