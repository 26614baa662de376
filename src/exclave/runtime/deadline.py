"""Deadlines: until when a caller waits.

Trust: outside.
Purpose: `with exclave.deadline(seconds):` bounds every call inside it, in threads' and tasks' own contexts.
Rules: 1. nested deadlines never lengthen each other. 2. a call made while serving a call ends with it.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from time import monotonic_ns
from types import TracebackType
from typing import Final

DEFAULT_TIMEOUT: Final = 30.0
"""Seconds that a call waits when no deadline was set."""

# CLOCK_MONOTONIC in nanoseconds; 0 = none.
current: Final[ContextVar[int]] = ContextVar("exclave deadline", default=0)


class deadline:
    """Give every call inside the `with` block at most this many seconds, altogether.

    Args:
        seconds: from entering the block; 0 or less lets every call fail at once.
    """

    __slots__ = ("_seconds", "_tokens")

    def __init__(self, seconds: float) -> None:
        if seconds != seconds:
            raise ValueError("deadline(nan): give a number of seconds")
        self._seconds = min(seconds, 1e9)
        self._tokens: list[Token[int]] = []

    def __enter__(self) -> None:
        """Set the earlier of this deadline and the one already in force."""
        end = max(monotonic_ns() + int(self._seconds * 1e9), 1)
        outer = current.get()
        self._tokens.append(current.set(min(end, outer) if outer else end))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Restore the deadline that was in force."""
        current.reset(self._tokens.pop())
