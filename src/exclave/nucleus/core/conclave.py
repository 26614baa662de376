"""Conclaves: groups of exclaves that one host domain has launched, suspended and stopped together.

Trust: proved.
Purpose: attach, membership and the state machine NONE, ATTACHED, RUNNING, SUSPENDED, STOPPED.
Rules:
1. One transition at a time; the state changes at its start, `conclave_done` ends it.
2. A request that arrives meanwhile is armed; the latest wins, and a stop is final.
3. A conclave leaves its host only when it is ATTACHED or STOPPED and idle.
4. Members join before the seal only, and act only while their conclave is RUNNING (caller.py).
5. Who ran before a stop never acts after the next launch without being started anew.
"""

from __future__ import annotations

from exclave.abi.refusal import FAILED_LOOKUP, ILLEGAL_OPERATION, INVALID_CAPABILITY, OK
from exclave.abi.rights import WRITE
from exclave.abi.types import (
    CONCLAVE,
    CONCLAVE_ATTACHED,
    CONCLAVE_NONE,
    CONCLAVE_RUNNING,
    CONCLAVE_STOPPED,
    CONCLAVE_SUSPENDED,
    DOMAIN,
    MONOLITH,
    REQUEST_LAUNCH,
    REQUEST_NONE,
    REQUEST_RESUME,
    REQUEST_STOP,
    REQUEST_SUSPEND,
    STAGE_OPEN,
    STAGE_SEALED,
)
from exclave.nucleus.core.caller import acts
from exclave.nucleus.core.capability import allows, held
from exclave.nucleus.core.effect import (
    EFFECT_LAUNCH_CONCLAVE,
    EFFECT_NONE,
    EFFECT_RESUME_CONCLAVE,
    EFFECT_STOP_CONCLAVE,
    EFFECT_SUSPEND_CONCLAVE,
    emit,
)
from exclave.nucleus.core.state import State


def is_member(s: State, x: int, q: int, i: int) -> bool:
    """Say whether domain x is a member of that conclave."""
    n = s.doms[x]
    return n.member == 1 and q == 0 and n.conclave == i and n.cgen == s.objs[q][i].gen


def attach_conclave(s: State, d: int, con: int, dom: int) -> int:
    """Give a conclave that has none its host: the domain of capability `dom`."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not held(s, d, con) or not held(s, d, dom):
        return FAILED_LOOKUP
    if not allows(s, d, con, CONCLAVE, WRITE) or not allows(s, d, dom, DOMAIN, WRITE):
        return INVALID_CAPABILITY
    c = s.caps[d][con]
    b = s.objs[c.oq][c.oi]
    x = s.objs[s.caps[d][dom].oq][s.caps[d][dom].oi].dom
    if b.cstate != CONCLAVE_NONE or is_member(s, x, c.oq, c.oi):
        return ILLEGAL_OPERATION
    b.cstate = CONCLAVE_ATTACHED
    b.dom = x
    b.dlife = s.doms[x].life
    emit(s, d, EFFECT_NONE, 0, 0, 0)
    return OK


def add_member(s: State, d: int, con: int, dom: int) -> int:
    """Make an exclave or driver, in no conclave yet, a member for its whole life."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not held(s, d, con) or not held(s, d, dom):
        return FAILED_LOOKUP
    if not allows(s, d, con, CONCLAVE, WRITE) or not allows(s, d, dom, DOMAIN, WRITE):
        return INVALID_CAPABILITY
    if s.boot.stage != STAGE_OPEN:
        return ILLEGAL_OPERATION
    c = s.caps[d][con]
    b = s.objs[c.oq][c.oi]
    x = s.objs[s.caps[d][dom].oq][s.caps[d][dom].oi].dom
    n = s.doms[x]
    if n.kind == MONOLITH or n.member != 0:
        return ILLEGAL_OPERATION
    if b.cstate != CONCLAVE_NONE and (b.cstate != CONCLAVE_ATTACHED or b.dom == x):
        return ILLEGAL_OPERATION
    n.member = 1
    n.conclave = c.oi
    n.cgen = b.gen
    n.launch = 0
    emit(s, d, EFFECT_NONE, 0, 0, 0)
    return OK


def launch_conclave(s: State, d: int, con: int) -> int:
    """Begin to launch an ATTACHED conclave whose host still exists."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not held(s, d, con):
        return FAILED_LOOKUP
    if not allows(s, d, con, CONCLAVE, WRITE):
        return INVALID_CAPABILITY
    c = s.caps[d][con]
    b = s.objs[c.oq][c.oi]
    if s.boot.stage != STAGE_SEALED or b.cstate != CONCLAVE_ATTACHED or s.doms[b.dom].life != b.dlife:
        return ILLEGAL_OPERATION
    b.cstate = CONCLAVE_RUNNING
    b.busy = REQUEST_LAUNCH
    b.launch = b.launch + 1
    emit(s, d, EFFECT_LAUNCH_CONCLAVE, c.oq, c.oi, 0)
    return OK


def suspend_conclave(s: State, d: int, con: int) -> int:
    """Suspend a conclave, or arm that for the end of its launch or present transition."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not held(s, d, con):
        return FAILED_LOOKUP
    if not allows(s, d, con, CONCLAVE, WRITE):
        return INVALID_CAPABILITY
    c = s.caps[d][con]
    b = s.objs[c.oq][c.oi]
    if b.cstate == CONCLAVE_STOPPED or b.armed == REQUEST_STOP:
        return ILLEGAL_OPERATION
    if b.busy != REQUEST_NONE or b.cstate == CONCLAVE_ATTACHED:
        b.armed = REQUEST_SUSPEND
        emit(s, d, EFFECT_NONE, 0, 0, 0)
        return OK
    if b.cstate != CONCLAVE_RUNNING:
        return ILLEGAL_OPERATION
    b.cstate = CONCLAVE_SUSPENDED
    b.busy = REQUEST_SUSPEND
    emit(s, d, EFFECT_SUSPEND_CONCLAVE, c.oq, c.oi, 0)
    return OK


def resume_conclave(s: State, d: int, con: int) -> int:
    """Resume a conclave, arm that for the end of its transition, or disarm a suspend before its launch."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not held(s, d, con):
        return FAILED_LOOKUP
    if not allows(s, d, con, CONCLAVE, WRITE):
        return INVALID_CAPABILITY
    c = s.caps[d][con]
    b = s.objs[c.oq][c.oi]
    if b.cstate == CONCLAVE_STOPPED or b.armed == REQUEST_STOP:
        return ILLEGAL_OPERATION
    if b.cstate == CONCLAVE_ATTACHED:
        b.armed = REQUEST_NONE
        emit(s, d, EFFECT_NONE, 0, 0, 0)
        return OK
    if b.busy != REQUEST_NONE:
        b.armed = REQUEST_RESUME
        emit(s, d, EFFECT_NONE, 0, 0, 0)
        return OK
    if b.cstate != CONCLAVE_SUSPENDED:
        return ILLEGAL_OPERATION
    b.cstate = CONCLAVE_RUNNING
    b.busy = REQUEST_RESUME
    emit(s, d, EFFECT_RESUME_CONCLAVE, c.oq, c.oi, 0)
    return OK


def stop_conclave(s: State, d: int, con: int) -> int:
    """Stop a conclave, or arm that for the end of its transition; one not launched is STOPPED at once."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not held(s, d, con):
        return FAILED_LOOKUP
    if not allows(s, d, con, CONCLAVE, WRITE):
        return INVALID_CAPABILITY
    c = s.caps[d][con]
    b = s.objs[c.oq][c.oi]
    if b.cstate == CONCLAVE_NONE or b.cstate == CONCLAVE_STOPPED:
        return ILLEGAL_OPERATION
    if b.busy != REQUEST_NONE:
        b.armed = REQUEST_STOP
        emit(s, d, EFFECT_NONE, 0, 0, 0)
        return OK
    b.armed = REQUEST_NONE
    if b.cstate == CONCLAVE_ATTACHED:
        b.cstate = CONCLAVE_STOPPED
        emit(s, d, EFFECT_NONE, 0, 0, 0)
        return OK
    b.cstate = CONCLAVE_STOPPED
    b.busy = REQUEST_STOP
    emit(s, d, EFFECT_STOP_CONCLAVE, c.oq, c.oi, 0)
    return OK


def conclave_done(s: State, d: int, con: int) -> int:
    """End the present transition and begin the armed one, if it still makes sense; for the nucleus."""
    if not acts(s, d) or d != 0:
        return ILLEGAL_OPERATION
    if not held(s, d, con):
        return FAILED_LOOKUP
    if not allows(s, d, con, CONCLAVE, WRITE):
        return INVALID_CAPABILITY
    c = s.caps[d][con]
    b = s.objs[c.oq][c.oi]
    if b.busy == REQUEST_NONE:
        return ILLEGAL_OPERATION
    request = b.armed
    b.armed = REQUEST_NONE
    if request == REQUEST_STOP:
        b.cstate = CONCLAVE_STOPPED
        b.busy = REQUEST_STOP
        emit(s, d, EFFECT_STOP_CONCLAVE, c.oq, c.oi, 0)
        return OK
    if request == REQUEST_SUSPEND and b.cstate == CONCLAVE_RUNNING:
        b.cstate = CONCLAVE_SUSPENDED
        b.busy = REQUEST_SUSPEND
        emit(s, d, EFFECT_SUSPEND_CONCLAVE, c.oq, c.oi, 0)
        return OK
    if request == REQUEST_RESUME and b.cstate == CONCLAVE_SUSPENDED:
        b.cstate = CONCLAVE_RUNNING
        b.busy = REQUEST_RESUME
        emit(s, d, EFFECT_RESUME_CONCLAVE, c.oq, c.oi, 0)
        return OK
    b.busy = REQUEST_NONE
    emit(s, d, EFFECT_NONE, 0, 0, 0)
    return OK


def detach_conclave(s: State, d: int, con: int) -> int:
    """Take an idle conclave, ATTACHED or STOPPED, from its host."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not held(s, d, con):
        return FAILED_LOOKUP
    if not allows(s, d, con, CONCLAVE, WRITE):
        return INVALID_CAPABILITY
    c = s.caps[d][con]
    b = s.objs[c.oq][c.oi]
    if b.busy != REQUEST_NONE or (b.cstate != CONCLAVE_ATTACHED and b.cstate != CONCLAVE_STOPPED):
        return ILLEGAL_OPERATION
    b.cstate = CONCLAVE_NONE
    b.armed = REQUEST_NONE
    b.dom = 0
    b.dlife = 0
    emit(s, d, EFFECT_NONE, 0, 0, 0)
    return OK
