"""Integrity: an operation changes only what its caller's capabilities name.

Trust: reviewed.
Purpose: for each table, who may change a row, and which fields of it.
"""

from __future__ import annotations

from exclave.abi.rights import READ, WRITE, WRITE_GRANT
from exclave.abi.types import (
    CONCLAVE,
    DOMAIN,
    DOMAIN_FREE,
    FRAME,
    NOTIFICATION,
)
from exclave.proofs.spec.step import Step
from exclave.proofs.spec.terms import (
    BOOT,
    CAP,
    CONDUCT,
    DOM,
    MAP,
    OBJ,
    OWN,
    RMAP,
    alike,
    controls,
    holds,
    may_act,
    names,
    roots,
    unused,
    without,
)

_LIFE = without(DOM, *OWN)
_IDENTITY = without(OBJ, *CONDUCT, "word", "mapcount")
_MAPPING = without(MAP, "idx")


def domain_changed_by_controller(step: Step, x: int) -> bool:
    """A domain's state, kind, membership and handler change by who controls it, or by its creation."""
    if alike(step.before.doms[x], step.after.doms[x], _LIFE):
        return True
    if step.before.doms[x].state == DOMAIN_FREE:
        return step.caller == 0
    return step.some_slot(lambda t: controls(step.before, step.caller, t, x, WRITE))


def own_row_changed_by_itself(step: Step, x: int) -> bool:
    """The word and the effect in a domain's row change by its own operations, or by its creation."""
    if x == step.caller or alike(step.before.doms[x], step.after.doms[x], OWN):
        return True
    return step.caller == 0 and step.before.doms[x].state == DOMAIN_FREE


def slot_changed_by_holder_or_granter(step: Step, x: int, t: int) -> bool:
    """A slot changes by its holder, or, where it is free, by who may put capabilities into that domain."""
    c = step.before.caps[x][t]
    if x == step.caller or alike(c, step.after.caps[x][t], CAP):
        return True
    if c.used == 1 and c.dgen == step.before.doms[x].gen:
        return False
    return step.some_slot(lambda u: controls(step.before, step.caller, u, x, WRITE_GRANT))


def object_changed_by_authority(step: Step, q: int, i: int) -> bool:
    """An object's identity, owner and type change by its creation, by its root capability, by who controls
    the domain or conclave that it is, or, once its creator's incarnation ended, by the nucleus."""
    if alike(step.before.objs[q][i], step.after.objs[q][i], _IDENTITY):
        return True
    if unused(step.before, q, i) and (step.caller == q or step.caller == 0):
        return True
    s, d = step.before, step.caller
    return step.some_slot(
        lambda t: (
            roots(s, d, t, q, i)
            or holds(s, d, t, q, i, DOMAIN, WRITE)
            or holds(s, d, t, q, i, CONCLAVE, WRITE)
        )
    )


def conclave_changed_by_conductor(step: Step, q: int, i: int) -> bool:
    """A conclave's state, transition, armed request and launches change by who may conduct it."""
    if alike(step.before.objs[q][i], step.after.objs[q][i], CONDUCT):
        return True
    if step.caller == q and unused(step.before, q, i):
        return True
    return step.some_slot(lambda t: holds(step.before, step.caller, t, q, i, CONCLAVE, WRITE))


def word_changed_by_signal_or_poll(step: Step, q: int, i: int) -> bool:
    """A notification's word changes by who may signal or poll it."""
    if step.before.objs[q][i].word == step.after.objs[q][i].word:
        return True
    if step.caller == q and unused(step.before, q, i):
        return True
    s, d = step.before, step.caller
    return step.some_slot(
        lambda t: holds(s, d, t, q, i, NOTIFICATION, WRITE) or holds(s, d, t, q, i, NOTIFICATION, READ)
    )


def count_changed_by_mapper(step: Step, q: int, i: int) -> bool:
    """A frame's count of mappings changes when the caller maps it, drops a mapping of its own, evicts with
    the root capability, or, being the nucleus, reclaims what an ended incarnation left."""
    if step.before.objs[q][i].mapcount == step.after.objs[q][i].mapcount:
        return True
    if step.is_("unmap_frame"):
        m = step.before.maps[step.caller][step.arguments["v"]]
        return m.used == 1 and m.oq == q and m.oi == i
    if step.is_("reclaim_map"):
        m = step.before.maps[step.arguments["e"]][step.arguments["v"]]
        return step.caller == 0 and m.used == 1 and m.oq == q and m.oi == i
    if step.is_("evict"):
        return step.some_slot(lambda t: roots(step.before, step.caller, t, q, i))
    return step.some_slot(lambda t: holds(step.before, step.caller, t, q, i, FRAME, READ))


def entries_changed_with_count(step: Step, q: int, i: int, k: int) -> bool:
    """A frame's reverse map changes only together with its count of mappings."""
    if alike(step.before.rmap[q][i][k], step.after.rmap[q][i][k], RMAP):
        return True
    return step.before.objs[q][i].mapcount != step.after.objs[q][i].mapcount


def mapping_changed_by_holder_or_owner(step: Step, x: int, v: int) -> bool:
    """A mapping changes by its holder, by the frame's root capability, or, when its holder's or the frame's
    creator's incarnation ended, by the nucleus."""
    m = step.before.maps[x][v]
    if x == step.caller or alike(m, step.after.maps[x][v], _MAPPING):
        return True
    s = step.before
    if m.dgen != s.doms[x].gen or s.objs[m.oq][m.oi].ogen != s.doms[m.oq].gen:
        return step.caller == 0 or step.some_slot(lambda t: roots(s, step.caller, t, m.oq, m.oi))
    return step.some_slot(lambda t: roots(s, step.caller, t, m.oq, m.oi))


def mapped_with_rights(step: Step, x: int, v: int) -> bool:
    """Whoever gets a mapping holds READ on the frame, and WRITE as well when it is writable."""
    m = step.after.maps[x][v]
    if m.used == step.before.maps[x][v].used or m.used == 0:
        return True
    need = READ if m.writable == 0 else READ | WRITE
    return x == step.caller and step.some_slot(lambda t: holds(step.before, x, t, m.oq, m.oi, FRAME, need))


def boot_changed_by_nucleus(step: Step) -> bool:
    """Boot stage, measurement and latches change by the nucleus only."""
    return step.caller == 0 or alike(step.before.boot, step.after.boot, BOOT)


def only_who_acts_is_obeyed(step: Step) -> bool:
    """Only a running domain, whose conclave runs, has an operation accepted."""
    return not step.accepted or may_act(step.before, step.caller)


def operation_needs_capability(step: Step, q: int, i: int) -> bool:
    """An object that is neither created nor reclaimed is changed only by who holds a live capability on it,
    or has it mapped."""
    if alike(step.before.objs[q][i], step.after.objs[q][i], OBJ) or unused(step.before, q, i):
        return True
    if step.is_("unmap_frame", "reclaim_map"):
        return alike(step.before.objs[q][i], step.after.objs[q][i], without(OBJ, "mapcount"))
    return step.some_slot(lambda t: names(step.before, step.caller, t, q, i))
