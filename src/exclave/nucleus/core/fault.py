"""Faults: a misbehaving domain is reported to its handler, or stopped.

Trust: proved.
Purpose: set_handler and report_fault.
Rules: 1. a fault is never dropped: without a live handler the domain's incarnation ends.
"""

from __future__ import annotations

from exclave.abi.refusal import FAILED_LOOKUP, ILLEGAL_OPERATION, INVALID_CAPABILITY, OK, RANGE_ERROR
from exclave.abi.rights import WRITE
from exclave.abi.types import DOMAIN, DOMAIN_RUNNING, DOMAIN_STOPPED, DOMAIN_SUSPENDED, ENDPOINT
from exclave.nucleus.core.caller import acts
from exclave.nucleus.core.capability import allows, held
from exclave.nucleus.core.effect import EFFECT_FAULT, EFFECT_NONE, EFFECT_STOP, emit
from exclave.nucleus.core.state import State


def handler_live(s: State, x: int) -> bool:
    """Say whether domain x has a fault handler whose endpoint, and its creator's incarnation, still exist."""
    n = s.doms[x]
    if n.handler == 0:
        return False
    b = s.objs[n.hq][n.hi]
    return b.gen == n.hgen and b.ogen == s.doms[n.hq].gen


def set_handler(s: State, d: int, dom: int, ep: int) -> int:
    """Send the faults of the domain of capability `dom` to the endpoint of capability `ep`."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not held(s, d, dom) or not held(s, d, ep):
        return FAILED_LOOKUP
    if not allows(s, d, dom, DOMAIN, WRITE) or not allows(s, d, ep, ENDPOINT, WRITE):
        return INVALID_CAPABILITY
    n = s.doms[s.objs[s.caps[d][dom].oq][s.caps[d][dom].oi].dom]
    c = s.caps[d][ep]
    n.handler = 1
    n.hq = c.oq
    n.hi = c.oi
    n.hgen = c.gen
    emit(s, d, EFFECT_NONE, 0, 0, 0)
    return OK


def report_fault(s: State, d: int, dom: int, code: int) -> int:
    """Record fault 1..255 of a domain; deliver it to the handler or stop the domain; for the nucleus."""
    if not acts(s, d) or d != 0:
        return ILLEGAL_OPERATION
    if not 1 <= code <= 255:
        return RANGE_ERROR
    if not held(s, d, dom):
        return FAILED_LOOKUP
    if not allows(s, d, dom, DOMAIN, WRITE):
        return INVALID_CAPABILITY
    x = s.objs[s.caps[d][dom].oq][s.caps[d][dom].oi].dom
    n = s.doms[x]
    if n.state != DOMAIN_RUNNING and n.state != DOMAIN_SUSPENDED:
        return ILLEGAL_OPERATION
    n.fault = code
    if handler_live(s, x):
        emit(s, d, EFFECT_FAULT, n.hq, n.hi, x)
        return OK
    n.state = DOMAIN_STOPPED
    n.gen = n.gen + 1
    emit(s, d, EFFECT_STOP, x, 0, 0)
    return OK
