"""What is true of every step of the core from one state to the next.

Each predicate is about one row of one table; `broken_step` tries all rows of two concrete states.
"""

from __future__ import annotations

from collections.abc import Callable

from exclave.abi.types import (
    DOMAIN_FREE,
    EXCLAVE,
    FRAME,
    LATCH_DOMAINS,
    LATCH_RETYPE,
    STAGE_OPEN,
    TYPE_FREE,
)
from exclave.nucleus.core.capability import live
from exclave.nucleus.core.state import State
from support.core_invariants import keys


def dom_grows(a: State, b: State, d: int) -> bool:
    return a.doms[d].gen <= b.doms[d].gen and a.doms[d].life <= b.doms[d].life


def dom_exclave_only_before_seal(a: State, b: State, d: int) -> bool:
    x, y = a.doms[d], b.doms[d]
    if x.state != DOMAIN_FREE or y.state == DOMAIN_FREE:
        return x.kind == y.kind
    if (a.boot.latches & LATCH_DOMAINS) != 0:
        return False
    return y.kind != EXCLAVE or a.boot.stage == STAGE_OPEN


def obj_grows(a: State, b: State, q: int, i: int) -> bool:
    return a.objs[q][i].gen <= b.objs[q][i].gen and a.objs[q][i].launch <= b.objs[q][i].launch


def obj_type_through_free(a: State, b: State, q: int, i: int) -> bool:
    x, y = a.objs[q][i], b.objs[q][i]
    if x.kind != FRAME or y.kind != FRAME or x.ftype == y.ftype:
        return True
    if x.mapcount != 0 or x.gen == y.gen:
        return False
    return TYPE_FREE in (x.ftype, y.ftype) and (
        (a.boot.latches & LATCH_RETYPE) == 0 or (x.ogen != y.ogen and y.ftype == TYPE_FREE)
    )


def cap_grows(a: State, b: State, d: int, t: int) -> bool:
    return a.caps[d][t].epoch <= b.caps[d][t].epoch


def cap_stays_or_is_new(a: State, b: State, d: int, t: int) -> bool:
    """What died does not come back: a slot that becomes live was written, so its epoch grew."""
    if not live(b, d, t) or live(a, d, t):
        return True
    return a.caps[d][t].epoch < b.caps[d][t].epoch


def boot_monotone(a: State, b: State) -> bool:
    x, y = a.boot, b.boot
    if x.stage > y.stage or (x.latches | y.latches) != y.latches:
        return False
    return (x.measurement, x.count) == (y.measurement, y.count) or (
        x.stage == STAGE_OPEN and y.count == x.count + 1
    )


STEPS: dict[str, tuple[Callable[..., bool], ...]] = {
    "doms": (dom_grows, dom_exclave_only_before_seal),
    "objs": (obj_grows, obj_type_through_free),
    "caps": (cap_grows, cap_stays_or_is_new),
    "boot": (boot_monotone,),
}


def broken_step(a: State, b: State) -> list[str]:
    """Return the names and rows of the step properties that a step from a to b breaks."""
    return [
        f"{f.__name__}{key}"
        for table, predicates in STEPS.items()
        for key in keys(a, table)
        for f in predicates
        if not f(a, b, *key)
    ]
