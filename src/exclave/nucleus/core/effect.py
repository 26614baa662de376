"""Effects: what the shell must do after an operation, as data.

Trust: proved.
Purpose: the closed set of effects, and the one writer of a caller's effect row.
"""

from __future__ import annotations

from typing import Final

from exclave.nucleus.core.state import State

EFFECT_NONE: Final = 0
EFFECT_START: Final = 1  # a = domain
EFFECT_STOP: Final = 2  # a = domain; its incarnation ended, with every capability derived from its own
EFFECT_SUSPEND: Final = 3  # a = domain
EFFECT_RESUME: Final = 4  # a = domain
EFFECT_KILL: Final = 5  # a = domain; as STOP, and the row is free
EFFECT_GRANT: Final = 6  # a = domain, b = slot that was filled there
EFFECT_CUT: Final = 7  # a, b = object; capabilities on it may have died
EFFECT_MAP: Final = 8  # a = domain, b = mapping, c = writable; the frame is in maps[a][b]
EFFECT_UNMAP: Final = 9  # a = domain, b = mapping; maps[a][b] still names the frame
EFFECT_RETYPE: Final = 10  # a, b = frame, c = new type; only its root capability is alive
EFFECT_SIGNAL: Final = 11  # a, b = notification whose word may be non-zero now
EFFECT_FAULT: Final = 12  # a, b = handler endpoint, c = domain; the code is in doms[c].fault
EFFECT_LAUNCH_CONCLAVE: Final = 13  # a, b = conclave; answer with conclave_done
EFFECT_SUSPEND_CONCLAVE: Final = 14  # a, b = conclave; answer with conclave_done
EFFECT_RESUME_CONCLAVE: Final = 15  # a, b = conclave; answer with conclave_done
EFFECT_STOP_CONCLAVE: Final = 16  # a, b = conclave; answer with conclave_done


def emit(s: State, d: int, effect: int, a: int, b: int, c: int) -> None:
    """Leave an effect in the row of caller d."""
    x = s.doms[d]
    x.effect = effect
    x.effect_a = a
    x.effect_b = b
    x.effect_c = c
