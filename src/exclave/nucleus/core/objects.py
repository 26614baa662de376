"""Objects: creation, destruction and what ended incarnations leave behind.

Trust: proved.
Purpose: create_object, destroy and reclaim_object.
Rules:
1. An object lies in its creator's row and is charged to it.
2. Its generation grows at birth and at death.
"""

from __future__ import annotations

from exclave.abi.refusal import (
    DELETE_FIRST,
    FAILED_LOOKUP,
    ILLEGAL_OPERATION,
    INVALID_ARGUMENT,
    INVALID_CAPABILITY,
    OK,
    RANGE_ERROR,
    REVOKE_FIRST,
)
from exclave.abi.types import (
    CONCLAVE,
    CONCLAVE_NONE,
    DOMAIN,
    ENDPOINT,
    LATCH_OBJECTS,
    NOTIFICATION,
    OBJECT_FREE,
    REQUEST_NONE,
    TYPE_FREE,
)
from exclave.nucleus.core.caller import acts
from exclave.nucleus.core.capability import held, put_root, slot_free
from exclave.nucleus.core.effect import EFFECT_CUT, EFFECT_NONE, emit
from exclave.nucleus.core.state import State


def object_free(s: State, q: int, i: int) -> bool:
    """Say whether the place, which is in range, is free or an unmapped leftover of an ended incarnation."""
    b = s.objs[q][i]
    return b.kind == OBJECT_FREE or (b.ogen != s.doms[q].gen and b.mapcount == 0)


def put_object(s: State, q: int, i: int, kind: int) -> None:
    """Write a fresh object of that kind."""
    b = s.objs[q][i]
    b.kind = kind
    b.gen = b.gen + 1
    b.ogen = s.doms[q].gen
    b.dom = 0
    b.dlife = 0
    b.ftype = TYPE_FREE
    b.word = 0
    b.cstate = CONCLAVE_NONE
    b.busy = REQUEST_NONE
    b.armed = REQUEST_NONE


def create_object(s: State, d: int, t: int, i: int, kind: int) -> int:
    """Create an endpoint or notification (the nucleus: also a conclave); its root capability fills slot t."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not 0 <= t < s.nslot or not 0 <= i < s.nobj:
        return RANGE_ERROR
    if kind != ENDPOINT and kind != NOTIFICATION and kind != CONCLAVE:
        return INVALID_ARGUMENT
    if kind == CONCLAVE and d != 0:
        return ILLEGAL_OPERATION
    if (s.boot.latches & LATCH_OBJECTS) != 0:
        return ILLEGAL_OPERATION
    if not slot_free(s, d, t) or not object_free(s, d, i):
        return DELETE_FIRST
    put_object(s, d, i, kind)
    put_root(s, d, t, i)
    emit(s, d, EFFECT_NONE, 0, 0, 0)
    return OK


def destroy(s: State, d: int, t: int) -> int:
    """Destroy the object of a root capability, with every capability on it."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not held(s, d, t):
        return FAILED_LOOKUP
    c = s.caps[d][t]
    b = s.objs[c.oq][c.oi]
    if c.depth != 0 or b.kind == DOMAIN:
        return INVALID_CAPABILITY
    if b.mapcount != 0 or b.cstate != CONCLAVE_NONE:
        return REVOKE_FIRST
    b.kind = OBJECT_FREE
    b.gen = b.gen + 1
    c.used = 0
    c.epoch = c.epoch + 1
    emit(s, d, EFFECT_CUT, c.oq, c.oi, 0)
    return OK


def reclaim_object(s: State, d: int, q: int, i: int) -> int:
    """Free an object whose creator's incarnation has ended; for the nucleus."""
    if not acts(s, d) or d != 0:
        return ILLEGAL_OPERATION
    if not 0 <= q < s.ndom or not 0 <= i < s.nobj:
        return RANGE_ERROR
    b = s.objs[q][i]
    if b.kind == OBJECT_FREE or b.ogen == s.doms[q].gen:
        return ILLEGAL_OPERATION
    if b.mapcount != 0:
        return REVOKE_FIRST
    b.kind = OBJECT_FREE
    b.gen = b.gen + 1
    emit(s, d, EFFECT_CUT, q, i, 0)
    return OK
