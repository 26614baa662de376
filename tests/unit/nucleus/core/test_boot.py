"""Staged boot and latches: nothing here goes backwards."""

from __future__ import annotations

import pytest

from exclave.abi.refusal import ILLEGAL_OPERATION, INVALID_ARGUMENT, RANGE_ERROR
from exclave.abi.types import (
    LATCH_ALL,
    LATCH_DOMAINS,
    LATCH_GRANTS,
    STAGE_OPEN,
    STAGE_SEALED,
)
from exclave.nucleus.core.effect import EFFECT_NONE
from support.core_world import N, World, digest

NOTHING = (EFFECT_NONE, 0, 0, 0)


def test_extend_measurement_hashes_old_and_new() -> None:
    w = World()
    assert w.ok(N, "extend_measurement", 7) == NOTHING
    w.ok(N, "extend_measurement", 2**256 - 1)
    assert w.s.boot.measurement == digest(digest(0, 7), 2**256 - 1)
    assert w.s.boot.count == 2


def test_extend_measurement_depends_on_order() -> None:
    one, other = World(), World()
    for w, values in ((one, (1, 2)), (other, (2, 1))):
        for value in values:
            w.ok(N, "extend_measurement", value)
    assert one.s.boot.measurement != other.s.boot.measurement


def test_extend_measurement_after_seal_refused() -> None:
    w = World()
    w.ok(N, "seal")
    w.refused(ILLEGAL_OPERATION, N, "extend_measurement", 7)


def test_seal_is_one_way() -> None:
    w = World()
    assert w.s.boot.stage == STAGE_OPEN
    assert w.ok(N, "seal") == NOTHING
    assert w.s.boot.stage == STAGE_SEALED
    w.refused(ILLEGAL_OPERATION, N, "seal")


@pytest.mark.parametrize("sealed", [False, True])
def test_lock_down_only_adds(sealed: bool) -> None:
    w = World()
    if sealed:
        w.ok(N, "seal")
    assert w.ok(N, "lock_down", LATCH_DOMAINS) == NOTHING
    w.ok(N, "lock_down", LATCH_GRANTS)
    w.ok(N, "lock_down", 0)
    assert w.s.boot.latches == LATCH_DOMAINS | LATCH_GRANTS


@pytest.mark.parametrize("latches", [16, 128, 255])
def test_lock_down_unknown_latch_refused(latches: int) -> None:
    World().refused(INVALID_ARGUMENT, N, "lock_down", latches)


def test_lock_down_beyond_a_small_set_refused() -> None:
    World().refused(RANGE_ERROR, N, "lock_down", 256 + LATCH_ALL)
