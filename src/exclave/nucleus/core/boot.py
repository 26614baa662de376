"""Staged boot: the measurement and the seal.

Trust: proved.
Purpose: extend_measurement and seal.
Rules: 1. the measurement is only extended, and only before the seal. 2. the seal is never undone.
"""

from __future__ import annotations

from exclave.abi.refusal import ILLEGAL_OPERATION, OK
from exclave.abi.types import STAGE_OPEN, STAGE_SEALED
from exclave.nucleus.core.caller import acts
from exclave.nucleus.core.effect import EFFECT_NONE, emit
from exclave.nucleus.core.state import State


def extend_measurement(s: State, d: int, x: int) -> int:
    """Replace the measurement by the hash of itself and x; for the nucleus."""
    if not acts(s, d) or d != 0 or s.boot.stage != STAGE_OPEN:
        return ILLEGAL_OPERATION
    s.boot.measurement = s.h(s.boot.measurement, x)
    s.boot.count = s.boot.count + 1
    emit(s, d, EFFECT_NONE, 0, 0, 0)
    return OK


def seal(s: State, d: int) -> int:
    """End the building of the system for good; for the nucleus."""
    if not acts(s, d) or d != 0 or s.boot.stage != STAGE_OPEN:
        return ILLEGAL_OPERATION
    s.boot.stage = STAGE_SEALED
    emit(s, d, EFFECT_NONE, 0, 0, 0)
    return OK
