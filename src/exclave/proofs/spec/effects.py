"""Effects and results: what the shell is told is what happened, and what an operation does it does wholly.

Trust: reviewed.
Purpose: theorems about two states, one step apart, on effects, faults and notifications.
"""

from __future__ import annotations

from exclave.abi.types import (
    CONCLAVE,
    CONCLAVE_ATTACHED,
    CONCLAVE_RUNNING,
    CONCLAVE_STOPPED,
    CONCLAVE_SUSPENDED,
    DOMAIN_CREATED,
    DOMAIN_FREE,
    DOMAIN_RUNNING,
    DOMAIN_STOPPED,
    DOMAIN_SUSPENDED,
    FRAME,
    OBJECT_FREE,
    REQUEST_LAUNCH,
    REQUEST_NONE,
)
from exclave.nucleus.core.effect import (
    EFFECT_CUT,
    EFFECT_FAULT,
    EFFECT_GRANT,
    EFFECT_KILL,
    EFFECT_LAUNCH_CONCLAVE,
    EFFECT_MAP,
    EFFECT_NONE,
    EFFECT_RESUME,
    EFFECT_RESUME_CONCLAVE,
    EFFECT_RETYPE,
    EFFECT_SIGNAL,
    EFFECT_START,
    EFFECT_STOP,
    EFFECT_STOP_CONCLAVE,
    EFFECT_SUSPEND,
    EFFECT_SUSPEND_CONCLAVE,
    EFFECT_UNMAP,
)
from exclave.proofs.spec.step import Step
from exclave.proofs.spec.terms import alike, live


def _told(step: Step, effect: int, a: int, b: int, c: int) -> bool:
    x = step.after.doms[step.caller]
    return x.effect == effect and x.effect_a == a and x.effect_b == b and x.effect_c == c


def effect_tells_of_domain(step: Step, x: int) -> bool:
    """A change of a domain's state, but for its creation, is the effect, and names the domain."""
    p, q = step.before.doms[x].state, step.after.doms[x].state
    if p == q or q == DOMAIN_CREATED:
        return True
    if q == DOMAIN_FREE:
        return _told(step, EFFECT_KILL, x, 0, 0)
    if q == DOMAIN_STOPPED:
        return _told(step, EFFECT_STOP, x, 0, 0)
    if q == DOMAIN_SUSPENDED:
        return _told(step, EFFECT_SUSPEND, x, 0, 0)
    if p == DOMAIN_SUSPENDED:
        return _told(step, EFFECT_RESUME, x, 0, 0)
    return q == DOMAIN_RUNNING and _told(step, EFFECT_START, x, 0, 0)


def effect_tells_of_mapping(step: Step, x: int, v: int) -> bool:
    """A mapping that is made or taken away is the effect, and its row still names the frame."""
    p, q = step.before.maps[x][v], step.after.maps[x][v]
    if p.used == q.used:
        return alike(p, q, ("oq", "oi", "writable", "dgen"))
    if q.used == 1:
        return _told(step, EFFECT_MAP, x, v, q.writable)
    return p.oq == q.oq and p.oi == q.oi and _told(step, EFFECT_UNMAP, x, v, 0)


def effect_tells_of_object(step: Step, q: int, i: int) -> bool:
    """An object that ends, or a frame that changes its type, is the effect."""
    a, b = step.before.objs[q][i], step.after.objs[q][i]
    if a.kind != OBJECT_FREE and b.kind == OBJECT_FREE:
        return step.after.doms[step.caller].effect == EFFECT_KILL or _told(step, EFFECT_CUT, q, i, 0)
    if a.kind != FRAME or b.kind != FRAME or a.gen == b.gen or a.ogen != b.ogen:
        return True
    return step.is_("create_frame") or _told(step, EFFECT_RETYPE, q, i, b.ftype)


def effect_tells_of_death(step: Step, e: int, u: int) -> bool:
    """When a capability dies, the effect names its object, or the domain whose incarnation ended."""
    if not live(step.before, e, u) or live(step.after, e, u):
        return True
    x = step.after.doms[step.caller]
    if x.effect == EFFECT_STOP or x.effect == EFFECT_KILL:
        return step.before.doms[x.effect_a].gen < step.after.doms[x.effect_a].gen
    if x.effect != EFFECT_CUT and x.effect != EFFECT_RETYPE:
        return False
    c = step.before.caps[e][u]
    return x.effect_a == c.oq and x.effect_b == c.oi


def effect_tells_of_grant(step: Step, e: int, t: int) -> bool:
    """A capability that appears in another domain is the effect."""
    if e == step.caller or live(step.before, e, t) or not live(step.after, e, t):
        return True
    return _told(step, EFFECT_GRANT, e, t, 0)


def effect_tells_of_conclave(step: Step, q: int, i: int) -> bool:
    """A conclave's transition that begins is the effect."""
    a, b = step.before.objs[q][i], step.after.objs[q][i]
    if b.kind != CONCLAVE or b.busy == REQUEST_NONE or (a.busy == b.busy and a.cstate == b.cstate):
        return True
    if b.cstate == CONCLAVE_SUSPENDED:
        return _told(step, EFFECT_SUSPEND_CONCLAVE, q, i, 0)
    if b.cstate == CONCLAVE_STOPPED:
        return _told(step, EFFECT_STOP_CONCLAVE, q, i, 0)
    if a.cstate == CONCLAVE_ATTACHED:
        return _told(step, EFFECT_LAUNCH_CONCLAVE, q, i, 0)
    return b.cstate == CONCLAVE_RUNNING and _told(step, EFFECT_RESUME_CONCLAVE, q, i, 0)


def effect_is_fresh(step: Step) -> bool:
    """An accepted operation leaves its own effect, which is NONE where there is nothing to do."""
    if not step.accepted:
        return True
    quiet = ("create_object", "mint", "copy", "create_domain", "attach_conclave", "add_member")
    more = ("detach_conclave", "create_frame", "poll", "set_handler", "extend_measurement", "seal")
    if not step.is_(*quiet, *more, "lock_down"):
        return step.is_(*_BY_CONCLAVE) or step.after.doms[step.caller].effect != EFFECT_NONE
    return _told(step, EFFECT_NONE, 0, 0, 0)


_BY_CONCLAVE = ("suspend_conclave", "resume_conclave", "stop_conclave", "conclave_done")


def conclave_effect_is_a_transition(step: Step) -> bool:
    """A conclave's effect is left only where its state changes, and is the one of its transition."""
    if not step.accepted or not step.is_(*_BY_CONCLAVE):
        return True
    x = step.after.doms[step.caller]
    if x.effect == EFFECT_NONE:
        return True
    a, b = step.before.objs[x.effect_a][x.effect_b], step.after.objs[x.effect_a][x.effect_b]
    return a.cstate != b.cstate and x.effect == b.busy + (EFFECT_LAUNCH_CONCLAVE - REQUEST_LAUNCH)


def fault_is_never_dropped(step: Step, x: int) -> bool:
    """An accepted fault is recorded and goes to a handler that exists; without one the incarnation ends."""
    p, q = step.before.doms[x], step.after.doms[x]
    if not step.is_("report_fault") or not step.accepted:
        return p.fault == q.fault or p.state == DOMAIN_FREE
    told = step.after.doms[step.caller]
    if told.effect == EFFECT_STOP:
        return told.effect_a != x or (q.state == DOMAIN_STOPPED and q.fault == step.arguments["code"])
    if told.effect != EFFECT_FAULT or told.effect_c != x:
        return told.effect == EFFECT_FAULT and p.fault == q.fault
    b = step.before.objs[q.hq][q.hi]
    if q.fault != step.arguments["code"] or told.effect_a != q.hq or told.effect_b != q.hi:
        return False
    return q.handler == 1 and b.gen == q.hgen and b.ogen == step.before.doms[q.hq].gen


def handler_is_called_by_name(step: Step, x: int) -> bool:
    """A fault handler becomes the endpoint on which the caller holds the capability that it names."""
    p, q = step.before.doms[x], step.after.doms[x]
    if q.handler == 0 or alike(p, q, ("handler", "hq", "hi", "hgen")):
        return True
    if not step.is_("set_handler"):
        return False
    c = step.before.caps[step.caller][step.arguments["ep"]]
    return q.hq == c.oq and q.hi == c.oi and q.hgen == c.gen


def signal_sets_badge(step: Step, q: int, i: int) -> bool:
    """An accepted signal sets exactly the bits of its capability's badge, in the word that it names."""
    a, b = step.before.objs[q][i], step.after.objs[q][i]
    if not step.is_("signal") or not step.accepted:
        return True
    c = step.before.caps[step.caller][step.arguments["t"]]
    if c.oq != q or c.oi != i:
        return a.word == b.word
    return b.word == (a.word | c.badge) and _told(step, EFFECT_SIGNAL, q, i, 0)


def poll_takes_word(step: Step, q: int, i: int) -> bool:
    """An accepted poll moves the word that it names into the caller's row and leaves 0."""
    a, b = step.before.objs[q][i], step.after.objs[q][i]
    if not step.is_("poll") or not step.accepted:
        return True
    c = step.before.caps[step.caller][step.arguments["t"]]
    if c.oq != q or c.oi != i:
        return a.word == b.word
    return b.word == 0 and step.after.doms[step.caller].word == a.word


def derived_as_asked(step: Step, e: int, t: int) -> bool:
    """Mint and copy derive exactly the rights and badge that were asked for, into the slot that was named."""
    if not step.is_("mint", "copy") or not step.accepted or e != step.caller or t != step.arguments["dst"]:
        return True
    p, q = step.before.caps[e][step.arguments["src"]], step.after.caps[e][t]
    if step.is_("copy"):
        return live(step.after, e, t) and q.rights == p.rights and q.badge == p.badge
    asked = step.arguments
    return live(step.after, e, t) and q.rights == asked["rights"] and q.badge == asked["badge"]
