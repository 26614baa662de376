"""Protection domains: life and incarnations.

Trust: proved.
Purpose: create_domain, start, stop, suspend, resume and kill.
Rules:
1. Only the nucleus creates domains, and none of kind EXCLAVE after the seal.
2. Nothing but the nucleus runs before the seal.
3. The end of an incarnation kills all its capabilities and all derived from them, in O(1).
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
)
from exclave.abi.rights import WRITE
from exclave.abi.types import (
    DOMAIN,
    DOMAIN_CREATED,
    DOMAIN_FREE,
    DOMAIN_RUNNING,
    DOMAIN_STOPPED,
    DOMAIN_SUSPENDED,
    DRIVER,
    EXCLAVE,
    LATCH_DOMAINS,
    MONOLITH,
    OBJECT_FREE,
    STAGE_OPEN,
    STAGE_SEALED,
)
from exclave.nucleus.core.caller import acts, conclave_runs, launched
from exclave.nucleus.core.capability import allows, held, put_root, slot_free
from exclave.nucleus.core.effect import (
    EFFECT_KILL,
    EFFECT_NONE,
    EFFECT_RESUME,
    EFFECT_START,
    EFFECT_STOP,
    EFFECT_SUSPEND,
    emit,
)
from exclave.nucleus.core.objects import object_free, put_object
from exclave.nucleus.core.state import State


def create_domain(s: State, d: int, t: int, i: int, new: int, kind: int) -> int:
    """Create domain `new`, named by the nucleus's object i; its root capability goes into slot t."""
    if not acts(s, d) or d != 0:
        return ILLEGAL_OPERATION
    if not 0 <= t < s.nslot or not 0 <= i < s.nobj or not 0 <= new < s.ndom:
        return RANGE_ERROR
    if not MONOLITH <= kind <= DRIVER:
        return INVALID_ARGUMENT
    if (s.boot.latches & LATCH_DOMAINS) != 0:
        return ILLEGAL_OPERATION
    if kind == EXCLAVE and s.boot.stage != STAGE_OPEN:
        return ILLEGAL_OPERATION
    n = s.doms[new]
    if not slot_free(s, d, t) or not object_free(s, d, i) or n.state != DOMAIN_FREE:
        return DELETE_FIRST
    put_object(s, d, i, DOMAIN)
    b = s.objs[d][i]
    b.dom = new
    b.dlife = n.life
    n.state = DOMAIN_CREATED
    n.kind = kind
    n.control = i
    n.member = 0
    n.handler = 0
    n.fault = 0
    n.word = 0
    emit(s, new, EFFECT_NONE, 0, 0, 0)
    put_root(s, d, t, i)
    emit(s, d, EFFECT_NONE, 0, 0, 0)
    return OK


def start(s: State, d: int, dom: int) -> int:
    """Start a CREATED or STOPPED domain: a new incarnation of the same domain."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not held(s, d, dom):
        return FAILED_LOOKUP
    if not allows(s, d, dom, DOMAIN, WRITE):
        return INVALID_CAPABILITY
    x = s.objs[s.caps[d][dom].oq][s.caps[d][dom].oi].dom
    n = s.doms[x]
    if s.boot.stage != STAGE_SEALED:
        return ILLEGAL_OPERATION
    if (n.state != DOMAIN_CREATED and n.state != DOMAIN_STOPPED) or not conclave_runs(s, x):
        return ILLEGAL_OPERATION
    n.state = DOMAIN_RUNNING
    if n.member != 0:
        n.launch = s.objs[0][n.conclave].launch
    emit(s, d, EFFECT_START, x, 0, 0)
    return OK


def stop(s: State, d: int, dom: int) -> int:
    """End the incarnation of a RUNNING or SUSPENDED domain, which may be started again."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not held(s, d, dom):
        return FAILED_LOOKUP
    if not allows(s, d, dom, DOMAIN, WRITE):
        return INVALID_CAPABILITY
    x = s.objs[s.caps[d][dom].oq][s.caps[d][dom].oi].dom
    n = s.doms[x]
    if n.state != DOMAIN_RUNNING and n.state != DOMAIN_SUSPENDED:
        return ILLEGAL_OPERATION
    n.state = DOMAIN_STOPPED
    n.gen = n.gen + 1
    emit(s, d, EFFECT_STOP, x, 0, 0)
    return OK


def suspend(s: State, d: int, dom: int) -> int:
    """Suspend a RUNNING domain."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not held(s, d, dom):
        return FAILED_LOOKUP
    if not allows(s, d, dom, DOMAIN, WRITE):
        return INVALID_CAPABILITY
    x = s.objs[s.caps[d][dom].oq][s.caps[d][dom].oi].dom
    n = s.doms[x]
    if n.state != DOMAIN_RUNNING:
        return ILLEGAL_OPERATION
    n.state = DOMAIN_SUSPENDED
    emit(s, d, EFFECT_SUSPEND, x, 0, 0)
    return OK


def resume(s: State, d: int, dom: int) -> int:
    """Resume a SUSPENDED domain, unless its conclave forbids it to act."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not held(s, d, dom):
        return FAILED_LOOKUP
    if not allows(s, d, dom, DOMAIN, WRITE):
        return INVALID_CAPABILITY
    x = s.objs[s.caps[d][dom].oq][s.caps[d][dom].oi].dom
    n = s.doms[x]
    if n.state != DOMAIN_SUSPENDED or not conclave_runs(s, x) or not launched(s, x):
        return ILLEGAL_OPERATION
    n.state = DOMAIN_RUNNING
    emit(s, d, EFFECT_RESUME, x, 0, 0)
    return OK


def kill(s: State, d: int, dom: int) -> int:
    """End a domain for good and free its row."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not held(s, d, dom):
        return FAILED_LOOKUP
    if not allows(s, d, dom, DOMAIN, WRITE):
        return INVALID_CAPABILITY
    b = s.objs[s.caps[d][dom].oq][s.caps[d][dom].oi]
    x = b.dom
    n = s.doms[x]
    n.state = DOMAIN_FREE
    n.gen = n.gen + 1
    n.life = n.life + 1
    b.kind = OBJECT_FREE
    b.gen = b.gen + 1
    emit(s, d, EFFECT_KILL, x, 0, 0)
    return OK
