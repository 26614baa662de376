"""Objects: birth, death, and the leftovers of ended incarnations."""

from __future__ import annotations

import pytest

from exclave.abi.refusal import DELETE_FIRST, ILLEGAL_OPERATION, INVALID_CAPABILITY, REVOKE_FIRST
from exclave.abi.rights import ALL, READ
from exclave.abi.types import (
    CONCLAVE,
    DRIVER,
    ENDPOINT,
    NOTIFICATION,
    OBJECT_FREE,
    TYPE_SHARED_RO,
    TYPE_SHARED_RW,
)
from exclave.nucleus.core.capability import live
from exclave.nucleus.core.effect import EFFECT_CUT, EFFECT_NONE
from support.core_world import D, E, M, N, World


def with_object_of_stopped_exclave(kind: int = ENDPOINT) -> World:
    """The exclave made its object 0, slot 0, and was stopped."""
    w = World()
    w.run(M, E)
    w.ok(E, "create_object", 0, 0, kind)
    w.ok(N, "stop", E)
    return w


@pytest.mark.parametrize("kind", [ENDPOINT, NOTIFICATION, CONCLAVE])
def test_create_object_by_nucleus_puts_root_capability(kind: int) -> None:
    w = World()
    assert w.ok(N, "create_object", 6, 4, kind) == (EFFECT_NONE, 0, 0, 0)
    c = w.s.caps[N][6]
    assert (c.oq, c.oi, c.rights, c.badge, c.depth) == (N, 4, ALL, 0, 0)
    assert w.s.objs[N][4].kind == kind


def test_create_object_same_index_in_other_row_is_independent() -> None:
    w = World()
    w.endpoint(6, 4)
    w.run(M, E)
    w.ok(M, "create_object", 6, 4, ENDPOINT)
    w.ok(E, "create_object", 6, 4, NOTIFICATION)


def test_create_object_conclave_by_domain_refused() -> None:
    w = World()
    w.run(E)
    w.refused(ILLEGAL_OPERATION, E, "create_object", 0, 0, CONCLAVE)


def test_create_object_slot_of_dead_capability_refused() -> None:
    w = World()
    w.endpoint()
    w.ok(N, "copy", 6, 7)
    w.ok(N, "revoke", 6)
    w.refused(DELETE_FIRST, N, "create_object", 7, 5, ENDPOINT)


def test_create_object_over_leftover_of_own_past_incarnation() -> None:
    w = with_object_of_stopped_exclave()
    w.ok(N, "start", E)
    before = w.s.objs[E][0].gen
    w.ok(E, "create_object", 0, 0, NOTIFICATION)
    assert w.s.objs[E][0].gen == before + 1
    assert w.s.objs[E][0].kind == NOTIFICATION


def test_create_object_over_mapped_leftover_refused() -> None:
    w = World()
    w.give(M, E, 1)
    w.run(M, E)
    w.ok(E, "create_frame", 0, 0, 1)
    w.ok(E, "retype", 0, TYPE_SHARED_RW)
    w.ok(E, "grant", 0, 1, 0, ALL, 0)
    w.ok(M, "map_frame", 0, 0, 1)
    w.ok(N, "stop", E)
    w.ok(N, "start", E)
    w.refused(DELETE_FIRST, E, "create_object", 0, 0, ENDPOINT)
    w.ok(N, "reclaim_map", M, 0)
    w.ok(E, "create_object", 0, 0, ENDPOINT)


def test_destroy_kills_capabilities_and_frees_slot() -> None:
    w = World()
    w.endpoint()
    w.give(6, M, 0, ALL, 5)
    assert w.ok(N, "destroy", 6) == (EFFECT_CUT, N, 4, 0)
    assert w.s.objs[N][4].kind == OBJECT_FREE
    assert not live(w.s, M, 0)
    w.endpoint()
    assert not live(w.s, M, 0)


def test_create_object_where_a_frame_was_destroyed_names_no_domain() -> None:
    w = World()
    w.ok(N, "kill", D)
    w.ok(N, "create_domain", 8, 8, D, DRIVER)
    w.frame(8, TYPE_SHARED_RO)
    assert (w.s.objs[N][4].dom, w.s.objs[N][4].dlife) == (D, 1)
    w.ok(N, "destroy", 6)
    w.endpoint()
    assert (w.s.objs[N][4].dom, w.s.objs[N][4].dlife) == (0, 0)


def test_destroy_domain_refused() -> None:
    World().refused(INVALID_CAPABILITY, N, "destroy", E)


def test_destroy_mapped_frame_refused() -> None:
    w = World()
    w.frame(E, TYPE_SHARED_RO)
    w.ok(N, "map_frame", 6, 0, 0)
    w.refused(REVOKE_FIRST, N, "destroy", 6)
    w.ok(N, "unmap_frame", 0)
    w.ok(N, "destroy", 6)


def test_destroy_attached_conclave_refused() -> None:
    w = World()
    w.object(CONCLAVE)
    w.ok(N, "attach_conclave", 6, M)
    w.refused(REVOKE_FIRST, N, "destroy", 6)
    w.ok(N, "detach_conclave", 6)
    w.ok(N, "destroy", 6)


def test_destroy_conclave_leaves_its_members_unable_to_start() -> None:
    w = World()
    w.object(CONCLAVE)
    w.ok(N, "add_member", 6, E)
    w.ok(N, "destroy", 6)
    w.ok(N, "seal")
    w.refused(ILLEGAL_OPERATION, N, "start", E)


def test_reclaim_object_of_ended_incarnation_frees_it() -> None:
    w = with_object_of_stopped_exclave()
    assert w.ok(N, "reclaim_object", E, 0) == (EFFECT_CUT, E, 0, 0)
    assert w.s.objs[E][0].kind == OBJECT_FREE


def test_reclaim_object_free_refused() -> None:
    with_object_of_stopped_exclave().refused(ILLEGAL_OPERATION, N, "reclaim_object", E, 1)


def test_reclaim_object_of_living_creator_refused() -> None:
    w = World()
    w.run(E)
    w.ok(E, "create_object", 0, 0, ENDPOINT)
    w.refused(ILLEGAL_OPERATION, N, "reclaim_object", E, 0)
    w.refused(ILLEGAL_OPERATION, N, "reclaim_object", N, 0)


def test_reclaim_object_mapped_frame_refused() -> None:
    w = World()
    w.give(E, E, 1)
    w.run(E)
    w.ok(E, "create_frame", 0, 0, 1)
    w.ok(E, "retype", 0, TYPE_SHARED_RO)
    w.ok(E, "mint", 0, 2, READ, 0)
    w.ok(E, "map_frame", 2, 0, 0)
    w.ok(N, "stop", E)
    w.refused(REVOKE_FIRST, N, "reclaim_object", E, 0)
    w.ok(N, "reclaim_map", E, 0)
    w.ok(N, "reclaim_object", E, 0)
