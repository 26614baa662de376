"""How long one call may run.

Trust: reviewed.
Purpose: end a call that runs too long, so that the other callers get their turn.
Rules: 1. an idle or quick server makes no system call for it: the timer is set once and looks at a clock.
2. it interrupts Python code; a single C call that never returns is the nucleus's to end.
"""

from __future__ import annotations

import signal
from time import monotonic_ns
from types import FrameType
from typing import Final

_LONGEST: Final = 2**62


class BudgetExceeded(BaseException):
    """The running call used up its budget; not an Exception, so that `except Exception` lets it pass."""


class Budget:
    """The budget of the one call that runs.

    Args:
        seconds: for each call; None = unbounded.
    """

    __slots__ = ("_armed", "_previous", "length", "seconds", "since")

    def __init__(self, seconds: float | None) -> None:
        if seconds is not None and not 0 < seconds < 1e9:
            raise ValueError(f"a budget of {seconds} seconds; it is more than 0 and at most 10**9")
        self.seconds = seconds
        self.length: int = _LONGEST if seconds is None else int(seconds * 1e9)
        # When the running call began, CLOCK_MONOTONIC ns; 0 = none runs.
        self.since = 0
        self._armed = False
        self._previous: object = None

    def __enter__(self) -> None:
        """Take SIGALRM; only the main thread can.

        Raises:
            ValueError: this is another thread.
        """
        if self.seconds is not None:
            self._previous = signal.signal(signal.SIGALRM, self._alarm)

    def __exit__(self, *_: object) -> None:
        """Give SIGALRM back."""
        if self.seconds is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._armed = False
            signal.signal(signal.SIGALRM, self._previous)  # type: ignore[arg-type]

    def begin(self, now: int) -> None:
        """Note that a call begins.

        Args:
            now: CLOCK_MONOTONIC, ns.
        """
        self.since = now
        if not self._armed and self.seconds is not None:
            self._armed = True
            signal.setitimer(signal.ITIMER_REAL, self.seconds)

    def _alarm(self, _number: int, _frame: FrameType | None) -> None:
        if not self.since:
            self._armed = False
            return
        left = self.since + self.length - monotonic_ns()
        if left > 0:
            signal.setitimer(signal.ITIMER_REAL, left / 1e9)
            return
        # A component that catches even this gets it again after another budget.
        self.since += self.length
        signal.setitimer(signal.ITIMER_REAL, self.length / 1e9)
        raise BudgetExceeded
