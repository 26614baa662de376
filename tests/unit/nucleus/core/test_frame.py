"""Frames: types, who may map what, and the reverse map."""

from __future__ import annotations

import pytest

from exclave.abi.refusal import (
    DELETE_FIRST,
    FAILED_LOOKUP,
    ILLEGAL_OPERATION,
    INVALID_CAPABILITY,
    NOT_ENOUGH_MEMORY,
    RANGE_ERROR,
    REVOKE_FIRST,
)
from exclave.abi.rights import ALL, READ
from exclave.abi.types import (
    DRIVER,
    EXCLAVE,
    FRAME,
    TYPE_EXCLAVE_PRIVATE,
    TYPE_FREE,
    TYPE_MONOLITH,
    TYPE_SHARED_RO,
    TYPE_SHARED_RW,
)
from exclave.nucleus.core.capability import live
from exclave.nucleus.core.effect import EFFECT_MAP, EFFECT_NONE, EFFECT_RETYPE, EFFECT_UNMAP
from support.core_world import D, E, F, M, N, World

TYPES = (TYPE_MONOLITH, TYPE_EXCLAVE_PRIVATE, TYPE_SHARED_RO, TYPE_SHARED_RW)


def shared(owner: int, ftype: int, *holders: int) -> World:
    """A frame of the nucleus in slot 6, object 4, granted into slot 0 of the holders, who all run."""
    w = World()
    w.frame(owner, ftype)
    for holder in holders:
        w.give(6, holder, 0)
    w.run(*holders)
    return w


def test_create_frame_is_free_and_owned() -> None:
    w = World()
    assert w.ok(N, "create_frame", 6, 4, E) == (EFFECT_NONE, 0, 0, 0)
    b = w.s.objs[N][4]
    assert (b.kind, b.ftype, b.dom, b.mapcount) == (FRAME, TYPE_FREE, E, 0)


def test_create_frame_by_domain_lies_in_its_row() -> None:
    w = World()
    w.give(E, M, 0, READ)
    w.run(M)
    w.ok(M, "create_frame", 1, 2, 0)
    assert (w.s.objs[M][2].kind, w.s.objs[M][2].dom) == (FRAME, E)


@pytest.mark.parametrize(
    ("owner", "allowed"),
    [
        (M, {TYPE_MONOLITH, TYPE_SHARED_RO, TYPE_SHARED_RW}),
        (E, {TYPE_EXCLAVE_PRIVATE, TYPE_SHARED_RO, TYPE_SHARED_RW}),
        (D, {TYPE_SHARED_RO, TYPE_SHARED_RW}),
    ],
)
def test_retype_allows_what_the_owner_may_have(owner: int, allowed: set[int]) -> None:
    for ftype in TYPES:
        w = World()
        w.ok(N, "create_frame", 6, 4, owner)
        if ftype in allowed:
            assert w.ok(N, "retype", 6, ftype) == (EFFECT_RETYPE, N, 4, ftype)
        else:
            w.refused(ILLEGAL_OPERATION, N, "retype", 6, ftype)


def test_retype_goes_through_free_only() -> None:
    for old in (TYPE_EXCLAVE_PRIVATE, TYPE_SHARED_RO, TYPE_SHARED_RW):
        w = World()
        w.frame(E, old)
        for new in (TYPE_EXCLAVE_PRIVATE, TYPE_SHARED_RO, TYPE_SHARED_RW):
            w.refused(ILLEGAL_OPERATION, N, "retype", 6, new)
        w.ok(N, "retype", 6, TYPE_FREE)
        w.refused(ILLEGAL_OPERATION, N, "retype", 6, TYPE_FREE)


def test_retype_kills_all_but_the_root_capability() -> None:
    w = shared(E, TYPE_SHARED_RW, M)
    w.ok(N, "copy", 6, 7)
    w.ok(N, "retype", 6, TYPE_FREE)
    assert live(w.s, N, 6)
    assert not live(w.s, N, 7)
    assert not live(w.s, M, 0)


def test_retype_mapped_refused() -> None:
    w = shared(E, TYPE_SHARED_RW, M)
    w.ok(M, "map_frame", 0, 0, 1)
    w.refused(REVOKE_FIRST, N, "retype", 6, TYPE_FREE)
    w.ok(N, "evict", 6, 0)
    w.ok(N, "retype", 6, TYPE_FREE)


def test_retype_owner_killed_allows_free_only() -> None:
    w = World()
    w.frame(E, TYPE_SHARED_RO)
    w.ok(N, "kill", E)
    w.ok(N, "delete", E)
    w.ok(N, "create_domain", E, 5, E, EXCLAVE)
    w.ok(N, "retype", 6, TYPE_FREE)
    for ftype in TYPES:
        w.refused(ILLEGAL_OPERATION, N, "retype", 6, ftype)


def test_retype_private_by_neither_nucleus_nor_owner_refused() -> None:
    w = World()
    w.give(E, M, 0, READ)
    w.give(E, E, 0, READ)
    w.run(M, E)
    w.ok(M, "create_frame", 1, 0, 0)
    w.refused(ILLEGAL_OPERATION, M, "retype", 1, TYPE_EXCLAVE_PRIVATE)
    w.ok(M, "retype", 1, TYPE_SHARED_RW)
    w.ok(E, "create_frame", 1, 0, 0)
    w.ok(E, "retype", 1, TYPE_EXCLAVE_PRIVATE)
    w.ok(E, "map_frame", 1, 0, 1)


def test_map_frame_private_by_owner_only() -> None:
    w = shared(E, TYPE_EXCLAVE_PRIVATE, E)
    w.refused(ILLEGAL_OPERATION, N, "map_frame", 6, 0, 0)
    assert w.ok(E, "map_frame", 0, 2, 1) == (EFFECT_MAP, E, 2, 1)
    m = w.s.maps[E][2]
    assert (m.used, m.oq, m.oi, m.writable) == (1, N, 4, 1)


def test_map_frame_shared_ro_written_by_owner_only() -> None:
    w = shared(E, TYPE_SHARED_RO, M, E, F)
    for reader in (M, F):
        w.refused(ILLEGAL_OPERATION, reader, "map_frame", 0, 0, 1)
    w.ok(E, "map_frame", 0, 0, 1)
    w.ok(M, "map_frame", 0, 0, 0)


def test_map_frame_shared_rw_written_by_both() -> None:
    w = shared(E, TYPE_SHARED_RW, M, E)
    w.ok(M, "map_frame", 0, 0, 1)
    w.ok(E, "map_frame", 0, 0, 1)


def test_map_frame_monolith_by_exclave_refused() -> None:
    w = shared(M, TYPE_MONOLITH, M, E, D)
    w.refused(ILLEGAL_OPERATION, E, "map_frame", 0, 0, 0)
    w.ok(M, "map_frame", 0, 0, 1)
    w.ok(D, "map_frame", 0, 0, 1)


def test_map_frame_free_refused() -> None:
    w = World()
    w.ok(N, "create_frame", 6, 4, E)
    w.refused(ILLEGAL_OPERATION, N, "map_frame", 6, 0, 0)


def test_map_frame_writable_without_write_refused() -> None:
    w = World()
    w.frame(E, TYPE_SHARED_RW)
    w.ok(N, "mint", 6, 7, READ, 0)
    w.refused(INVALID_CAPABILITY, N, "map_frame", 7, 0, 1)
    w.ok(N, "map_frame", 7, 0, 0)


def test_map_frame_mapping_taken_refused() -> None:
    w = shared(E, TYPE_SHARED_RW, M)
    w.ok(M, "map_frame", 0, 0, 0)
    w.refused(DELETE_FIRST, M, "map_frame", 0, 0, 0)


def test_map_frame_reverse_map_full_refused() -> None:
    w = shared(E, TYPE_SHARED_RW, M)
    w.ok(M, "map_frame", 0, 0, 0)
    w.ok(M, "map_frame", 0, 1, 0)
    w.refused(NOT_ENOUGH_MEMORY, M, "map_frame", 0, 2, 0)
    w.ok(M, "unmap_frame", 0)
    w.ok(M, "map_frame", 0, 2, 0)


@pytest.mark.parametrize("first", [0, 1])
def test_unmap_frame_in_any_order_keeps_the_reverse_map(first: int) -> None:
    w = shared(E, TYPE_SHARED_RW, M, E)
    w.ok(M, "map_frame", 0, 3, 0)
    w.ok(E, "map_frame", 0, 1, 0)
    order = [(M, 3), (E, 1)]
    for domain, v in (order[first], order[1 - first]):
        assert w.ok(domain, "unmap_frame", v) == (EFFECT_UNMAP, domain, v, 0)
    assert w.s.objs[N][4].mapcount == 0


def test_unmap_frame_not_mapped_refused() -> None:
    shared(E, TYPE_SHARED_RW, M).refused(ILLEGAL_OPERATION, M, "unmap_frame", 0)


def test_unmap_frame_after_its_capability_died_still_works() -> None:
    w = shared(E, TYPE_SHARED_RW, M)
    w.ok(M, "map_frame", 0, 0, 0)
    w.ok(N, "revoke", 6)
    w.refused(FAILED_LOOKUP, M, "map_frame", 0, 1, 0)
    w.ok(M, "unmap_frame", 0)


def test_evict_takes_the_named_mapping() -> None:
    w = shared(E, TYPE_SHARED_RW, M, E)
    w.ok(M, "map_frame", 0, 3, 0)
    w.ok(E, "map_frame", 0, 1, 0)
    w.refused(RANGE_ERROR, N, "evict", 6, 2)
    assert w.ok(N, "evict", 6, 0) == (EFFECT_UNMAP, M, 3, 0)
    assert w.ok(N, "evict", 6, 0) == (EFFECT_UNMAP, E, 1, 0)
    w.refused(RANGE_ERROR, N, "evict", 6, 0)


def test_reclaim_map_not_mapped_refused() -> None:
    World().refused(ILLEGAL_OPERATION, N, "reclaim_map", M, 0)


def test_reclaim_map_of_the_living_refused() -> None:
    w = shared(E, TYPE_SHARED_RW, M)
    w.ok(M, "map_frame", 0, 0, 0)
    w.refused(ILLEGAL_OPERATION, N, "reclaim_map", M, 0)


def test_reclaim_map_holder_stopped_takes_it() -> None:
    w = shared(E, TYPE_SHARED_RW, M)
    w.ok(M, "map_frame", 0, 0, 0)
    w.ok(N, "stop", M)
    assert w.ok(N, "reclaim_map", M, 0) == (EFFECT_UNMAP, M, 0, 0)


def test_reclaim_map_creator_stopped_takes_it() -> None:
    w = World()
    w.give(M, E, 1)
    w.run(M, E)
    w.ok(E, "create_frame", 0, 0, 1)
    w.ok(E, "retype", 0, TYPE_SHARED_RW)
    w.ok(E, "grant", 0, 1, 0, ALL, 0)
    w.ok(M, "map_frame", 0, 0, 1)
    w.ok(N, "stop", E)
    assert w.ok(N, "reclaim_map", M, 0) == (EFFECT_UNMAP, M, 0, 0)


def test_reclaim_map_of_a_later_incarnation_alive_refused() -> None:
    w = shared(E, TYPE_SHARED_RW, M)
    w.ok(N, "stop", M)
    w.give(6, M, 0)
    w.ok(N, "start", M)
    w.ok(M, "map_frame", 0, 0, 0)
    w.refused(ILLEGAL_OPERATION, N, "reclaim_map", M, 0)


def reborn() -> World:
    """The driver's row holds its second driver; the nucleus's slot 8 controls it."""
    w = World()
    w.ok(N, "kill", D)
    w.ok(N, "create_domain", 8, 8, D, DRIVER)
    return w


def test_frame_of_the_owner_row_s_former_domain_is_not_the_new_one_s() -> None:
    w = World()
    w.frame(D, TYPE_SHARED_RO)
    w.ok(N, "kill", D)
    w.ok(N, "create_domain", 8, 8, D, DRIVER)
    w.give(6, 8, 0)
    w.ok(N, "seal")
    w.ok(N, "start", 8)
    w.refused(ILLEGAL_OPERATION, D, "map_frame", 0, 0, 1)
    w.ok(D, "map_frame", 0, 0, 0)


def test_frame_made_for_the_second_domain_of_a_row_is_its_own() -> None:
    w = reborn()
    w.frame(8, TYPE_SHARED_RO)
    w.give(6, 8, 0)
    w.ok(N, "seal")
    w.ok(N, "start", 8)
    w.ok(D, "map_frame", 0, 0, 1)


def test_create_frame_where_a_typed_one_was_destroyed_is_free() -> None:
    w = World()
    w.frame(E, TYPE_SHARED_RO)
    w.ok(N, "destroy", 6)
    w.ok(N, "create_frame", 6, 4, E)
    assert w.s.objs[N][4].ftype == TYPE_FREE


def test_mapping_of_past_incarnation_is_in_the_way_until_unmapped() -> None:
    w = shared(E, TYPE_SHARED_RW, M)
    w.ok(M, "map_frame", 0, 0, 0)
    w.ok(N, "stop", M)
    w.give(6, M, 0)
    w.ok(N, "start", M)
    w.refused(DELETE_FIRST, M, "map_frame", 0, 0, 0)
    w.ok(M, "unmap_frame", 0)
    w.ok(M, "map_frame", 0, 0, 0)
