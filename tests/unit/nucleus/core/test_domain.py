"""Protection domains: who may exist, run and end, and when."""

from __future__ import annotations

import pytest

from exclave.abi.refusal import FAILED_LOOKUP, ILLEGAL_OPERATION, INVALID_CAPABILITY
from exclave.abi.rights import ALL, READ, WRITE
from exclave.abi.types import (
    CONCLAVE,
    DOMAIN_CREATED,
    DOMAIN_FREE,
    DOMAIN_RUNNING,
    DOMAIN_STOPPED,
    DOMAIN_SUSPENDED,
    DRIVER,
    ENDPOINT,
    EXCLAVE,
    MONOLITH,
    NOTIFICATION,
)
from exclave.nucleus.core.capability import live
from exclave.nucleus.core.effect import (
    EFFECT_KILL,
    EFFECT_NONE,
    EFFECT_RESUME,
    EFFECT_SIGNAL,
    EFFECT_START,
    EFFECT_STOP,
    EFFECT_SUSPEND,
)
from support.core_world import NOBODY, D, E, F, M, N, World


def state(w: World, d: int) -> int:
    """The state of a domain."""
    return w.s.doms[d].state


@pytest.mark.parametrize("kind", [MONOLITH, EXCLAVE, DRIVER])
def test_create_domain_before_seal_makes_created_domain(kind: int) -> None:
    w = World()
    assert w.ok(N, "create_domain", 6, 4, NOBODY, kind) == (EFFECT_NONE, 0, 0, 0)
    assert (state(w, NOBODY), w.s.doms[NOBODY].kind) == (DOMAIN_CREATED, kind)
    assert live(w.s, N, 6)


def test_create_domain_exclave_after_seal_refused() -> None:
    w = World()
    w.ok(N, "seal")
    w.refused(ILLEGAL_OPERATION, N, "create_domain", 6, 4, NOBODY, EXCLAVE)
    w.ok(N, "create_domain", 6, 4, NOBODY, DRIVER)


def test_create_domain_in_a_killed_row_inherits_nothing() -> None:
    w = World()
    w.endpoint()
    w.object(CONCLAVE, 7, 5)
    w.ok(N, "add_member", 7, E)
    w.ok(N, "set_handler", E, 6)
    w.give(6, E, 0, READ)
    w.ok(N, "kill", E)
    w.ok(N, "create_domain", 8, 6, E, EXCLAVE)
    x = w.s.doms[E]
    assert (x.member, x.handler, x.fault, x.effect) == (0, 0, 0, EFFECT_NONE)
    assert not live(w.s, E, 0)
    w.ok(N, "seal")
    w.ok(N, "start", 8)


def test_create_domain_in_a_killed_row_does_not_see_what_its_forerunner_did() -> None:
    w = World()
    w.endpoint()
    w.object(NOTIFICATION, 7, 5)
    w.ok(N, "set_handler", D, 6)
    w.give(7, D, 0, ALL, 1)
    w.run(D)
    w.ok(D, "signal", 0)
    w.ok(D, "poll", 0)
    w.ok(D, "signal", 0)
    assert (w.s.doms[D].word, w.s.doms[D].effect) == (1, EFFECT_SIGNAL)
    w.ok(N, "report_fault", D, 9)
    w.ok(N, "kill", D)
    w.ok(N, "create_domain", 8, 6, D, DRIVER)
    x = w.s.doms[D]
    assert (x.fault, x.word, x.effect, x.effect_a, x.effect_b, x.effect_c) == (0, 0, EFFECT_NONE, 0, 0, 0)
    w.ok(N, "start", 8)
    assert w.ok(N, "report_fault", 8, 9) == (EFFECT_STOP, D, 0, 0)


@pytest.mark.parametrize("domain", [M, E, D])
def test_start_before_seal_refused(domain: int) -> None:
    w = World()
    w.refused(ILLEGAL_OPERATION, N, "start", domain)
    w.ok(N, "seal")
    assert w.ok(N, "start", domain) == (EFFECT_START, domain, 0, 0)
    assert state(w, domain) == DOMAIN_RUNNING


def test_start_running_or_suspended_refused() -> None:
    w = World()
    w.run(E)
    w.refused(ILLEGAL_OPERATION, N, "start", E)
    w.ok(N, "suspend", E)
    w.refused(ILLEGAL_OPERATION, N, "start", E)


def test_start_after_stop_is_a_new_incarnation_without_the_old_capabilities() -> None:
    w = World()
    w.endpoint()
    w.give(6, E, 0, READ)
    w.run(E)
    w.ok(N, "stop", E)
    w.ok(N, "start", E)
    assert not live(w.s, E, 0)
    w.give(6, E, 0, READ)
    assert live(w.s, E, 0)


def test_start_with_capabilities_given_while_stopped_has_them() -> None:
    w = World()
    w.endpoint()
    w.run(E)
    w.ok(N, "stop", E)
    w.give(6, E, 0, READ)
    w.ok(N, "start", E)
    assert live(w.s, E, 0)


def test_stop_created_or_stopped_refused() -> None:
    w = World()
    w.refused(ILLEGAL_OPERATION, N, "stop", E)
    w.run(E)
    assert w.ok(N, "stop", E) == (EFFECT_STOP, E, 0, 0)
    assert state(w, E) == DOMAIN_STOPPED
    w.refused(ILLEGAL_OPERATION, N, "stop", E)


def test_stop_suspended_stops() -> None:
    w = World()
    w.run(E)
    w.ok(N, "suspend", E)
    w.ok(N, "stop", E)
    assert state(w, E) == DOMAIN_STOPPED


def test_stop_keeps_capabilities_of_others_on_objects_of_the_nucleus() -> None:
    w = World()
    w.endpoint()
    w.give(6, M, 0, WRITE, 5)
    w.give(6, E, 0, READ)
    w.run(M, E)
    w.ok(N, "stop", E)
    assert live(w.s, M, 0)


def test_suspend_and_resume_move_between_running_and_suspended() -> None:
    w = World()
    w.refused(ILLEGAL_OPERATION, N, "suspend", E)
    w.run(E)
    w.refused(ILLEGAL_OPERATION, N, "resume", E)
    assert w.ok(N, "suspend", E) == (EFFECT_SUSPEND, E, 0, 0)
    assert state(w, E) == DOMAIN_SUSPENDED
    w.refused(ILLEGAL_OPERATION, N, "suspend", E)
    w.refused(ILLEGAL_OPERATION, E, "create_object", 0, 0, ENDPOINT)
    assert w.ok(N, "resume", E) == (EFFECT_RESUME, E, 0, 0)
    w.ok(E, "create_object", 0, 0, ENDPOINT)


@pytest.mark.parametrize("running", [False, True])
def test_kill_frees_the_row_for_good(running: bool) -> None:
    w = World()
    w.ok(N, "seal")
    if running:
        w.ok(N, "start", E)
    life = w.s.doms[E].life
    assert w.ok(N, "kill", E) == (EFFECT_KILL, E, 0, 0)
    assert (state(w, E), w.s.doms[E].life) == (DOMAIN_FREE, life + 1)
    w.refused(FAILED_LOOKUP, N, "start", E)


def test_domain_controls_another_through_its_capability_only() -> None:
    w = World()
    w.give(F, E, 0, WRITE)
    w.give(F, E, 1, READ)
    w.run(E, F)
    w.refused(INVALID_CAPABILITY, E, "stop", 1)
    w.refused(FAILED_LOOKUP, E, "stop", 2)
    assert w.ok(E, "suspend", 0) == (EFFECT_SUSPEND, F, 0, 0)
    assert w.ok(E, "resume", 0) == (EFFECT_RESUME, F, 0, 0)
    assert w.ok(E, "stop", 0) == (EFFECT_STOP, F, 0, 0)
    assert w.ok(E, "start", 0) == (EFFECT_START, F, 0, 0)
    assert w.ok(E, "kill", 0) == (EFFECT_KILL, F, 0, 0)


@pytest.mark.parametrize("operation", ["suspend", "stop", "kill"])
def test_domain_that_controls_itself_may_end_itself(operation: str) -> None:
    w = World()
    w.give(E, E, 0, ALL)
    w.run(E)
    _, domain, _, _ = w.ok(E, operation, 0)
    assert domain == E
    w.refused(ILLEGAL_OPERATION, E, operation, 0)
