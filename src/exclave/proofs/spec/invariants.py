"""Invariants of domains, objects and the boot: true at first, and kept by every operation.

Trust: reviewed.
Purpose: say what is true of each row of `doms`, `objs` and `boot`.
"""

from __future__ import annotations

from exclave.abi.types import (
    CONCLAVE,
    CONCLAVE_ATTACHED,
    CONCLAVE_NONE,
    CONCLAVE_RUNNING,
    CONCLAVE_STOPPED,
    CONCLAVE_SUSPENDED,
    DOMAIN,
    DOMAIN_CREATED,
    DOMAIN_FREE,
    DOMAIN_RUNNING,
    DOMAIN_STOPPED,
    DRIVER,
    ENDPOINT,
    EXCLAVE,
    FRAME,
    LATCH_ALL,
    MONOLITH,
    NUCLEUS,
    OBJECT_FREE,
    REQUEST_LAUNCH,
    REQUEST_NONE,
    REQUEST_RESUME,
    REQUEST_STOP,
    REQUEST_SUSPEND,
    STAGE_OPEN,
    STAGE_SEALED,
    TYPE_EXCLAVE_PRIVATE,
    TYPE_FREE,
    TYPE_MONOLITH,
    TYPE_SHARED_RW,
)
from exclave.nucleus.core.effect import EFFECT_NONE, EFFECT_STOP_CONCLAVE
from exclave.nucleus.core.state import State


def domain_in_range(s: State, d: int) -> bool:
    """Every number in a domain's row lies in the range of what it names."""
    x = s.doms[d]
    return (
        DOMAIN_FREE <= x.state <= DOMAIN_STOPPED
        and 0 <= x.life <= x.gen
        and 0 <= x.fault <= 255
        and 0 <= x.control < s.nobj
        and 0 <= x.conclave < s.nobj
        and 0 <= x.hq < s.ndom
        and 0 <= x.hi < s.nobj
        and EFFECT_NONE <= x.effect <= EFFECT_STOP_CONCLAVE
    )


def nucleus_runs(s: State, d: int) -> bool:
    """Row 0 alone is the nucleus, which runs in its first incarnation and is in no conclave."""
    x = s.doms[d]
    if d != 0:
        return x.kind != NUCLEUS
    return x.kind == NUCLEUS and x.state == DOMAIN_RUNNING and x.gen == 0 and x.life == 0 and x.member == 0


def domain_has_object(s: State, d: int) -> bool:
    """Every domain but the nucleus has a kind, and a DOMAIN object of the nucleus's that names it."""
    x = s.doms[d]
    if d == 0 or x.state == DOMAIN_FREE:
        return True
    b = s.objs[0][x.control]
    return MONOLITH <= x.kind <= DRIVER and b.kind == DOMAIN and b.dom == d and b.dlife == x.life


def only_nucleus_before_seal(s: State, d: int) -> bool:
    """Before the seal every domain but the nucleus is free or only created."""
    x = s.doms[d]
    if d == 0 or s.boot.stage != STAGE_OPEN:
        return True
    return x.state == DOMAIN_FREE or x.state == DOMAIN_CREATED


def member_of_conclave(s: State, d: int) -> bool:
    """A member is an exclave or a driver, and was started under a launch that its conclave had."""
    x = s.doms[d]
    if x.member == 0 or x.state == DOMAIN_FREE:
        return True
    b = s.objs[0][x.conclave]
    if not (x.kind == EXCLAVE or x.kind == DRIVER):
        return False
    return x.member == 1 and x.cgen <= b.gen and (x.cgen != b.gen or b.kind == CONCLAVE)


def handler_is_endpoint(s: State, d: int) -> bool:
    """A fault handler that still exists is an endpoint."""
    x = s.doms[d]
    if x.handler == 0:
        return True
    b = s.objs[x.hq][x.hi]
    return x.handler == 1 and x.hgen <= b.gen and (x.hgen != b.gen or b.kind == ENDPOINT)


def object_in_range(s: State, q: int, i: int) -> bool:
    """Every number in an object's row lies in the range of what it names."""
    b = s.objs[q][i]
    return (
        OBJECT_FREE <= b.kind <= CONCLAVE
        and b.gen >= 0
        and b.ogen >= 0
        and b.launch >= 0
        and 0 <= b.dom < s.ndom
        and 0 <= b.dlife <= s.doms[b.dom].life
    )


def owner_exists(s: State, q: int, i: int) -> bool:
    """The owner that a frame names in its present life exists."""
    b = s.objs[q][i]
    if b.kind != FRAME or b.dlife != s.doms[b.dom].life:
        return True
    return s.doms[b.dom].state != DOMAIN_FREE


def creator_incarnation(s: State, q: int, i: int) -> bool:
    """An object's creator was no later incarnation than the present one, and a free row has none."""
    b = s.objs[q][i]
    if b.kind == OBJECT_FREE:
        return True
    return b.ogen <= s.doms[q].gen and (s.doms[q].state != DOMAIN_FREE or b.ogen < s.doms[q].gen)


def domains_lie_with_nucleus(s: State, q: int, i: int) -> bool:
    """DOMAIN and CONCLAVE objects lie in the nucleus's row only."""
    b = s.objs[q][i]
    return q == 0 or (b.kind != DOMAIN and b.kind != CONCLAVE)


def object_names_domain(s: State, q: int, i: int) -> bool:
    """A DOMAIN object names a domain that exists, in its present life, and that names it back."""
    b = s.objs[q][i]
    if b.kind != DOMAIN:
        return True
    x = s.doms[b.dom]
    return b.dom >= 1 and x.state != DOMAIN_FREE and x.control == i and x.life == b.dlife


def frame_count(s: State, q: int, i: int) -> bool:
    """Only a frame that has a type is mapped, and no more often than its reverse map has entries."""
    b = s.objs[q][i]
    if b.kind != FRAME or b.ftype == TYPE_FREE:
        return b.mapcount == 0
    return TYPE_MONOLITH <= b.ftype <= TYPE_SHARED_RW and 0 <= b.mapcount <= s.nrmap


def private_frame_owned_by_exclave(s: State, q: int, i: int) -> bool:
    """A private frame, whose owner lives, belongs to an exclave, and lies with it or with the nucleus."""
    b = s.objs[q][i]
    if b.kind != FRAME or b.ftype != TYPE_EXCLAVE_PRIVATE or s.doms[b.dom].life != b.dlife:
        return True
    return s.doms[b.dom].kind == EXCLAVE and (q == 0 or q == b.dom)


def monolith_frame_owned_by_monolith(s: State, q: int, i: int) -> bool:
    """A frame of type MONOLITH, whose owner lives, belongs to a monolith."""
    b = s.objs[q][i]
    if b.kind != FRAME or b.ftype != TYPE_MONOLITH or s.doms[b.dom].life != b.dlife:
        return True
    return s.doms[b.dom].kind == MONOLITH


def conclave_state(s: State, q: int, i: int) -> bool:
    """A conclave is in one of its states, with a transition only that leads there, and has a host."""
    b = s.objs[q][i]
    if b.kind != CONCLAVE:
        return True
    if b.cstate != CONCLAVE_NONE and b.dom < 1:
        return False
    if b.busy == REQUEST_NONE:
        return CONCLAVE_NONE <= b.cstate <= CONCLAVE_STOPPED
    if b.busy == REQUEST_LAUNCH or b.busy == REQUEST_RESUME:
        return b.cstate == CONCLAVE_RUNNING
    if b.busy == REQUEST_SUSPEND:
        return b.cstate == CONCLAVE_SUSPENDED
    return b.busy == REQUEST_STOP and b.cstate == CONCLAVE_STOPPED


def conclave_armed(s: State, q: int, i: int) -> bool:
    """A conclave has an armed request only before its launch or in a transition that is not a stop."""
    b = s.objs[q][i]
    if b.kind != CONCLAVE or b.armed == REQUEST_NONE:
        return True
    if b.cstate == CONCLAVE_ATTACHED:
        return b.armed == REQUEST_SUSPEND
    if b.busy == REQUEST_NONE or b.busy == REQUEST_STOP:
        return False
    return b.armed == REQUEST_SUSPEND or b.armed == REQUEST_RESUME or b.armed == REQUEST_STOP


def boot_in_range(s: State) -> bool:
    """The boot has one of two stages and only latches that exist."""
    b = s.boot
    return (
        (b.stage == STAGE_OPEN or b.stage == STAGE_SEALED)
        and b.count >= 0
        and (b.latches | LATCH_ALL) == LATCH_ALL
    )
