"""A small nucleus with a system in it, for tests of the core.

The nucleus (0) made a monolith (1), two exclaves (2, 3) and a driver (4); row 5 is free. Its slots
1 to 4 hold their root DOMAIN capabilities. What it creates for a test goes into slots from 6 on.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from hashlib import sha256

from exclave.abi.refusal import OK, name
from exclave.abi.rights import ALL
from exclave.abi.types import DRIVER, ENDPOINT, EXCLAVE, MONOLITH
from exclave.nucleus.core.effect import EFFECT_STOP_CONCLAVE
from exclave.nucleus.core.operations import call, initial
from exclave.nucleus.core.state import State
from support.core_invariants import broken
from support.core_steps import broken_step

N, M, E, F, D, NOBODY = range(6)
"""Domains: nucleus, monolith, exclave, another exclave, driver, a free row."""

STALE = (EFFECT_STOP_CONCLAVE, 77, 77, 77)


def digest(a: int, b: int) -> int:
    """Return a hash of two integers."""
    return int.from_bytes(sha256(f"{a}/{b}".encode()).digest(), "big")


def small() -> State:
    """Return the state before boot, with small tables."""
    return initial(digest, ndom=6, nslot=12, nobj=10, nv=4, nrmap=2)


def clone(s: State) -> State:
    """Return a state that is equal and shares no record."""
    return replace(
        s,
        doms=[replace(row) for row in s.doms],
        caps=[[replace(row) for row in rows] for rows in s.caps],
        objs=[[replace(row) for row in rows] for rows in s.objs],
        maps=[[replace(row) for row in rows] for rows in s.maps],
        rmap=[[[replace(row) for row in rows] for rows in table] for table in s.rmap],
        boot=replace(s.boot),
    )


class World:
    """A state, and operations on it that check what every operation promises."""

    def __init__(self, s: State | None = None) -> None:
        self.s = clone(populated() if s is None else s)

    def ok(self, d: int, operation: str, *arguments: int) -> tuple[int, int, int, int]:
        """Expect success, an unbroken state and an unbroken step; return the effect and its three values."""
        x = self.s.doms[d]
        # Whatever effect stood there before, the operation must leave its own.
        x.effect, x.effect_a, x.effect_b, x.effect_c = STALE
        before = clone(self.s)
        assert name(call(self.s, d, operation, *arguments)) == "OK"
        assert broken(self.s) == []
        assert broken_step(before, self.s) == []
        effect = (x.effect, x.effect_a, x.effect_b, x.effect_c)
        assert effect != STALE
        return effect

    def refused(self, code: int, d: int, operation: str, *arguments: int) -> None:
        """Expect that refusal, and that nothing changed."""
        before = clone(self.s)
        result = call(self.s, d, operation, *arguments)
        assert code != OK
        assert name(result) == name(code)
        assert self.s == before

    def run(self, *domains: int) -> None:
        """Seal the system and start domains."""
        self.ok(N, "seal")
        for domain in domains:
            self.ok(N, "start", domain)

    def endpoint(self, slot: int = 6, index: int = 4) -> None:
        """Give the nucleus an endpoint: object (0, index), root capability in its slot."""
        self.ok(N, "create_object", slot, index, ENDPOINT)

    def object(self, kind: int, slot: int = 6, index: int = 4) -> None:
        """Give the nucleus an endpoint, notification or conclave."""
        self.ok(N, "create_object", slot, index, kind)

    def frame(self, owner: int, ftype: int, slot: int = 6, index: int = 4) -> None:
        """Give the nucleus a frame of that owner and type."""
        self.ok(N, "create_frame", slot, index, owner)
        self.ok(N, "retype", slot, ftype)

    def give(self, slot: int, domain: int, to: int, rights: int = ALL, badge: int = 0) -> None:
        """Grant from a slot of the nucleus to a slot of a domain."""
        self.ok(N, "grant", slot, domain, to, rights, badge)


@cache
def populated() -> State:
    """Return the state with the system of this module's title; to be cloned."""
    w = World(small())
    for domain, kind in ((M, MONOLITH), (E, EXCLAVE), (F, EXCLAVE), (D, DRIVER)):
        w.ok(N, "create_domain", domain, domain - 1, domain, kind)
    return w.s
