"""Long random histories: every state unbroken, every refusal without trace, nobody seen by strangers."""

from __future__ import annotations

from functools import cache
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exclave.abi.refusal import OK
from exclave.abi.rights import ALL, READ, WRITE_GRANT
from exclave.abi.types import (
    CONCLAVE,
    DOMAIN_RUNNING,
    ENDPOINT,
    NOTIFICATION,
    TYPE_EXCLAVE_PRIVATE,
    TYPE_SHARED_RW,
)
from exclave.nucleus.core.capability import live, slot_free
from exclave.nucleus.core.operations import OPS, Sort, call
from exclave.nucleus.core.state import State
from support.core_invariants import broken
from support.core_scenes import SCENES, set_scene
from support.core_steps import broken_step
from support.core_world import D, E, F, M, N, World, clone

OPERATIONS = sorted(OPS.keys() - {"lock_down", "seal"})
ENDS = {"kill", "destroy", "revoke", "delete", "stop", "report_fault", "stop_conclave"}
WEIGHTS = [1 if name in ENDS else 5 for name in OPERATIONS]  # or soon there is nothing left to end


@cache
def system() -> State:
    """A sealed system with shared objects of all kinds, where E controls others; to be cloned."""
    w = World()
    w.object(CONCLAVE, 5, 4)
    w.ok(N, "add_member", 5, D)
    w.ok(N, "attach_conclave", 5, M)
    w.object(NOTIFICATION, 6, 5)
    w.frame(E, TYPE_SHARED_RW, 7, 6)
    w.frame(E, TYPE_EXCLAVE_PRIVATE, 8, 7)
    for slot, badge in ((5, 0), (6, 3), (7, 0)):
        for d in (M, E, D):
            w.give(slot, d, slot, ALL, badge)
    w.give(8, E, 8)
    w.give(M, E, 0, WRITE_GRANT)
    w.give(E, E, 1, ALL)
    w.give(E, M, 0, READ)
    w.give(F, E, 2, ALL)
    w.run(M, E, F)
    return w.s


def some_index(random: Random, s: State, d: int) -> int:
    """Draw an index that is often a slot of d that holds something, or one that does not."""
    if random.random() < 0.4:
        return random.choice((random.randint(-1, 9), random.randint(0, 3)))
    test = random.choice((live, slot_free))
    slots = [t for t in range(s.nslot) if test(s, d, t)]
    return random.choice(slots) if slots else random.randint(-1, 9)


def some_caller(random: Random, s: State) -> int:
    """Draw a caller, mostly one that runs."""
    running = [d for d in range(s.ndom) if s.doms[d].state == DOMAIN_RUNNING]
    return random.choice((N, random.choice(running), random.choice(running), random.randrange(s.ndom)))


def some_arguments(random: Random, s: State, d: int, name: str) -> tuple[int, ...]:
    """Draw arguments of the right sorts."""
    draw = {
        Sort.INDEX: lambda: some_index(random, s, d),
        Sort.INT: lambda: random.choice((random.randint(-1, 6), random.randint(0, 2))),
        Sort.BITS: lambda: random.choice((ALL, random.randrange(8))),
        Sort.WORD: lambda: random.randrange(4),
    }
    return tuple(draw[sort]() for sort in OPS[name].sorts)


def walk(s: State, seed: int, steps: int) -> int:
    """Try each drawn operation until it succeeds or seems refused to all; return how many succeeded."""
    random = Random(seed)
    done = 0
    for _ in range(steps):
        before = clone(s)
        name = random.choices(OPERATIONS, WEIGHTS)[0]
        for _ in range(15):
            d = some_caller(random, s)
            arguments = some_arguments(random, s, d, name)
            if call(s, d, name, *arguments) == OK:
                done += 1
                assert broken(s) == [], (name, d, arguments)
                assert broken_step(before, s) == [], (name, d, arguments)
                break
            assert s == before, (name, d, arguments)
    return done


@pytest.mark.parametrize("name", sorted(OPS))
def test_walk_after_any_operation_keeps_every_invariant(name: str) -> None:
    w = set_scene(name)
    w.ok(N, name, *SCENES[name].arguments)
    assert walk(w.s, 1, 50) > 5


@given(st.integers())
def test_walk_from_any_seed_keeps_every_invariant(seed: int) -> None:
    walk(clone(system()), seed, 20)


def test_clone_shares_nothing_and_is_equal() -> None:
    s = system()
    other = clone(s)
    walked = clone(s)
    for d, name, arguments in ((M, "signal", (6,)), (E, "map_frame", (7, 0, 1)), (N, "revoke", (6,))):
        assert call(walked, d, name, *arguments) == OK
    assert other == s
    assert walked != s


def rows(s: State, d: int) -> tuple[object, ...]:
    """What lies in the rows of domain d."""
    return (s.doms[d], s.caps[d], s.objs[d], s.maps[d])


@pytest.mark.parametrize("seed", range(4))
def test_what_a_stranger_does_in_his_own_rows_is_not_seen(seed: int) -> None:
    """Domain F makes and copies objects of its own; no call of another domain ends otherwise for it."""
    random = Random(seed)
    s = clone(system())
    compared = 0
    for _ in range(700):
        d, name = some_caller(random, s), random.choice(OPERATIONS)
        arguments = some_arguments(random, s, d, name)
        # Who may put capabilities into F's slots, or end F, may see which of them are taken.
        if d not in (N, E, F):
            hidden = clone(s)
            plain = clone(s)
            if call(hidden, F, "create_object", 10, 9, ENDPOINT) == OK:
                call(hidden, F, "copy", 10, 11)
                assert call(hidden, d, name, *arguments) == call(plain, d, name, *arguments)
                assert rows(hidden, d) == rows(plain, d)
                compared += 1
        call(s, d, name, *arguments)
        if s.doms[F].state != DOMAIN_RUNNING:
            s = clone(system())
    assert compared > 50
