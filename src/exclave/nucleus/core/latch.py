"""Latches: operations that are switched off for ever.

Trust: proved.
Purpose: lock_down.
Rules: 1. a latch that is set stays set, and binds the nucleus too.
"""

from __future__ import annotations

from exclave.abi.refusal import ILLEGAL_OPERATION, INVALID_ARGUMENT, OK
from exclave.abi.types import LATCH_ALL, Bits
from exclave.nucleus.core.caller import acts
from exclave.nucleus.core.effect import EFFECT_NONE, emit
from exclave.nucleus.core.state import State


def lock_down(s: State, d: int, latches: Bits) -> int:
    """Set latches, in addition to those that are set; for the nucleus."""
    if not acts(s, d) or d != 0:
        return ILLEGAL_OPERATION
    if (latches | LATCH_ALL) != LATCH_ALL:
        return INVALID_ARGUMENT
    s.boot.latches = s.boot.latches | latches
    emit(s, d, EFFECT_NONE, 0, 0, 0)
    return OK
