"""Capabilities: derivation and O(1) revocation.

Trust: proved.
Purpose: the predicates on slots, and mint, copy, grant, delete and revoke.
Rules:
1. A child never has a right that its parent lacks.
2. A badge is set once; an unbadged WRITE capability on an endpoint or a notification stays with its creator.
3. A capability is live while it and all its ancestors are current: epochs, generations, incarnations.
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
)
from exclave.abi.rights import ALL, GRANT, WRITE, WRITE_GRANT
from exclave.abi.types import (
    DOMAIN,
    ENDPOINT,
    FRAME,
    LATCH_GRANTS,
    MAX_DEPTH,
    NOTIFICATION,
    TYPE_EXCLAVE_PRIVATE,
    Bits,
    Word,
)
from exclave.nucleus.core.caller import acts
from exclave.nucleus.core.effect import EFFECT_CUT, EFFECT_GRANT, EFFECT_NONE, emit
from exclave.nucleus.core.state import State


def live(s: State, d: int, t: int) -> bool:
    """Say whether the slot, which is in range, holds a capability that is alive with all its ancestors."""
    c = s.caps[d][t]
    if c.used == 0 or c.dgen != s.doms[d].gen or c.gen != s.objs[c.oq][c.oi].gen:
        return False
    if c.depth == 0:
        return True
    p = s.caps[c.pd][c.ps]
    if p.epoch != c.pepoch or p.dgen != s.doms[c.pd].gen:
        return False
    if p.depth == 0:
        return True
    g = s.caps[p.pd][p.ps]
    if g.epoch != p.pepoch or g.dgen != s.doms[p.pd].gen:
        return False
    if g.depth == 0:
        return True
    r = s.caps[g.pd][g.ps]
    return r.epoch == g.pepoch and r.dgen == s.doms[g.pd].gen


def held(s: State, d: int, t: int) -> bool:
    """Say whether t is a slot of d with a live capability."""
    return 0 <= t < s.nslot and live(s, d, t)


def allows(s: State, d: int, t: int, kind: int, need: Bits) -> bool:
    """Say whether the held capability names an object of that kind and has those rights."""
    c = s.caps[d][t]
    return s.objs[c.oq][c.oi].kind == kind and (c.rights & need) == need


def slot_free(s: State, d: int, t: int) -> bool:
    """Say whether the slot, which is in range, is empty or a leftover of an ended incarnation."""
    c = s.caps[d][t]
    return c.used == 0 or c.dgen != s.doms[d].gen


def badge_fits(s: State, d: int, t: int, badge: Word) -> bool:
    """Say whether a child of the capability may have that badge: any, unless one is set already."""
    c = s.caps[d][t]
    return c.badge == 0 or c.badge == badge


def may_leave(s: State, d: int, t: int, rights: Bits, badge: Word) -> bool:
    """Say whether a child may be granted with that badge: who calls or signals needs one."""
    b = s.objs[s.caps[d][t].oq][s.caps[d][t].oi]
    return (b.kind != ENDPOINT and b.kind != NOTIFICATION) or (rights & WRITE) != WRITE or badge != 0


def may_reach(s: State, d: int, t: int, e: int) -> bool:
    """Say whether domain e may hold the object: a private frame is for its owner only."""
    b = s.objs[s.caps[d][t].oq][s.caps[d][t].oi]
    return b.kind != FRAME or b.ftype != TYPE_EXCLAVE_PRIVATE or (b.dom == e and b.dlife == s.doms[e].life)


def put_root(s: State, d: int, t: int, i: int) -> None:
    """Write the root capability of d's object i into slot t."""
    c = s.caps[d][t]
    c.used = 1
    c.oq = d
    c.oi = i
    c.gen = s.objs[d][i].gen
    c.dgen = s.doms[d].gen
    c.rights = ALL
    c.badge = 0
    c.depth = 0
    c.epoch = c.epoch + 1


def put_child(s: State, pd: int, ps: int, d: int, t: int, rights: Bits, badge: Word) -> None:
    """Derive a child of slot (pd, ps) into slot (d, t)."""
    p = s.caps[pd][ps]
    c = s.caps[d][t]
    c.used = 1
    c.oq = p.oq
    c.oi = p.oi
    c.gen = p.gen
    c.dgen = s.doms[d].gen
    c.rights = rights
    c.badge = badge
    c.depth = p.depth + 1
    c.pd = pd
    c.ps = ps
    c.pepoch = p.epoch
    c.epoch = c.epoch + 1


def mint(s: State, d: int, src: int, dst: int, rights: Bits, badge: Word) -> int:
    """Derive a capability with fewer or equal rights, and a badge if the source has none yet."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not 0 <= dst < s.nslot:
        return RANGE_ERROR
    if not held(s, d, src):
        return FAILED_LOOKUP
    c = s.caps[d][src]
    if (rights | c.rights) != c.rights:
        return INVALID_CAPABILITY
    if not badge_fits(s, d, src, badge):
        return INVALID_ARGUMENT
    if not slot_free(s, d, dst):
        return DELETE_FIRST
    if c.depth >= MAX_DEPTH:
        return NOT_ENOUGH_MEMORY
    put_child(s, d, src, d, dst, rights, badge)
    emit(s, d, EFFECT_NONE, 0, 0, 0)
    return OK


def copy(s: State, d: int, src: int, dst: int) -> int:
    """Derive a capability with the same rights and badge, so that it can be cut alone."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not 0 <= dst < s.nslot:
        return RANGE_ERROR
    if not held(s, d, src):
        return FAILED_LOOKUP
    c = s.caps[d][src]
    if not slot_free(s, d, dst):
        return DELETE_FIRST
    if c.depth >= MAX_DEPTH:
        return NOT_ENOUGH_MEMORY
    put_child(s, d, src, d, dst, c.rights, c.badge)
    emit(s, d, EFFECT_NONE, 0, 0, 0)
    return OK


def grant(s: State, d: int, src: int, dom: int, dst: int, rights: Bits, badge: Word) -> int:
    """Derive a child of `src` into slot `dst` of the domain that capability `dom` controls."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not 0 <= dst < s.nslot:
        return RANGE_ERROR
    if not held(s, d, src) or not held(s, d, dom):
        return FAILED_LOOKUP
    c = s.caps[d][src]
    if (c.rights & GRANT) != GRANT or (rights | c.rights) != c.rights:
        return INVALID_CAPABILITY
    if not allows(s, d, dom, DOMAIN, WRITE_GRANT):
        return INVALID_CAPABILITY
    if (s.boot.latches & LATCH_GRANTS) != 0:
        return ILLEGAL_OPERATION
    if not badge_fits(s, d, src, badge) or not may_leave(s, d, src, rights, badge):
        return INVALID_ARGUMENT
    e = s.objs[s.caps[d][dom].oq][s.caps[d][dom].oi].dom
    if not may_reach(s, d, src, e):
        return ILLEGAL_OPERATION
    if not slot_free(s, e, dst):
        return DELETE_FIRST
    if c.depth >= MAX_DEPTH:
        return NOT_ENOUGH_MEMORY
    put_child(s, d, src, e, dst, rights, badge)
    emit(s, d, EFFECT_GRANT, e, dst, 0)
    return OK


def delete(s: State, d: int, t: int) -> int:
    """Empty a slot of the caller's; everything derived from it dies."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not 0 <= t < s.nslot:
        return RANGE_ERROR
    c = s.caps[d][t]
    if c.used == 0:
        return FAILED_LOOKUP
    # A live root capability is the only way to destroy the object, which would stay charged for ever.
    if c.depth == 0 and live(s, d, t):
        return ILLEGAL_OPERATION
    c.used = 0
    c.epoch = c.epoch + 1
    emit(s, d, EFFECT_CUT, c.oq, c.oi, 0)
    return OK


def revoke(s: State, d: int, t: int) -> int:
    """Kill everything derived from a capability, which itself stays."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not held(s, d, t):
        return FAILED_LOOKUP
    c = s.caps[d][t]
    c.epoch = c.epoch + 1
    emit(s, d, EFFECT_CUT, c.oq, c.oi, 0)
    return OK
