"""Trust: outside.

The budget of a call: what runs too long becomes a fault, and the server goes on.

The server has to run in the main thread here, because signals go there; the callers are the threads.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from time import monotonic_ns

import pytest

from exclave.abi.interface import Caller, Interface, protected
from exclave.abi.rights import WRITE
from exclave.abi.wire import Kind
from exclave.runtime.budget import Budget, BudgetExceeded
from exclave.runtime.component import Component
from exclave.runtime.deadline import current
from exclave.runtime.server import Report, ReportKind, Server
from support.serving import PATIENCE, Peer, pair


class Busy(Component):
    """Runs for ever in different ways."""

    @protected
    def spin(self) -> None:
        """Never return."""
        while True:
            pass

    @protected
    def swallow(self, often: int) -> int:
        """Ignore the budget that often."""
        ignored = 0
        while ignored < often:
            try:
                self.spin()
            except Exception:
                return -1
            except BaseException:
                ignored += 1
        return ignored

    @protected
    def quick(self) -> int:
        """Say how many ns the calls that this one makes may take."""
        return current.get() - monotonic_ns()


def _serve(script: Callable[[Peer], None], budget: float) -> list[Report]:
    """Serve one caller, a thread that runs `script`, in this thread until it ends."""
    reports: list[Report] = []
    failures: SimpleQueue[BaseException] = SimpleQueue()
    control, served = pair()
    client, end = pair()
    server = Server(Busy(), Interface.of(Busy), reports.append, budget=budget)
    server.add(1, end, Caller("app", 1, WRITE))

    def run() -> None:
        try:
            peer = Peer(client)
            peer.hello(Busy)
            script(peer)
        except BaseException as error:
            failures.put(error)
        finally:
            control.close()

    thread = Thread(target=run, daemon=True)
    thread.start()
    server.serve_forever(served, lambda: bool(served.recv(1)))
    thread.join(PATIENCE)
    server.close()
    served.close()
    client.close()
    if not failures.empty():
        raise failures.get()
    return reports


def test_a_call_that_never_ends_is_ended_and_the_next_one_answered() -> None:
    def script(peer: Peer) -> None:
        for _ in range(2):
            peer.call(Busy, "spin")
            assert peer.notice()[:2] == (Kind.FAULT, "budget")
            peer.call(Busy, "quick")
            assert peer.answer() > 0

    previous = signal.getsignal(signal.SIGALRM)
    reports = _serve(script, 0.05)
    assert [report.kind for report in reports] == [ReportKind.BUDGET, ReportKind.BUDGET]
    assert reports[0].method == "spin"
    assert "in Busy.spin" in reports[0].detail
    assert signal.getsignal(signal.SIGALRM) is previous
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_call_that_catches_it_gets_it_again() -> None:
    def script(peer: Peer) -> None:
        peer.call(Busy, "swallow", 2)
        assert peer.answer() == 2

    assert _serve(script, 0.05) == []


def test_what_a_call_calls_ends_with_its_budget_or_its_deadline() -> None:
    def script(peer: Peer) -> None:
        peer.call(Busy, "quick")
        assert 0 < peer.answer() <= 50 * 10**9
        peer.call(Busy, "quick", deadline=monotonic_ns() + 10 * 10**9)
        assert 0 < peer.answer() <= 10 * 10**9

    _serve(script, 50.0)
    assert current.get() == 0


def test_the_alarm_between_calls_raises_nothing() -> None:
    budget = Budget(0.05)
    with budget:
        budget.begin(monotonic_ns())
        budget.since = 0
        signal.raise_signal(signal.SIGALRM)
        budget.begin(monotonic_ns() - 10**9)
        with pytest.raises(BudgetExceeded):
            signal.raise_signal(signal.SIGALRM)
        budget.since = 0


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 1e10])
def test_a_budget_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="a budget of"):
        Budget(seconds)
