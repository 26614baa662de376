"""Conclaves: the state machine, armed requests, and what membership permits."""

from __future__ import annotations

import pytest

from exclave.abi.refusal import ILLEGAL_OPERATION, INVALID_CAPABILITY
from exclave.abi.rights import READ, WRITE
from exclave.abi.types import (
    CONCLAVE,
    CONCLAVE_ATTACHED,
    CONCLAVE_NONE,
    CONCLAVE_RUNNING,
    CONCLAVE_STOPPED,
    CONCLAVE_SUSPENDED,
    ENDPOINT,
    EXCLAVE,
    REQUEST_NONE,
    REQUEST_RESUME,
    REQUEST_STOP,
    REQUEST_SUSPEND,
)
from exclave.nucleus.core.effect import (
    EFFECT_LAUNCH_CONCLAVE,
    EFFECT_NONE,
    EFFECT_RESUME_CONCLAVE,
    EFFECT_STOP_CONCLAVE,
    EFFECT_SUSPEND_CONCLAVE,
)
from support.core_world import D, E, F, M, N, World

C = 6
NOTHING = (EFFECT_NONE, 0, 0, 0)


class Group(World):
    """A world with conclave (0, 4) in slot 6: exclave E and driver D for the monolith; F stays out."""

    def __init__(self) -> None:
        super().__init__()
        self.object(CONCLAVE)
        self.ok(N, "add_member", C, E)
        self.ok(N, "attach_conclave", C, M)
        self.ok(N, "add_member", C, D)
        self.ok(N, "seal")

    @property
    def state(self) -> int:
        return self.s.objs[N][4].cstate

    @property
    def armed(self) -> int:
        return self.s.objs[N][4].armed

    def launched(self) -> Group:
        """Launch it, start the members and end the transition."""
        self.ok(N, "launch_conclave", C)
        self.ok(N, "start", E)
        self.ok(N, "start", D)
        assert self.ok(N, "conclave_done", C) == NOTHING
        return self

    def suspended(self) -> Group:
        """Launch and suspend it."""
        self.launched()
        self.ok(N, "suspend_conclave", C)
        self.ok(N, "conclave_done", C)
        return self

    def stopped(self) -> Group:
        """Launch and stop it; the members' incarnations stay as they are."""
        self.launched()
        self.ok(N, "stop_conclave", C)
        self.ok(N, "conclave_done", C)
        return self


def test_attach_conclave_gives_it_its_host() -> None:
    w = World()
    w.object(CONCLAVE)
    assert w.ok(N, "attach_conclave", C, M) == NOTHING
    assert (w.s.objs[N][4].cstate, w.s.objs[N][4].dom) == (CONCLAVE_ATTACHED, M)


def test_attach_conclave_twice_refused() -> None:
    w = Group()
    w.refused(ILLEGAL_OPERATION, N, "attach_conclave", C, F)


def test_attach_conclave_to_own_member_refused() -> None:
    w = World()
    w.object(CONCLAVE)
    w.object(CONCLAVE, 7, 5)
    w.ok(N, "add_member", C, E)
    w.refused(ILLEGAL_OPERATION, N, "attach_conclave", C, E)
    w.ok(N, "attach_conclave", 7, E)


def test_attach_conclave_to_member_of_destroyed_one_with_its_index() -> None:
    w = World()
    w.object(CONCLAVE)
    w.ok(N, "add_member", C, E)
    w.ok(N, "destroy", C)
    w.object(CONCLAVE)
    w.ok(N, "attach_conclave", C, E)


def test_attach_conclave_to_former_member_in_its_next_life() -> None:
    w = World()
    w.object(CONCLAVE)
    w.ok(N, "add_member", C, E)
    w.ok(N, "kill", E)
    w.ok(N, "create_domain", 7, 5, E, EXCLAVE)
    w.ok(N, "attach_conclave", C, 7)
    b = w.s.objs[N][4]
    assert (b.dom, b.dlife) == (E, 1)
    w.ok(N, "detach_conclave", C)
    assert (b.dom, b.dlife) == (0, 0)
    w.ok(N, "attach_conclave", C, 7)
    w.ok(N, "seal")
    w.ok(N, "launch_conclave", C)


def test_add_member_after_seal_refused() -> None:
    w = Group()
    w.refused(ILLEGAL_OPERATION, N, "add_member", C, F)


def test_add_member_monolith_refused() -> None:
    w = World()
    w.object(CONCLAVE)
    w.refused(ILLEGAL_OPERATION, N, "add_member", C, M)


def test_add_member_of_another_refused() -> None:
    w = World()
    w.object(CONCLAVE)
    w.object(CONCLAVE, 7, 5)
    w.ok(N, "add_member", C, E)
    w.refused(ILLEGAL_OPERATION, N, "add_member", C, E)
    w.refused(ILLEGAL_OPERATION, N, "add_member", 7, E)


def test_add_member_host_refused() -> None:
    w = World()
    w.object(CONCLAVE)
    w.ok(N, "attach_conclave", C, E)
    w.refused(ILLEGAL_OPERATION, N, "add_member", C, E)
    w.ok(N, "add_member", C, F)


def test_add_member_to_stopped_conclave_refused() -> None:
    w = World()
    w.object(CONCLAVE)
    w.ok(N, "attach_conclave", C, M)
    w.ok(N, "stop_conclave", C)
    w.refused(ILLEGAL_OPERATION, N, "add_member", C, E)


def test_launch_conclave_before_seal_refused() -> None:
    w = World()
    w.object(CONCLAVE)
    w.ok(N, "attach_conclave", C, M)
    w.refused(ILLEGAL_OPERATION, N, "launch_conclave", C)


def test_launch_conclave_runs_and_is_busy_until_done() -> None:
    w = Group()
    assert w.ok(N, "launch_conclave", C) == (EFFECT_LAUNCH_CONCLAVE, N, 4, 0)
    assert w.state == CONCLAVE_RUNNING
    w.refused(ILLEGAL_OPERATION, N, "launch_conclave", C)
    assert w.ok(N, "conclave_done", C) == NOTHING
    w.refused(ILLEGAL_OPERATION, N, "conclave_done", C)
    w.refused(ILLEGAL_OPERATION, N, "launch_conclave", C)


def test_launch_conclave_without_host_refused() -> None:
    w = World()
    w.object(CONCLAVE)
    w.ok(N, "seal")
    w.refused(ILLEGAL_OPERATION, N, "launch_conclave", C)


def test_launch_conclave_host_killed_refused() -> None:
    w = World()
    w.object(CONCLAVE)
    w.ok(N, "attach_conclave", C, F)
    w.ok(N, "kill", F)
    w.ok(N, "create_domain", 7, 5, F, EXCLAVE)
    w.ok(N, "seal")
    w.refused(ILLEGAL_OPERATION, N, "launch_conclave", C)
    w.ok(N, "detach_conclave", C)


def test_start_member_needs_its_conclave_running() -> None:
    w = Group()
    w.refused(ILLEGAL_OPERATION, N, "start", E)
    w.ok(N, "start", F)
    w.ok(N, "launch_conclave", C)
    w.ok(N, "start", E)
    w.ok(E, "create_object", 0, 0, ENDPOINT)


def test_member_of_destroyed_conclave_is_not_one_of_its_successor() -> None:
    w = World()
    w.object(CONCLAVE)
    w.ok(N, "add_member", C, E)
    w.ok(N, "destroy", C)
    w.object(CONCLAVE)
    w.ok(N, "attach_conclave", C, M)
    w.ok(N, "seal")
    w.ok(N, "launch_conclave", C)
    w.refused(ILLEGAL_OPERATION, N, "start", E)


def test_domain_in_no_conclave_acts_whatever_lies_at_index_zero() -> None:
    w = World()
    w.ok(N, "kill", M)
    w.object(CONCLAVE, 7, 0)
    w.ok(N, "attach_conclave", 7, E)
    w.run(F)
    w.ok(N, "launch_conclave", 7)
    w.ok(F, "create_object", 0, 0, ENDPOINT)


def test_suspend_and_resume_conclave_take_and_give_the_power_to_act() -> None:
    w = Group().launched()
    assert w.ok(N, "suspend_conclave", C) == (EFFECT_SUSPEND_CONCLAVE, N, 4, 0)
    assert w.state == CONCLAVE_SUSPENDED
    w.refused(ILLEGAL_OPERATION, E, "create_object", 0, 0, ENDPOINT)
    w.ok(N, "conclave_done", C)
    w.refused(ILLEGAL_OPERATION, N, "suspend_conclave", C)
    assert w.ok(N, "resume_conclave", C) == (EFFECT_RESUME_CONCLAVE, N, 4, 0)
    assert w.state == CONCLAVE_RUNNING
    w.ok(E, "create_object", 0, 0, ENDPOINT)
    w.ok(N, "conclave_done", C)
    w.refused(ILLEGAL_OPERATION, N, "resume_conclave", C)


def test_resume_member_of_suspended_conclave_refused() -> None:
    w = Group().launched()
    w.ok(N, "suspend", E)
    w.ok(N, "suspend_conclave", C)
    w.refused(ILLEGAL_OPERATION, N, "resume", E)
    w.ok(N, "conclave_done", C)
    w.ok(N, "resume_conclave", C)
    w.ok(N, "resume", E)


@pytest.mark.parametrize("operation", ["suspend_conclave", "resume_conclave", "stop_conclave"])
def test_request_without_host_refused(operation: str) -> None:
    w = World()
    w.object(CONCLAVE)
    w.refused(ILLEGAL_OPERATION, N, operation, C)


@pytest.mark.parametrize(
    "operation", ["suspend_conclave", "resume_conclave", "stop_conclave", "launch_conclave"]
)
def test_request_after_stop_refused(operation: str) -> None:
    w = Group().launched()
    w.ok(N, "stop_conclave", C)
    w.refused(ILLEGAL_OPERATION, N, operation, C)
    w.ok(N, "conclave_done", C)
    w.refused(ILLEGAL_OPERATION, N, operation, C)


def test_suspend_conclave_before_launch_is_armed_for_after_it() -> None:
    w = Group()
    assert w.ok(N, "suspend_conclave", C) == NOTHING
    assert (w.state, w.armed) == (CONCLAVE_ATTACHED, REQUEST_SUSPEND)
    w.ok(N, "launch_conclave", C)
    assert w.ok(N, "conclave_done", C) == (EFFECT_SUSPEND_CONCLAVE, N, 4, 0)
    assert (w.state, w.armed) == (CONCLAVE_SUSPENDED, REQUEST_NONE)
    assert w.ok(N, "conclave_done", C) == NOTHING


def test_resume_conclave_before_launch_disarms_suspend() -> None:
    w = Group()
    w.ok(N, "suspend_conclave", C)
    assert w.ok(N, "resume_conclave", C) == NOTHING
    assert w.armed == REQUEST_NONE


def test_stop_conclave_before_launch_stops_at_once() -> None:
    w = Group()
    w.ok(N, "suspend_conclave", C)
    assert w.ok(N, "stop_conclave", C) == NOTHING
    assert (w.state, w.armed) == (CONCLAVE_STOPPED, REQUEST_NONE)
    w.ok(N, "detach_conclave", C)


def test_requests_during_launch_latest_is_replayed() -> None:
    w = Group()
    w.ok(N, "launch_conclave", C)
    assert w.ok(N, "suspend_conclave", C) == NOTHING
    assert w.ok(N, "resume_conclave", C) == NOTHING
    assert w.armed == REQUEST_RESUME
    assert w.ok(N, "conclave_done", C) == NOTHING
    assert w.state == CONCLAVE_RUNNING


def test_resume_conclave_during_suspend_is_replayed() -> None:
    w = Group().launched()
    w.ok(N, "suspend_conclave", C)
    w.ok(N, "resume_conclave", C)
    assert w.state == CONCLAVE_SUSPENDED
    assert w.ok(N, "conclave_done", C) == (EFFECT_RESUME_CONCLAVE, N, 4, 0)
    assert w.state == CONCLAVE_RUNNING


def test_suspend_conclave_during_suspend_is_dropped() -> None:
    w = Group().launched()
    w.ok(N, "suspend_conclave", C)
    w.ok(N, "suspend_conclave", C)
    assert w.ok(N, "conclave_done", C) == NOTHING
    assert w.state == CONCLAVE_SUSPENDED


@pytest.mark.parametrize("operation", ["suspend_conclave", "resume_conclave"])
def test_stop_conclave_during_launch_is_replayed_and_final(operation: str) -> None:
    w = Group()
    w.ok(N, "launch_conclave", C)
    w.ok(N, "suspend_conclave", C)
    assert w.ok(N, "stop_conclave", C) == NOTHING
    assert w.armed == REQUEST_STOP
    w.refused(ILLEGAL_OPERATION, N, operation, C)
    assert w.ok(N, "conclave_done", C) == (EFFECT_STOP_CONCLAVE, N, 4, 0)
    assert w.state == CONCLAVE_STOPPED


def test_stop_conclave_suspended_stops() -> None:
    w = Group().suspended()
    assert w.ok(N, "stop_conclave", C) == (EFFECT_STOP_CONCLAVE, N, 4, 0)
    assert w.state == CONCLAVE_STOPPED


def test_member_that_ran_before_a_stop_never_acts_after_the_next_launch() -> None:
    w = Group().stopped()
    w.ok(N, "suspend", D)
    w.ok(N, "detach_conclave", C)
    assert w.state == CONCLAVE_NONE
    w.ok(N, "attach_conclave", C, M)
    w.ok(N, "launch_conclave", C)
    w.refused(ILLEGAL_OPERATION, E, "create_object", 0, 0, ENDPOINT)
    w.refused(ILLEGAL_OPERATION, N, "resume", D)
    for member in (E, D):
        w.ok(N, "stop", member)
        w.ok(N, "start", member)
        w.ok(member, "create_object", 0, 0, ENDPOINT)


def test_detach_conclave_running_suspended_or_busy_refused() -> None:
    w = Group().launched()
    w.refused(ILLEGAL_OPERATION, N, "detach_conclave", C)
    w.ok(N, "suspend_conclave", C)
    w.ok(N, "conclave_done", C)
    w.refused(ILLEGAL_OPERATION, N, "detach_conclave", C)
    w.ok(N, "stop_conclave", C)
    w.refused(ILLEGAL_OPERATION, N, "detach_conclave", C)
    w.ok(N, "conclave_done", C)
    assert w.ok(N, "detach_conclave", C) == NOTHING
    w.refused(ILLEGAL_OPERATION, N, "detach_conclave", C)


def test_host_conducts_its_conclave_with_a_granted_capability() -> None:
    w = Group()
    w.give(C, M, 0, WRITE)
    w.give(C, M, 1, READ)
    w.ok(N, "start", M)
    w.refused(INVALID_CAPABILITY, M, "launch_conclave", 1)
    assert w.ok(M, "launch_conclave", 0) == (EFFECT_LAUNCH_CONCLAVE, N, 4, 0)
    w.refused(ILLEGAL_OPERATION, M, "conclave_done", 0)
