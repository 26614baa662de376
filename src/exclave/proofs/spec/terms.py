"""Words of the theorems: predicates that several of them use.

Trust: reviewed.
Purpose: say who holds what, and what descends from what.
"""

from __future__ import annotations

from dataclasses import fields

from exclave.abi.types import (
    CONCLAVE,
    CONCLAVE_RUNNING,
    DOMAIN,
    DOMAIN_RUNNING,
    EXCLAVE,
    FRAME,
    OBJECT_FREE,
    TYPE_EXCLAVE_PRIVATE,
    Bits,
)
from exclave.nucleus.core.state import Boot, Cap, Dom, Map, Obj, Rmap, State

DOM = tuple(one.name for one in fields(Dom))
CAP = tuple(one.name for one in fields(Cap))
OBJ = tuple(one.name for one in fields(Obj))
MAP = tuple(one.name for one in fields(Map))
RMAP = tuple(one.name for one in fields(Rmap))
BOOT = tuple(one.name for one in fields(Boot))
EFFECT = ("effect", "effect_a", "effect_b", "effect_c")
OWN = (*EFFECT, "word")
"""The fields of a domain's row that its own operations write."""

CONDUCT = ("cstate", "busy", "armed", "launch")
"""The fields of an object that a conclave's operations write, besides its host."""


def without(names: tuple[str, ...], *others: str) -> tuple[str, ...]:
    """Return the names but for some."""
    return tuple(name for name in names if name not in others)


def alike(p: object, q: object, names: tuple[str, ...]) -> bool:
    """Say whether two rows agree on those fields."""
    return all(getattr(p, name) == getattr(q, name) for name in names)


def linked(s: State, d: int, t: int) -> bool:
    """Say whether slot (d, t) is a root's, or its parent is what it was at derivation."""
    c = s.caps[d][t]
    if c.depth == 0:
        return True
    p = s.caps[c.pd][c.ps]
    return p.epoch == c.pepoch and p.dgen == s.doms[c.pd].gen


def live(s: State, d: int, t: int) -> bool:
    """Say whether the slot holds a capability of its holder's and object's present, linked up to its root."""
    c = s.caps[d][t]
    if c.used != 1 or s.doms[d].gen != c.dgen or s.objs[c.oq][c.oi].gen != c.gen:
        return False
    if not linked(s, d, t):
        return False
    if c.depth == 0:
        return True
    p = s.caps[c.pd][c.ps]
    if not linked(s, c.pd, c.ps):
        return False
    return p.depth == 0 or linked(s, p.pd, p.ps)


def conclave_lets(s: State, d: int) -> bool:
    """Say whether d is in no conclave, or in one that runs, under the launch that d was started under."""
    x = s.doms[d]
    if x.member == 0:
        return True
    b = s.objs[0][x.conclave]
    return b.cstate == CONCLAVE_RUNNING and b.gen == x.cgen and b.launch == x.launch


def may_act(s: State, d: int) -> bool:
    """Say whether d is running, and its conclave lets it act."""
    return s.doms[d].state == DOMAIN_RUNNING and conclave_lets(s, d)


def names(s: State, d: int, t: int, q: int, i: int) -> bool:
    """Say whether the slot holds a live capability on object (q, i)."""
    c = s.caps[d][t]
    return c.oq == q and c.oi == i and live(s, d, t)


def holds(s: State, d: int, t: int, q: int, i: int, kind: int, need: Bits) -> bool:
    """Say whether the slot holds a live capability on object (q, i), of that kind, with those rights."""
    c = s.caps[d][t]
    if c.oq != q or c.oi != i or (c.rights & need) != need:
        return False
    return s.objs[q][i].kind == kind and live(s, d, t)


def roots(s: State, d: int, t: int, q: int, i: int) -> bool:
    """Say whether the slot holds the live root capability of object (q, i)."""
    c = s.caps[d][t]
    return c.oq == q and c.oi == i and c.depth == 0 and live(s, d, t)


def controls(s: State, d: int, t: int, x: int, need: Bits) -> bool:
    """Say whether the slot holds a live DOMAIN capability on domain x with those rights."""
    c = s.caps[d][t]
    b = s.objs[c.oq][c.oi]
    return b.kind == DOMAIN and b.dom == x and (c.rights & need) == need and live(s, d, t)


def descends(s: State, e: int, u: int, d: int, t: int) -> bool:
    """Say whether slot (d, t) is an ancestor of slot (e, u), which is live."""
    c = s.caps[e][u]
    if c.depth == 0:
        return False
    if c.pd == d and c.ps == t:
        return True
    p = s.caps[c.pd][c.ps]
    if p.depth == 0:
        return False
    if p.pd == d and p.ps == t:
        return True
    g = s.caps[p.pd][p.ps]
    return g.depth != 0 and g.pd == d and g.ps == t


def rests_on(s: State, e: int, u: int, d: int) -> bool:
    """Say whether slot (e, u) is domain d's, or has an ancestor there."""
    if e == d:
        return True
    c = s.caps[e][u]
    if c.depth == 0:
        return False
    if c.pd == d:
        return True
    p = s.caps[c.pd][c.ps]
    if p.depth == 0:
        return False
    if p.pd == d:
        return True
    g = s.caps[p.pd][p.ps]
    return g.depth != 0 and g.pd == d


def unused(s: State, q: int, i: int) -> bool:
    """Say whether the object's place is free, or a leftover of an ended incarnation."""
    b = s.objs[q][i]
    return b.kind == OBJECT_FREE or b.ogen != s.doms[q].gen


def private(s: State, q: int, i: int) -> bool:
    """Say whether object (q, i) is a frame of type EXCLAVE_PRIVATE."""
    b = s.objs[q][i]
    return b.kind == FRAME and b.ftype == TYPE_EXCLAVE_PRIVATE


def owns(s: State, d: int, q: int, i: int) -> bool:
    """Say whether domain d, in its present life, is the exclave that owns frame (q, i)."""
    b = s.objs[q][i]
    return b.dom == d and b.dlife == s.doms[d].life and s.doms[d].kind == EXCLAVE


def conducts(s: State, d: int, t: int) -> bool:
    """Say whether the slot holds a live capability on a domain or a conclave."""
    c = s.caps[d][t]
    b = s.objs[c.oq][c.oi]
    return (b.kind == DOMAIN or b.kind == CONCLAVE) and live(s, d, t)
