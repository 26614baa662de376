"""Capabilities: what each derivation yields, and what each end of one kills."""

from __future__ import annotations

import pytest

from exclave.abi.refusal import (
    DELETE_FIRST,
    FAILED_LOOKUP,
    ILLEGAL_OPERATION,
    INVALID_ARGUMENT,
    INVALID_CAPABILITY,
    NOT_ENOUGH_MEMORY,
)
from exclave.abi.rights import ALL, GRANT, READ, WRITE, WRITE_GRANT
from exclave.abi.types import (
    ENDPOINT,
    NOTIFICATION,
    TYPE_EXCLAVE_PRIVATE,
    TYPE_SHARED_RW,
    WORD_MAX,
)
from exclave.nucleus.core.capability import live
from exclave.nucleus.core.effect import EFFECT_CUT, EFFECT_GRANT, EFFECT_NONE
from support.core_world import E, F, M, N, World


def with_endpoint() -> World:
    """The nucleus has an endpoint in slot 6."""
    w = World()
    w.endpoint()
    return w


def test_mint_fewer_rights_and_badge_makes_child() -> None:
    w = with_endpoint()
    assert w.ok(N, "mint", 6, 7, WRITE, WORD_MAX) == (EFFECT_NONE, 0, 0, 0)
    c = w.s.caps[N][7]
    assert (c.oq, c.oi, c.rights, c.badge, c.depth, c.pd, c.ps) == (N, 4, WRITE, WORD_MAX, 1, N, 6)
    assert live(w.s, N, 7)


def test_mint_more_rights_refused() -> None:
    w = with_endpoint()
    w.ok(N, "mint", 6, 7, READ, 0)
    for rights in (WRITE, GRANT, ALL, 8):
        w.refused(INVALID_CAPABILITY, N, "mint", 7, 8, rights, 0)


@pytest.mark.parametrize("badge", [0, 8, WORD_MAX])
def test_mint_other_badge_refused(badge: int) -> None:
    w = with_endpoint()
    w.ok(N, "mint", 6, 7, ALL, 7)
    w.refused(INVALID_ARGUMENT, N, "mint", 7, 8, ALL, badge)
    w.ok(N, "mint", 7, 8, ALL, 7)


def test_mint_onto_itself_refused() -> None:
    with_endpoint().refused(DELETE_FIRST, N, "mint", 6, 6, ALL, 0)


def test_mint_onto_dead_capability_refused() -> None:
    w = with_endpoint()
    w.ok(N, "copy", 6, 7)
    w.ok(N, "revoke", 6)
    w.refused(DELETE_FIRST, N, "mint", 6, 7, ALL, 0)
    w.ok(N, "delete", 7)
    w.ok(N, "mint", 6, 7, ALL, 0)


@pytest.mark.parametrize(("operation", "extra"), [("mint", (ALL, 0)), ("copy", ())])
def test_derive_below_the_deepest_refused(operation: str, extra: tuple[int, ...]) -> None:
    w = with_endpoint()
    for slot in (6, 7, 8):
        w.ok(N, operation, slot, slot + 1, *extra)
    w.refused(NOT_ENOUGH_MEMORY, N, operation, 9, 10, *extra)


def test_copy_same_rights_and_badge_makes_child() -> None:
    w = with_endpoint()
    w.ok(N, "mint", 6, 7, WRITE_GRANT, 9)
    assert w.ok(N, "copy", 7, 8) == (EFFECT_NONE, 0, 0, 0)
    c = w.s.caps[N][8]
    assert (c.rights, c.badge, c.depth, c.ps) == (WRITE_GRANT, 9, 2, 7)


def test_grant_to_domain_fills_its_slot() -> None:
    w = with_endpoint()
    assert w.ok(N, "grant", 6, M, 3, WRITE, 5) == (EFFECT_GRANT, M, 3, 0)
    c = w.s.caps[M][3]
    assert (c.oq, c.oi, c.rights, c.badge, c.depth, c.pd, c.ps) == (N, 4, WRITE, 5, 1, N, 6)
    assert live(w.s, M, 3)


def test_grant_more_rights_refused() -> None:
    w = with_endpoint()
    w.ok(N, "mint", 6, 7, READ | GRANT, 0)
    w.refused(INVALID_CAPABILITY, N, "grant", 7, M, 0, WRITE, 5)


def test_grant_slot_taken_there_refused() -> None:
    w = with_endpoint()
    w.give(6, M, 0, WRITE, 5)
    w.refused(DELETE_FIRST, N, "grant", 6, M, 0, WRITE, 5)


def test_grant_below_the_deepest_refused() -> None:
    w = with_endpoint()
    for slot in (6, 7, 8):
        w.ok(N, "copy", slot, slot + 1)
    w.refused(NOT_ENOUGH_MEMORY, N, "grant", 9, M, 0, WRITE, 5)


@pytest.mark.parametrize("kind", [ENDPOINT, NOTIFICATION])
def test_grant_unbadged_write_refused(kind: int) -> None:
    w = World()
    w.object(kind)
    w.refused(INVALID_ARGUMENT, N, "grant", 6, M, 0, WRITE, 0)
    w.refused(INVALID_ARGUMENT, N, "grant", 6, M, 0, ALL, 0)
    w.ok(N, "grant", 6, E, 0, READ | GRANT, 0)


def test_grant_other_badge_refused() -> None:
    w = with_endpoint()
    w.ok(N, "mint", 6, 7, ALL, 5)
    w.refused(INVALID_ARGUMENT, N, "grant", 7, M, 0, WRITE, 6)
    w.ok(N, "grant", 7, M, 0, WRITE, 5)


def test_grant_private_frame_to_other_than_owner_refused() -> None:
    w = World()
    w.frame(E, TYPE_EXCLAVE_PRIVATE)
    for domain in (M, F):
        w.refused(ILLEGAL_OPERATION, N, "grant", 6, domain, 0, READ, 0)
    w.ok(N, "grant", 6, E, 0, ALL, 0)


def test_grant_private_frame_by_owner_to_monolith_refused() -> None:
    w = World()
    w.frame(E, TYPE_EXCLAVE_PRIVATE)
    w.give(6, E, 0)
    w.give(M, E, 1)
    w.run(E)
    w.refused(ILLEGAL_OPERATION, E, "grant", 0, 1, 0, READ, 0)


def test_grant_private_frame_to_next_life_of_owner_row_refused() -> None:
    w = World()
    w.frame(E, TYPE_EXCLAVE_PRIVATE)
    w.ok(N, "kill", E)
    w.ok(N, "delete", E)
    w.ok(N, "create_domain", E, 8, E, 3)
    w.refused(ILLEGAL_OPERATION, N, "grant", 6, E, 0, READ, 0)


def test_grant_between_domains_needs_control_of_the_receiver() -> None:
    w = World()
    w.frame(E, TYPE_SHARED_RW)
    w.give(6, E, 0)
    w.give(M, E, 1, WRITE_GRANT)
    w.give(M, E, 2, WRITE)
    w.run(E)
    w.refused(INVALID_CAPABILITY, E, "grant", 0, 2, 0, READ, 0)
    w.ok(E, "grant", 0, 1, 0, READ, 0)
    assert live(w.s, M, 0)
    assert w.s.caps[M][0].depth == 2


def test_grant_to_own_domain_makes_child() -> None:
    w = with_endpoint()
    w.give(6, E, 0, ALL, 3)
    w.give(E, E, 1)
    w.run(E)
    w.ok(E, "grant", 0, 1, 2, WRITE, 3)
    assert live(w.s, E, 2)


def test_delete_empties_slot_and_kills_children() -> None:
    w = with_endpoint()
    w.ok(N, "copy", 6, 7)
    w.ok(N, "copy", 7, 8)
    assert w.ok(N, "delete", 7) == (EFFECT_CUT, N, 4, 0)
    assert [live(w.s, N, slot) for slot in (6, 7, 8)] == [True, False, False]


def test_delete_empty_slot_refused() -> None:
    with_endpoint().refused(FAILED_LOOKUP, N, "delete", 9)


def test_delete_live_root_refused() -> None:
    with_endpoint().refused(ILLEGAL_OPERATION, N, "delete", 6)


def test_delete_root_of_killed_domain_empties_slot() -> None:
    w = World()
    w.ok(N, "kill", E)
    w.ok(N, "delete", E)
    w.ok(N, "create_object", E, 8, ENDPOINT)


@pytest.mark.parametrize("cut", [6, 7, 8])
def test_revoke_at_any_depth_kills_exactly_what_is_below(cut: int) -> None:
    w = with_endpoint()
    w.give(6, M, 0, WRITE, 5)
    for slot in (6, 7, 8):
        w.ok(N, "copy", slot, slot + 1)
    assert w.ok(N, "revoke", cut) == (EFFECT_CUT, N, 4, 0)
    assert [live(w.s, N, slot) for slot in (6, 7, 8, 9)] == [slot <= cut for slot in (6, 7, 8, 9)]
    assert live(w.s, M, 0) is (cut != 6)


def test_revoke_then_derive_again_leaves_the_old_dead() -> None:
    w = with_endpoint()
    w.ok(N, "copy", 6, 7)
    w.ok(N, "revoke", 6)
    w.ok(N, "copy", 6, 8)
    assert not live(w.s, N, 7)
    assert live(w.s, N, 8)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_live_root_in_a_slot_that_held_a_child_does_not_look_at_the_old_parent(depth: int) -> None:
    w = with_endpoint()
    w.ok(N, "mint", 6, 7, ALL, 9)
    w.ok(N, "delete", 7)
    w.endpoint(7, 5)
    w.ok(N, "revoke", 6)
    assert w.s.caps[N][7].badge == 0
    for slot in range(7, 7 + depth):
        w.ok(N, "copy", slot, slot + 1)
    assert live(w.s, N, 7 + depth)


@pytest.mark.parametrize("middle", ["parent", "grandparent"])
def test_live_derived_through_stopped_domain_dies(middle: str) -> None:
    w = World()
    w.frame(E, TYPE_SHARED_RW)
    w.give(6, E, 0)
    w.give(M, E, 1)
    w.run(M, E)
    w.ok(E, "grant", 0, 1, 0, ALL, 0)
    if middle == "grandparent":
        w.ok(M, "copy", 0, 1)
    deepest = 1 if middle == "grandparent" else 0
    assert live(w.s, M, deepest)
    w.ok(N, "stop", E)
    assert not live(w.s, M, deepest)


def test_live_third_descendant_of_root_dies_with_its_creator() -> None:
    w = World()
    w.give(M, E, 1)
    w.run(M, E)
    w.ok(E, "create_object", 0, 0, ENDPOINT)
    w.ok(E, "grant", 0, 1, 0, WRITE, 4)
    w.ok(M, "copy", 0, 1)
    w.ok(M, "copy", 1, 2)
    assert w.s.caps[M][2].depth == 3
    assert live(w.s, M, 2)
    w.ok(N, "stop", E)
    assert not live(w.s, M, 2)
