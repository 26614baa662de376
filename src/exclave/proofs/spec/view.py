"""What a domain can see of the nucleus: two states agree for it when no operation of its tells them apart.

Trust: reviewed.
Purpose: the view of a domain, as predicates about two states, and local respect as theorems about a step.
Rules:
1. The domains meant hold no DOMAIN or CONCLAVE capability; the nucleus, which does, sees everything.
"""

from __future__ import annotations

from exclave.abi.types import FRAME
from exclave.nucleus.core.state import State
from exclave.proofs.spec.step import Step
from exclave.proofs.spec.terms import (
    BOOT,
    CAP,
    DOM,
    MAP,
    OBJ,
    alike,
    conclave_lets,
    conducts,
    live,
    names,
    without,
)

_SEEN = without(DOM, "control", "handler", "hq", "hi", "hgen", "fault")
_MAPPING = without(MAP, "idx")
_LINK = ("depth", "pd", "ps")


def sees_itself(a: State, b: State, e: int) -> bool:
    """A domain sees its own row, but for its fault handler."""
    return alike(a.doms[e], b.doms[e], _SEEN)


def sees_whether_it_acts(a: State, b: State, e: int) -> bool:
    """A domain sees whether its conclave lets it act."""
    return conclave_lets(a, e) == conclave_lets(b, e)


def sees_boot(a: State, b: State, e: int) -> bool:
    """Everybody sees the boot stage and the latches."""
    return e >= 0 and alike(a.boot, b.boot, without(BOOT, "measurement", "count"))


def sees_slot(a: State, b: State, e: int, t: int) -> bool:
    """A domain sees its own slots."""
    return alike(a.caps[e][t], b.caps[e][t], CAP)


def sees_life(a: State, b: State, e: int, t: int) -> bool:
    """A domain sees which of its capabilities are live."""
    return live(a, e, t) == live(b, e, t)


def sees_object(a: State, b: State, e: int, t: int) -> bool:
    """A domain sees the objects on which it holds live capabilities."""
    c = a.caps[e][t]
    p, q = a.objs[c.oq][c.oi], b.objs[c.oq][c.oi]
    return alike(p, q, OBJ) or not live(a, e, t)


def sees_owner(a: State, b: State, e: int, t: int) -> bool:
    """A domain sees the kind of a frame's owner, and whether it lives, if it holds the frame."""
    c = a.caps[e][t]
    p, q = a.objs[c.oq][c.oi], b.objs[c.oq][c.oi]
    if p.kind != FRAME or not live(a, e, t):
        return True
    x, y = a.doms[p.dom], b.doms[p.dom]
    return x.kind == y.kind and (p.dlife == x.life) == (q.dlife == y.life)


def sees_ancestry(a: State, b: State, e: int, t: int) -> bool:
    """A domain sees from which slots its live capabilities were derived."""
    c = a.caps[e][t]
    if c.depth == 0 or not live(a, e, t):
        return True
    p, q = a.caps[c.pd][c.ps], b.caps[c.pd][c.ps]
    if not alike(p, q, _LINK):
        return False
    return p.depth == 0 or alike(a.caps[p.pd][p.ps], b.caps[p.pd][p.ps], _LINK)


def sees_place(a: State, b: State, e: int, i: int) -> bool:
    """A domain sees the objects in its own row."""
    return alike(a.objs[e][i], b.objs[e][i], OBJ)


def sees_mapping(a: State, b: State, e: int, v: int) -> bool:
    """A domain sees its own mappings, but for their place in the reverse map."""
    return alike(a.maps[e][v], b.maps[e][v], _MAPPING)


def sees_who_maps(a: State, b: State, e: int, t: int, k: int) -> bool:
    """Who holds a frame's root capability sees who maps the frame, and in which order."""
    c = a.caps[e][t]
    p = a.objs[c.oq][c.oi]
    if c.depth != 0 or p.kind != FRAME or k >= p.mapcount or not live(a, e, t):
        return True
    return alike(a.rmap[c.oq][c.oi][k], b.rmap[c.oq][c.oi][k], ("d", "v"))


VIEW = {
    "": (sees_itself, sees_whether_it_acts, sees_boot),
    "slot": (sees_slot, sees_life, sees_object, sees_owner, sees_ancestry),
    "place": (sees_place,),
    "mapping": (sees_mapping,),
    "slot entry": (sees_who_maps,),
}
"""The view, by what it is about besides the domain."""


def _stranger(step: Step, e: int) -> bool:
    """Say whether the caller is neither e nor the nucleus, and conducts nobody."""
    if e == step.caller or step.caller == 0:
        return False
    return not step.some_slot(lambda u: conducts(step.before, step.caller, u))


def respects_domain(step: Step, e: int) -> bool:
    """No operation of another domain, without control, changes anything in a domain's row."""
    return alike(step.before.doms[e], step.after.doms[e], DOM) or not _stranger(step, e)


def respects_conclave(step: Step, e: int) -> bool:
    """No operation of another domain, without control, changes whether a domain's conclave lets it act."""
    return sees_whether_it_acts(step.before, step.after, e) or not _stranger(step, e)


def respects_slot(step: Step, e: int, t: int) -> bool:
    """No operation of another domain, without control, changes a domain's slots, and a capability there dies
    only by who holds a live one on the same object."""
    if alike(step.before.caps[e][t], step.after.caps[e][t], CAP):
        if live(step.before, e, t) == live(step.after, e, t) or not _stranger(step, e):
            return True
        c = step.before.caps[e][t]
        return step.some_slot(lambda u: names(step.before, step.caller, u, c.oq, c.oi))
    return not _stranger(step, e)


def respects_object(step: Step, q: int, i: int) -> bool:
    """No domain without control changes an object of another one, unless it holds a live capability on it,
    or, for its count of mappings, has it mapped."""
    if alike(step.before.objs[q][i], step.after.objs[q][i], OBJ) or not _stranger(step, q):
        return True
    if step.is_("unmap_frame"):
        m = step.before.maps[step.caller][step.arguments["v"]]
        return m.oq == q and m.oi == i
    return step.some_slot(lambda u: names(step.before, step.caller, u, q, i))


def respects_mapping(step: Step, e: int, v: int) -> bool:
    """No operation of another domain, without control, changes a domain's mappings, unless it holds a live
    capability on the frame."""
    m = step.before.maps[e][v]
    if alike(m, step.after.maps[e][v], _MAPPING) or not _stranger(step, e):
        return True
    return step.some_slot(lambda u: names(step.before, step.caller, u, m.oq, m.oi))


def respects_boot(step: Step) -> bool:
    """No domain but the nucleus changes the boot stage, the measurement or a latch."""
    return step.caller == 0 or alike(step.before.boot, step.after.boot, BOOT)
