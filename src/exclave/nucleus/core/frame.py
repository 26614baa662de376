"""Frames: types and mappings.

Trust: proved.
Purpose: create_frame, retype, map_frame, unmap_frame, evict and reclaim_map.
Rules:
1. A frame has one type; it changes type only through FREE, unmapped, and all but its root capability die.
2. EXCLAVE_PRIVATE: owned by an EXCLAVE, mapped by its owner only, held by its owner and the nucleus only.
3. SHARED_RO is written by its owner only; MONOLITH is owned by a MONOLITH and mapped by no EXCLAVE.
4. rmap[q][i][k] = (d, v) and maps[d][v] = (q, i, k) mirror each other, for all k < mapcount.
"""

from __future__ import annotations

from exclave.abi.refusal import (
    DELETE_FIRST,
    FAILED_LOOKUP,
    ILLEGAL_OPERATION,
    INVALID_ARGUMENT,
    INVALID_CAPABILITY,
    NOT_ENOUGH_MEMORY,
    OK,
    RANGE_ERROR,
    REVOKE_FIRST,
)
from exclave.abi.rights import READ, WRITE
from exclave.abi.types import (
    DOMAIN,
    EXCLAVE,
    FRAME,
    LATCH_OBJECTS,
    LATCH_RETYPE,
    MONOLITH,
    TYPE_EXCLAVE_PRIVATE,
    TYPE_FREE,
    TYPE_MONOLITH,
    TYPE_SHARED_RO,
    TYPE_SHARED_RW,
)
from exclave.nucleus.core.caller import acts
from exclave.nucleus.core.capability import allows, held, put_root, slot_free
from exclave.nucleus.core.effect import EFFECT_MAP, EFFECT_NONE, EFFECT_RETYPE, EFFECT_UNMAP, emit
from exclave.nucleus.core.objects import object_free, put_object
from exclave.nucleus.core.state import State


def owned_by(s: State, q: int, i: int, d: int) -> bool:
    """Say whether domain d, in its present life, owns the frame."""
    b = s.objs[q][i]
    return b.dom == d and b.dlife == s.doms[d].life


def may_type(s: State, d: int, q: int, i: int, to: int) -> bool:
    """Say whether the owner's kind, and caller d, permit the frame to get that type."""
    b = s.objs[q][i]
    n = s.doms[b.dom]
    if to == TYPE_FREE:
        return True
    if b.dlife != n.life:
        return False
    if to == TYPE_EXCLAVE_PRIVATE:
        return n.kind == EXCLAVE and (d == 0 or d == b.dom)
    return to != TYPE_MONOLITH or n.kind == MONOLITH


def may_map(s: State, d: int, q: int, i: int, writable: int) -> bool:
    """Say whether the frame's type lets domain d map it so."""
    b = s.objs[q][i]
    if b.ftype == TYPE_FREE:
        return False
    if b.ftype == TYPE_EXCLAVE_PRIVATE:
        return owned_by(s, q, i, d)
    if b.ftype == TYPE_MONOLITH:
        return s.doms[d].kind != EXCLAVE
    return b.ftype != TYPE_SHARED_RO or writable == 0 or owned_by(s, q, i, d)


def drop_map(s: State, d: int, v: int) -> None:
    """Take mapping (d, v) out; the last entry of the frame's reverse map moves into its place."""
    m = s.maps[d][v]
    q = m.oq
    i = m.oi
    k = m.idx
    last = s.objs[q][i].mapcount - 1
    rd = s.rmap[q][i][last].d
    rv = s.rmap[q][i][last].v
    s.rmap[q][i][k].d = rd
    s.rmap[q][i][k].v = rv
    s.maps[rd][rv].idx = k
    s.objs[q][i].mapcount = last
    m.used = 0


def create_frame(s: State, d: int, t: int, i: int, dom: int) -> int:
    """Create a FREE frame owned by the domain of capability `dom`; its root capability goes into slot t."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not 0 <= t < s.nslot or not 0 <= i < s.nobj:
        return RANGE_ERROR
    if not held(s, d, dom):
        return FAILED_LOOKUP
    if not allows(s, d, dom, DOMAIN, READ):
        return INVALID_CAPABILITY
    if (s.boot.latches & LATCH_OBJECTS) != 0:
        return ILLEGAL_OPERATION
    if not slot_free(s, d, t) or not object_free(s, d, i):
        return DELETE_FIRST
    owner = s.objs[s.caps[d][dom].oq][s.caps[d][dom].oi].dom
    put_object(s, d, i, FRAME)
    b = s.objs[d][i]
    b.dom = owner
    b.dlife = s.doms[owner].life
    put_root(s, d, t, i)
    emit(s, d, EFFECT_NONE, 0, 0, 0)
    return OK


def retype(s: State, d: int, t: int, to: int) -> int:
    """Give the frame of a root capability another type, from or to FREE."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not TYPE_FREE <= to <= TYPE_SHARED_RW:
        return INVALID_ARGUMENT
    if not held(s, d, t):
        return FAILED_LOOKUP
    c = s.caps[d][t]
    if c.depth != 0 or not allows(s, d, t, FRAME, WRITE):
        return INVALID_CAPABILITY
    if (s.boot.latches & LATCH_RETYPE) != 0:
        return ILLEGAL_OPERATION
    b = s.objs[c.oq][c.oi]
    if (b.ftype != TYPE_FREE and to != TYPE_FREE) or (b.ftype == TYPE_FREE and to == TYPE_FREE):
        return ILLEGAL_OPERATION
    if not may_type(s, d, c.oq, c.oi, to):
        return ILLEGAL_OPERATION
    if b.mapcount != 0:
        return REVOKE_FIRST
    b.ftype = to
    b.gen = b.gen + 1
    c.gen = b.gen
    c.epoch = c.epoch + 1
    emit(s, d, EFFECT_RETYPE, c.oq, c.oi, to)
    return OK


def map_frame(s: State, d: int, t: int, v: int, writable: int) -> int:
    """Map the frame of a capability as the caller's mapping v, writable when 1."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not 0 <= v < s.nv or not 0 <= writable <= 1:
        return RANGE_ERROR
    if not held(s, d, t):
        return FAILED_LOOKUP
    c = s.caps[d][t]
    if not allows(s, d, t, FRAME, READ):
        return INVALID_CAPABILITY
    if writable == 1 and (c.rights & WRITE) != WRITE:
        return INVALID_CAPABILITY
    if not may_map(s, d, c.oq, c.oi, writable):
        return ILLEGAL_OPERATION
    m = s.maps[d][v]
    if m.used != 0:
        return DELETE_FIRST
    b = s.objs[c.oq][c.oi]
    k = b.mapcount
    if k >= s.nrmap:
        return NOT_ENOUGH_MEMORY
    m.used = 1
    m.oq = c.oq
    m.oi = c.oi
    m.idx = k
    m.dgen = s.doms[d].gen
    m.writable = writable
    s.rmap[c.oq][c.oi][k].d = d
    s.rmap[c.oq][c.oi][k].v = v
    b.mapcount = k + 1
    emit(s, d, EFFECT_MAP, d, v, writable)
    return OK


def unmap_frame(s: State, d: int, v: int) -> int:
    """Take away the caller's mapping v."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not 0 <= v < s.nv:
        return RANGE_ERROR
    if s.maps[d][v].used == 0:
        return ILLEGAL_OPERATION
    drop_map(s, d, v)
    emit(s, d, EFFECT_UNMAP, d, v, 0)
    return OK


def evict(s: State, d: int, t: int, k: int) -> int:
    """Take away the k-th mapping, whoever's it is, of the frame of a root capability."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not held(s, d, t):
        return FAILED_LOOKUP
    c = s.caps[d][t]
    if c.depth != 0 or not allows(s, d, t, FRAME, WRITE):
        return INVALID_CAPABILITY
    if not 0 <= k < s.objs[c.oq][c.oi].mapcount:
        return RANGE_ERROR
    e = s.rmap[c.oq][c.oi][k].d
    v = s.rmap[c.oq][c.oi][k].v
    drop_map(s, e, v)
    emit(s, d, EFFECT_UNMAP, e, v, 0)
    return OK


def reclaim_map(s: State, d: int, e: int, v: int) -> int:
    """Take away a mapping whose holder's, or frame creator's, incarnation has ended; for the nucleus."""
    if not acts(s, d) or d != 0:
        return ILLEGAL_OPERATION
    if not 0 <= e < s.ndom or not 0 <= v < s.nv:
        return RANGE_ERROR
    m = s.maps[e][v]
    if m.used == 0:
        return ILLEGAL_OPERATION
    if m.dgen == s.doms[e].gen and s.objs[m.oq][m.oi].ogen == s.doms[m.oq].gen:
        return ILLEGAL_OPERATION
    drop_map(s, e, v)
    emit(s, d, EFFECT_UNMAP, e, v, 0)
    return OK
