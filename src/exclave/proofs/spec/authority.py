"""Authority: where capabilities come from, and that what is revoked is gone.

Trust: reviewed.
Purpose: theorems about two states, one step apart, on who holds what.
"""

from __future__ import annotations

from exclave.abi.rights import GRANT, WRITE_GRANT
from exclave.abi.types import LATCH_GRANTS, Bits
from exclave.proofs.spec.step import Step
from exclave.proofs.spec.terms import controls, descends, live, names, rests_on, unused


def _held_before(step: Step, e: int, t: int) -> bool:
    p, q = step.before.caps[e][t], step.after.caps[e][t]
    if p.oq != q.oq or p.oi != q.oi or p.badge != q.badge or p.depth != q.depth:
        return False
    return (q.rights | p.rights) == p.rights and live(step.before, e, t)


def _source(step: Step, u: int, e: int, t: int, need: Bits) -> bool:
    """Say whether the caller's slot u could be the source of what is in slot (e, t) now."""
    p, q = step.before.caps[step.caller][u], step.after.caps[e][t]
    if (q.rights | p.rights) != p.rights or (p.rights & need) != need:
        return False
    if p.badge != 0 and p.badge != q.badge:
        return False
    return names(step.before, step.caller, u, q.oq, q.oi)


def capability_is_derivable(step: Step, e: int, t: int) -> bool:
    """A capability that is live afterwards was live before, or names its holder's new object, or derives from
    one that the caller held: with at most its rights, with its badge, into another domain only with GRANT and
    over control of that domain."""
    if not live(step.after, e, t) or _held_before(step, e, t):
        return True
    q = step.after.caps[e][t]
    if e == step.caller:
        if q.oq == e and q.depth == 0 and unused(step.before, q.oq, q.oi):
            return True
        return step.some_slot(lambda u: _source(step, u, e, t, 0))
    if not step.some_slot(lambda w: controls(step.before, step.caller, w, e, WRITE_GRANT)):
        return False
    return step.some_slot(lambda u: _source(step, u, e, t, GRANT))


def rewritten_slot_has_no_descendants(step: Step, d: int, t: int, e: int, u: int) -> bool:
    """When a slot's epoch grows (revoke, delete, retype, overwriting) no descendant of it is live."""
    if step.before.caps[d][t].epoch == step.after.caps[d][t].epoch:
        return True
    return not descends(step.after, e, u, d, t) or not live(step.after, e, u)


def revoked_slot_is_rewritten(step: Step, d: int, t: int) -> bool:
    """An accepted revoke or delete makes the epoch of the slot that it names grow."""
    if not step.is_("revoke", "delete") or not step.accepted or d != step.caller or t != step.arguments["t"]:
        return True
    return step.before.caps[d][t].epoch < step.after.caps[d][t].epoch


def deleted_slot_is_empty(step: Step, d: int, t: int) -> bool:
    """An accepted delete or destroy leaves nothing in the slot that it names."""
    if not step.is_("delete", "destroy") or not step.accepted or d != step.caller or t != step.arguments["t"]:
        return True
    return step.after.caps[d][t].used == 0


def ended_incarnation_has_no_authority(step: Step, x: int, e: int, u: int) -> bool:
    """When a domain's incarnation ends no capability of its, and none derived from those, is live."""
    if step.before.doms[x].gen == step.after.doms[x].gen:
        return True
    return not rests_on(step.after, e, u, x) or not live(step.after, e, u)


def ended_object_has_no_capabilities(step: Step, q: int, i: int, e: int, u: int) -> bool:
    """When an object's generation ends no capability on it is live, but for its root capability."""
    if step.before.objs[q][i].gen == step.after.objs[q][i].gen:
        return True
    c = step.after.caps[e][u]
    return c.depth == 0 or not names(step.after, e, u, q, i)


def nothing_comes_back(step: Step, d: int, t: int) -> bool:
    """A capability that was dead becomes live only by being written anew."""
    if step.before.caps[d][t].epoch < step.after.caps[d][t].epoch:
        return True
    return live(step.before, d, t) or not live(step.after, d, t)


def badge_never_changes(step: Step, d: int, t: int) -> bool:
    """A slot's badge and rights change only when the slot is written anew."""
    p, q = step.before.caps[d][t], step.after.caps[d][t]
    return p.epoch < q.epoch or (p.badge == q.badge and p.rights == q.rights)


def live_capability_is_not_overwritten(step: Step, d: int, t: int) -> bool:
    """A live capability is never replaced by another one: its slot must be emptied first."""
    p, q = step.before.caps[d][t], step.after.caps[d][t]
    if q.used == 0 or not live(step.before, d, t):
        return True
    return (
        p.oq == q.oq and p.oi == q.oi and p.depth == q.depth and p.rights == q.rights and p.badge == q.badge
    )


def latched_grants_are_refused(step: Step, d: int, t: int) -> bool:
    """With the latch on grants set nobody's slots are filled by another domain."""
    if (step.before.boot.latches & LATCH_GRANTS) == 0 or d == step.caller:
        return True
    return step.before.caps[d][t].epoch == step.after.caps[d][t].epoch


def live_root_survives_delete(step: Step, d: int, t: int) -> bool:
    """A live root capability is never deleted, and so no living creator's object is left behind."""
    if not step.is_("delete") or step.before.caps[d][t].depth != 0 or not live(step.before, d, t):
        return True
    return step.after.caps[d][t].used == 1
