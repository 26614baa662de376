"""Notifications: signals set the badge's bits, a poll takes them."""

from __future__ import annotations

from exclave.abi.refusal import FAILED_LOOKUP, INVALID_CAPABILITY
from exclave.abi.rights import READ, WRITE
from exclave.abi.types import NOTIFICATION
from exclave.nucleus.core.effect import EFFECT_NONE, EFFECT_SIGNAL
from support.core_world import E, F, M, N, World


def with_two_signallers() -> World:
    """Exclaves signal with badges 1 and 2**63; the monolith polls."""
    w = World()
    w.object(NOTIFICATION)
    w.give(6, E, 0, WRITE, 1)
    w.give(6, F, 0, WRITE, 2**63)
    w.give(6, M, 0, READ)
    w.run(M, E, F)
    return w


def test_signal_sets_the_bits_of_the_badge() -> None:
    w = with_two_signallers()
    assert w.ok(F, "signal", 0) == (EFFECT_SIGNAL, N, 4, 0)
    assert w.s.objs[N][4].word == 2**63


def test_signals_coalesce_until_polled() -> None:
    w = with_two_signallers()
    for d in (E, F, E):
        w.ok(d, "signal", 0)
    assert w.ok(M, "poll", 0) == (EFFECT_NONE, 0, 0, 0)
    assert w.s.doms[M].word == 2**63 | 1
    assert w.s.objs[N][4].word == 0
    w.ok(M, "poll", 0)
    assert w.s.doms[M].word == 0


def test_signal_without_write_and_poll_without_read_refused() -> None:
    w = with_two_signallers()
    w.refused(INVALID_CAPABILITY, M, "signal", 0)
    w.refused(INVALID_CAPABILITY, E, "poll", 0)


def test_signal_after_revoke_refused() -> None:
    w = with_two_signallers()
    w.ok(N, "revoke", 6)
    w.refused(FAILED_LOOKUP, E, "signal", 0)


def test_new_notification_in_the_same_place_has_no_bits() -> None:
    w = with_two_signallers()
    w.ok(E, "signal", 0)
    w.ok(N, "destroy", 6)
    w.object(NOTIFICATION)
    assert w.s.objs[N][4].word == 0
