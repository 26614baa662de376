"""Trust: reviewed.

The nucleus's one loop: descriptors, timers and signals, each with one callback, on one thread.

Rules:
 1. No callback waits: sockets do not block, and work per callback is bounded.
 2. A signal is seen between callbacks, never inside one.
"""

from __future__ import annotations

import heapq
import itertools
import os
import select
import signal
import time
from collections.abc import Callable
from typing import Final

BATCH: Final = 64

Callback = Callable[[], object]


class Loop:
    """An epoll loop."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callback] = {}
        self._timers: list[tuple[float, int, Callback]] = []
        self._order = itertools.count()
        self._pending: list[int] = []
        self._signals: dict[int, Callable[[int], None]] = {}
        self._wakeup, self._written = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._epoll.register(self._wakeup, select.EPOLLIN)
        self._callbacks[self._wakeup] = self._drain

    def watch(self, descriptor: int, callback: Callback) -> None:
        """Call back whenever the descriptor is readable or its peer is gone."""
        self._epoll.register(descriptor, select.EPOLLIN)
        self._callbacks[descriptor] = callback

    def forget(self, descriptor: int) -> None:
        """Stop watching; must come before the descriptor is closed."""
        if self._callbacks.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def later(self, seconds: float, callback: Callback) -> None:
        """Call back once, after at least that many seconds."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), callback))

    def on_signal(self, number: int, callback: Callable[[int], None]) -> None:
        """Call back, between other callbacks, for each time the signal arrived (coalesced as signals are)."""
        self._signals[number] = callback
        # First, so that a signal that comes at once wakes the loop.
        signal.set_wakeup_fd(self._written, warn_on_full_buffer=False)
        signal.signal(number, self._note)

    def run_until(self, done: Callable[[], bool], seconds: float | None = None) -> bool:
        """Serve until `done` says so.

        Args:
            done: asked between callbacks.
            seconds: give up after that long; None never.

        Returns:
            Whether it was done in time.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while not done():
            if end is not None and time.monotonic() >= end:
                return False
            self._turn(end)
        return True

    def close(self) -> None:
        """Give signals back their default actions and close."""
        signal.set_wakeup_fd(-1)
        for number in self._signals:
            signal.signal(number, signal.SIG_DFL)
        self._epoll.close()
        os.close(self._wakeup)
        os.close(self._written)

    def _note(self, number: int, _frame: object) -> None:
        self._pending.append(number)

    def _drain(self) -> None:
        try:
            os.read(self._wakeup, 4096)
        except BlockingIOError:
            return

    def _turn(self, end: float | None) -> None:
        now = time.monotonic()
        waits = [
            moment - now
            for moment in (end, self._timers[0][0] if self._timers else None)
            if moment is not None
        ]
        timeout = max(0.0, min(waits)) if waits else None
        for descriptor, _ in self._epoll.poll(timeout, BATCH):
            callback = self._callbacks.get(descriptor)
            if callback is not None:
                callback()
        pending, self._pending = self._pending, []
        for number in dict.fromkeys(pending):
            self._signals[number](number)
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()
