"""Notifications: a word of bits that signals set and a poll takes.

Trust: proved.
Purpose: signal and poll.
Rules: 1. a signal sets exactly the bits of the capability's badge, so signals coalesce.
"""

from __future__ import annotations

from exclave.abi.refusal import FAILED_LOOKUP, ILLEGAL_OPERATION, INVALID_CAPABILITY, OK
from exclave.abi.rights import READ, WRITE
from exclave.abi.types import NOTIFICATION
from exclave.nucleus.core.caller import acts
from exclave.nucleus.core.capability import allows, held
from exclave.nucleus.core.effect import EFFECT_NONE, EFFECT_SIGNAL, emit
from exclave.nucleus.core.state import State


def signal(s: State, d: int, t: int) -> int:
    """Set the bits of the capability's badge in the notification's word."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not held(s, d, t):
        return FAILED_LOOKUP
    if not allows(s, d, t, NOTIFICATION, WRITE):
        return INVALID_CAPABILITY
    c = s.caps[d][t]
    b = s.objs[c.oq][c.oi]
    b.word = b.word | c.badge
    emit(s, d, EFFECT_SIGNAL, c.oq, c.oi, 0)
    return OK


def poll(s: State, d: int, t: int) -> int:
    """Take the notification's word: it moves to the caller's row and becomes 0."""
    if not acts(s, d):
        return ILLEGAL_OPERATION
    if not held(s, d, t):
        return FAILED_LOOKUP
    if not allows(s, d, t, NOTIFICATION, READ):
        return INVALID_CAPABILITY
    b = s.objs[s.caps[d][t].oq][s.caps[d][t].oi]
    s.doms[d].word = b.word
    b.word = 0
    emit(s, d, EFFECT_NONE, 0, 0, 0)
    return OK
