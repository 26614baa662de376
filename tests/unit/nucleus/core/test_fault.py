"""Faults: delivered to a live handler, or else the domain stops."""

from __future__ import annotations

import pytest

from exclave.abi.refusal import ILLEGAL_OPERATION, INVALID_CAPABILITY, RANGE_ERROR
from exclave.abi.rights import WRITE
from exclave.abi.types import DOMAIN_RUNNING, DOMAIN_STOPPED, DOMAIN_SUSPENDED, ENDPOINT
from exclave.nucleus.core.capability import live
from exclave.nucleus.core.effect import EFFECT_FAULT, EFFECT_NONE, EFFECT_STOP
from support.core_world import D, E, M, N, World


def handled() -> World:
    """Faults of the exclave go to endpoint (0, 4)."""
    w = World()
    w.endpoint()
    assert w.ok(N, "set_handler", E, 6) == (EFFECT_NONE, 0, 0, 0)
    w.run(E)
    return w


def test_report_fault_with_handler_delivers_and_leaves_the_domain() -> None:
    w = handled()
    assert w.ok(N, "report_fault", E, 11) == (EFFECT_FAULT, N, 4, E)
    assert (w.s.doms[E].state, w.s.doms[E].fault) == (DOMAIN_RUNNING, 11)


def test_report_fault_of_suspended_domain_delivers() -> None:
    w = handled()
    w.ok(N, "suspend", E)
    w.ok(N, "report_fault", E, 11)
    assert w.s.doms[E].state == DOMAIN_SUSPENDED


def test_report_fault_without_handler_ends_the_incarnation() -> None:
    w = World()
    w.endpoint()
    w.give(6, E, 0, WRITE, 1)
    w.run(E)
    assert w.ok(N, "report_fault", E, 255) == (EFFECT_STOP, E, 0, 0)
    assert (w.s.doms[E].state, w.s.doms[E].fault) == (DOMAIN_STOPPED, 255)
    assert not live(w.s, E, 0)
    w.ok(N, "start", E)


def test_report_fault_handler_destroyed_ends_the_incarnation() -> None:
    w = handled()
    w.ok(N, "destroy", 6)
    w.endpoint()
    assert w.ok(N, "report_fault", E, 1) == (EFFECT_STOP, E, 0, 0)


def test_report_fault_creator_of_handler_stopped_ends_the_incarnation() -> None:
    w = World()
    w.give(E, D, 0)
    w.run(D, E)
    w.ok(D, "create_object", 1, 0, ENDPOINT)
    w.ok(D, "set_handler", 0, 1)
    assert w.ok(N, "report_fault", E, 1) == (EFFECT_FAULT, D, 0, E)
    w.ok(N, "stop", D)
    assert w.ok(N, "report_fault", E, 1) == (EFFECT_STOP, E, 0, 0)


def test_report_fault_handler_outlives_the_incarnation() -> None:
    w = handled()
    w.ok(N, "stop", E)
    w.ok(N, "start", E)
    assert w.ok(N, "report_fault", E, 1) == (EFFECT_FAULT, N, 4, E)


@pytest.mark.parametrize("code", [-1, 0, 256])
def test_report_fault_code_out_of_range_refused(code: int) -> None:
    handled().refused(RANGE_ERROR, N, "report_fault", E, code)


def test_report_fault_of_domain_that_does_not_run_refused() -> None:
    w = handled()
    w.refused(ILLEGAL_OPERATION, N, "report_fault", M, 1)
    w.ok(N, "stop", E)
    w.refused(ILLEGAL_OPERATION, N, "report_fault", E, 1)


def test_set_handler_needs_control_and_the_right_to_call() -> None:
    w = World()
    w.endpoint()
    w.give(6, D, 0, WRITE, 1)
    w.give(E, D, 1, WRITE)
    w.give(6, D, 2, 0)
    w.run(D, E)
    w.refused(INVALID_CAPABILITY, D, "set_handler", 1, 2)
    w.refused(INVALID_CAPABILITY, D, "set_handler", 0, 0)
    w.ok(D, "set_handler", 1, 0)
