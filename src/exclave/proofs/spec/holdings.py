"""Invariants of capabilities and mappings: true at first, and kept by every operation.

Trust: reviewed.
Purpose: say what is true of each row of `caps`, `maps` and `rmap`.
"""

from __future__ import annotations

from exclave.abi.rights import ALL, WRITE
from exclave.abi.types import (
    CONCLAVE,
    DOMAIN,
    DOMAIN_FREE,
    ENDPOINT,
    EXCLAVE,
    FRAME,
    MAX_DEPTH,
    MONOLITH,
    NOTIFICATION,
    OBJECT_FREE,
    TYPE_FREE,
    TYPE_MONOLITH,
    TYPE_SHARED_RO,
)
from exclave.nucleus.core import caller, capability
from exclave.nucleus.core.state import State
from exclave.proofs.spec.terms import live, may_act, owns, private


def slot_in_range(s: State, d: int, t: int) -> bool:
    """Every number in a slot lies in the range of what it names."""
    c = s.caps[d][t]
    return (
        0 <= c.oq < s.ndom
        and 0 <= c.oi < s.nobj
        and 0 <= c.pd < s.ndom
        and 0 <= c.ps < s.nslot
        and 0 <= c.used <= 1
        and 0 <= c.depth <= MAX_DEPTH
        and (c.rights | ALL) == ALL
    )


def capability_generations(s: State, d: int, t: int) -> bool:
    """A capability is of no later generation or incarnation than the present ones; a free row has none."""
    c = s.caps[d][t]
    if c.used == 0:
        return True
    if s.doms[d].state == DOMAIN_FREE and c.dgen == s.doms[d].gen:
        return False
    return c.gen <= s.objs[c.oq][c.oi].gen and c.dgen <= s.doms[d].gen


def live_capability_has_object(s: State, d: int, t: int) -> bool:
    """A capability of an object's present generation names an object that exists."""
    c = s.caps[d][t]
    if c.used == 0 or c.gen != s.objs[c.oq][c.oi].gen:
        return True
    return s.objs[c.oq][c.oi].kind != OBJECT_FREE


def parent_epoch(s: State, d: int, t: int) -> bool:
    """A derived capability is of no later epoch than its parent's slot has now."""
    c = s.caps[d][t]
    if c.used == 0 or c.depth == 0:
        return True
    return c.pepoch <= s.caps[c.pd][c.ps].epoch


def child_within_parent(s: State, d: int, t: int) -> bool:
    """A derived capability has its parent's object, rights within the parent's, and one derivation more."""
    c = s.caps[d][t]
    if c.used == 0 or c.depth == 0:
        return True
    p = s.caps[c.pd][c.ps]
    if p.epoch != c.pepoch:
        return True
    return (
        p.used == 1
        and p.oq == c.oq
        and p.oi == c.oi
        and p.gen == c.gen
        and c.depth == p.depth + 1
        and (c.rights | p.rights) == p.rights
    )


def badge_set_once(s: State, d: int, t: int) -> bool:
    """A derived capability has its parent's badge, unless the parent had none."""
    c = s.caps[d][t]
    if c.used == 0 or c.depth == 0:
        return True
    p = s.caps[c.pd][c.ps]
    return p.epoch != c.pepoch or p.badge == 0 or p.badge == c.badge


def root_held_by_creator(s: State, d: int, t: int) -> bool:
    """A root capability of the present generation is its creator's, with all rights and no badge."""
    c = s.caps[d][t]
    if c.used == 0 or c.depth != 0 or c.gen != s.objs[c.oq][c.oi].gen:
        return True
    if d != c.oq or c.rights != ALL or c.badge != 0:
        return False
    return c.dgen == s.objs[c.oq][c.oi].ogen


def caller_is_badged(s: State, d: int, t: int) -> bool:
    """Who can call an endpoint or signal a notification and is not its creator has a badge."""
    c = s.caps[d][t]
    if d == c.oq or c.badge != 0 or (c.rights & WRITE) != WRITE or not live(s, d, t):
        return True
    b = s.objs[c.oq][c.oi]
    return b.kind != ENDPOINT and b.kind != NOTIFICATION


def private_frame_held_by_owner(s: State, d: int, t: int) -> bool:
    """Only its owner, an exclave, and the nucleus hold a private frame."""
    c = s.caps[d][t]
    if d == 0 or not private(s, c.oq, c.oi) or not live(s, d, t):
        return True
    return owns(s, d, c.oq, c.oi)


def mapping_backed(s: State, d: int, v: int) -> bool:
    """A mapping names a frame that has a type, and an entry of its reverse map that names it back."""
    m = s.maps[d][v]
    if m.used == 0:
        return True
    if not (m.used == 1 and 0 <= m.oq < s.ndom and 0 <= m.oi < s.nobj and 0 <= m.writable <= 1):
        return False
    b = s.objs[m.oq][m.oi]
    if not (b.kind == FRAME and b.ftype != TYPE_FREE and 0 <= m.idx < b.mapcount):
        return False
    r = s.rmap[m.oq][m.oi][m.idx]
    return r.d == d and r.v == v


def mapping_incarnation(s: State, d: int, v: int) -> bool:
    """A mapping is of no later incarnation than its holder's present one, and a free row has none."""
    m = s.maps[d][v]
    if m.used == 0:
        return True
    return m.dgen <= s.doms[d].gen and (s.doms[d].state != DOMAIN_FREE or m.dgen < s.doms[d].gen)


def private_frame_mapped_in_owner(s: State, d: int, v: int) -> bool:
    """A private frame is mapped in its owner only, which is an exclave."""
    m = s.maps[d][v]
    if m.used == 0 or m.dgen != s.doms[d].gen or not private(s, m.oq, m.oi):
        return True
    return owns(s, d, m.oq, m.oi)


def shared_frame_written_by_owner(s: State, d: int, v: int) -> bool:
    """A SHARED_RO frame is mapped writable in its owner only."""
    m = s.maps[d][v]
    if m.used == 0 or m.writable == 0 or m.dgen != s.doms[d].gen:
        return True
    b = s.objs[m.oq][m.oi]
    return b.ftype != TYPE_SHARED_RO or (b.dom == d and b.dlife == s.doms[d].life)


def monolith_frame_not_in_exclave(s: State, d: int, v: int) -> bool:
    """A MONOLITH frame is mapped in no exclave."""
    m = s.maps[d][v]
    if m.used == 0 or m.dgen != s.doms[d].gen or s.objs[m.oq][m.oi].ftype != TYPE_MONOLITH:
        return True
    return s.doms[d].kind != EXCLAVE


def reverse_map_backed(s: State, q: int, i: int, k: int) -> bool:
    """Every used entry of a frame's reverse map names a mapping that names it back."""
    if k >= s.objs[q][i].mapcount:
        return True
    r = s.rmap[q][i][k]
    if not (0 <= r.d < s.ndom and 0 <= r.v < s.nv):
        return False
    m = s.maps[r.d][r.v]
    return m.used == 1 and m.oq == q and m.oi == i and m.idx == k


def monolith_holds_no_private_frame(s: State, d: int, t: int) -> bool:
    """A monolith holds no capability on a private frame."""
    c = s.caps[d][t]
    return s.doms[d].kind != MONOLITH or not private(s, c.oq, c.oi) or not live(s, d, t)


def monolith_maps_no_private_frame(s: State, d: int, v: int) -> bool:
    """A monolith has no private frame mapped."""
    m = s.maps[d][v]
    if s.doms[d].kind != MONOLITH or m.used == 0 or m.dgen != s.doms[d].gen:
        return True
    return not private(s, m.oq, m.oi)


def controller_names_domain(s: State, d: int, t: int) -> bool:
    """A live capability on a domain or a conclave descends from one of the nucleus's."""
    c = s.caps[d][t]
    b = s.objs[c.oq][c.oi]
    if (b.kind != DOMAIN and b.kind != CONCLAVE) or not live(s, d, t):
        return True
    return c.oq == 0 and (c.depth != 0 or d == 0)


def core_knows_what_lives(s: State, d: int, t: int) -> bool:
    """What the core takes for live is exactly what is of the present and linked up to its root."""
    return capability.live(s, d, t) == live(s, d, t)


def core_knows_who_acts(s: State, d: int) -> bool:
    """Who may act, for the core, is a running domain whose conclave lets it act."""
    return caller.acts(s, d) == may_act(s, d)
