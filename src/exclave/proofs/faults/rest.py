"""Faults in notifications, the boot and latches.

Trust: outside.
Purpose: single mistakes, each of which some theorem must notice.
"""

from __future__ import annotations

from exclave.proofs.faults.fault import Fault, fault

REST: tuple[Fault, ...] = (
    fault("signal: word replaced", "notification.signal", "b.word | c.badge", "c.badge"),
    fault(
        "signal: badge collects bits",
        "notification.signal",
        "b.word = b.word | c.badge\n",
        "b.word = b.word | c.badge\n    c.badge = b.word\n",
    ),
    fault("signal: WRITE not needed", "notification.signal", "NOTIFICATION, WRITE", "NOTIFICATION, 0"),
    fault(
        "signal: any kind of object",
        "notification.signal",
        ("    if not allows(s, d, t, NOTIFICATION, WRITE):\n        return INVALID_CAPABILITY\n"),
        "",
    ),
    fault("poll: word stays", "notification.poll", "    b.word = 0\n", ""),
    fault("poll: word not delivered", "notification.poll", "    s.doms[d].word = b.word\n", ""),
    fault(
        "poll: caller may not act",
        "notification.poll",
        "    if not acts(s, d):\n        return ILLEGAL_OPERATION\n",
        "",
    ),
    fault(
        "extend_measurement: after the seal", "boot.extend_measurement", " or s.boot.stage != STAGE_OPEN", ""
    ),
    fault("extend_measurement: replaced", "boot.extend_measurement", "s.h(s.boot.measurement, x)", "x"),
    fault("seal: undone", "boot.seal", "s.boot.stage = STAGE_SEALED", "s.boot.stage = STAGE_OPEN - 1"),
    fault("lock_down: for everybody", "latch.lock_down", " or d != 0", ""),
    fault("lock_down: latches replaced", "latch.lock_down", "s.boot.latches | latches", "latches"),
    fault(
        "lock_down: unknown latches",
        "latch.lock_down",
        "    if (latches | LATCH_ALL) != LATCH_ALL:\n        return INVALID_ARGUMENT\n",
        "",
    ),
    fault(
        "lock_down: writes before it refuses",
        "latch.lock_down",
        "    if not acts(s, d) or d != 0:\n        return ILLEGAL_OPERATION\n",
        (
            "    s.boot.latches = latches\n"
            "    if not acts(s, d) or d != 0:\n"
            "        return ILLEGAL_OPERATION\n"
        ),
    ),
    fault(
        "lock_down: no such refusal",
        "latch.lock_down",
        "return INVALID_ARGUMENT",
        "return INVALID_ARGUMENT + 100",
    ),
)
