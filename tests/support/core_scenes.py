"""For every operation of the core a scene: a call by the nucleus that succeeds, after some others.

The nucleus of a furnished system has one object of each kind; what an argument of a scene's call
means is its role.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from exclave.abi.rights import GRANT, READ, WRITE, WRITE_GRANT
from exclave.abi.types import (
    CONCLAVE,
    DOMAIN,
    DRIVER,
    ENDPOINT,
    FRAME,
    LATCH_DOMAINS,
    NOTIFICATION,
    TYPE_FREE,
    TYPE_SHARED_RW,
)
from exclave.nucleus.core.state import State
from support.core_world import E, M, N, World

ENDPOINT_SLOT, NOTIFICATION_SLOT, CONCLAVE_SLOT, FRAME_SLOT, FREE_SLOT, SPARE_SLOT = 5, 6, 7, 8, 9, 10
FREE_OBJECT = 8
SLOT_OF = {
    DOMAIN: E,
    ENDPOINT: ENDPOINT_SLOT,
    NOTIFICATION: NOTIFICATION_SLOT,
    CONCLAVE: CONCLAVE_SLOT,
    FRAME: FRAME_SLOT,
}

Call = tuple[int | str, ...]


@dataclass(frozen=True)
class Source:
    """An argument that names a capability: kind 0 is any kind; root: a derived one will not do."""

    kind: int = 0
    need: int = 0
    root: bool = False


@dataclass(frozen=True)
class Range:
    """An argument that must lie in 0 <= x < size."""

    size: int


@dataclass(frozen=True)
class Place:
    """A free slot or object index of the caller's: `taken` is one that is not free."""

    size: int
    taken: int


SLOT = Place(12, ENDPOINT_SLOT)
OBJECT = Place(10, 4)
SEAL: Call = (N, "seal")
RUN_E: tuple[Call, ...] = (SEAL, (N, "start", E))
ATTACHED: tuple[Call, ...] = ((N, "attach_conclave", CONCLAVE_SLOT, M), SEAL)
LAUNCHED: tuple[Call, ...] = (*ATTACHED, (N, "launch_conclave", CONCLAVE_SLOT))
IDLE: tuple[Call, ...] = (*LAUNCHED, (N, "conclave_done", CONCLAVE_SLOT))


@dataclass(frozen=True)
class Scene:
    """A call by the nucleus that succeeds after some others, and what its first arguments are."""

    arguments: tuple[int, ...]
    roles: tuple[Source | Range | Place, ...] = ()
    before: tuple[Call, ...] = ()
    only_nucleus: bool = field(default=False, kw_only=True)


CONTROL = (Source(DOMAIN, WRITE),)
CONDUCT = (Source(CONCLAVE, WRITE),)
ROOT = (Source(FRAME, WRITE, root=True),)
SCENES: dict[str, Scene] = {
    "create_object": Scene((FREE_SLOT, FREE_OBJECT, ENDPOINT), (SLOT, OBJECT)),
    "destroy": Scene((ENDPOINT_SLOT,), (Source(root=True),)),
    "reclaim_object": Scene(
        (E, 3),
        (Range(6), Range(10)),
        (*RUN_E, (E, "create_object", 0, 3, ENDPOINT), (N, "stop", E)),
        only_nucleus=True,
    ),
    "mint": Scene((ENDPOINT_SLOT, FREE_SLOT, WRITE, 7), (Source(), SLOT)),
    "copy": Scene((ENDPOINT_SLOT, FREE_SLOT), (Source(), SLOT)),
    "grant": Scene(
        (ENDPOINT_SLOT, M, 0, WRITE, 7), (Source(0, GRANT), Source(DOMAIN, WRITE_GRANT), Range(12))
    ),
    "delete": Scene((FREE_SLOT,), (Range(12),), ((N, "copy", ENDPOINT_SLOT, FREE_SLOT),)),
    "revoke": Scene((ENDPOINT_SLOT,), (Source(),)),
    "create_domain": Scene(
        (FREE_SLOT, FREE_OBJECT, 5, DRIVER), (SLOT, OBJECT, Place(6, E)), only_nucleus=True
    ),
    "start": Scene((E,), CONTROL, (SEAL,)),
    "stop": Scene((E,), CONTROL, RUN_E),
    "suspend": Scene((E,), CONTROL, RUN_E),
    "resume": Scene((E,), CONTROL, (*RUN_E, (N, "suspend", E))),
    "kill": Scene((E,), CONTROL),
    "attach_conclave": Scene((CONCLAVE_SLOT, M), (*CONDUCT, *CONTROL)),
    "add_member": Scene((CONCLAVE_SLOT, E), (*CONDUCT, *CONTROL)),
    "launch_conclave": Scene((CONCLAVE_SLOT,), CONDUCT, ATTACHED),
    "suspend_conclave": Scene((CONCLAVE_SLOT,), CONDUCT, IDLE),
    "resume_conclave": Scene((CONCLAVE_SLOT,), CONDUCT, (*LAUNCHED, (N, "suspend_conclave", CONCLAVE_SLOT))),
    "stop_conclave": Scene((CONCLAVE_SLOT,), CONDUCT, IDLE),
    "conclave_done": Scene((CONCLAVE_SLOT,), CONDUCT, LAUNCHED, only_nucleus=True),
    "detach_conclave": Scene((CONCLAVE_SLOT,), CONDUCT, ATTACHED),
    "create_frame": Scene((FREE_SLOT, FREE_OBJECT, E), (SLOT, OBJECT, Source(DOMAIN, READ))),
    "retype": Scene((FRAME_SLOT, TYPE_FREE), ROOT),
    "map_frame": Scene((FRAME_SLOT, 0, 1), (Source(FRAME, READ), Range(4), Range(2))),
    "unmap_frame": Scene((0,), (Range(4),), ((N, "map_frame", FRAME_SLOT, 0, 1),)),
    "evict": Scene((FRAME_SLOT, 0), (*ROOT, Range(1)), ((N, "map_frame", FRAME_SLOT, 3, 0),)),
    "reclaim_map": Scene(
        (E, 1),
        (Range(6), Range(4)),
        (
            *RUN_E,
            (N, "grant", FRAME_SLOT, E, 0, READ, 0),
            (E, "map_frame", 0, 1, 0),
            (N, "stop", E),
        ),
        only_nucleus=True,
    ),
    "signal": Scene((NOTIFICATION_SLOT,), (Source(NOTIFICATION, WRITE),)),
    "poll": Scene((NOTIFICATION_SLOT,), (Source(NOTIFICATION, READ),)),
    "set_handler": Scene((E, ENDPOINT_SLOT), (*CONTROL, Source(ENDPOINT, WRITE))),
    "report_fault": Scene((E, 255), CONTROL, RUN_E, only_nucleus=True),
    "extend_measurement": Scene((42,), only_nucleus=True),
    "seal": Scene((), only_nucleus=True),
    "lock_down": Scene((LATCH_DOMAINS,), only_nucleus=True),
}


def furnished() -> World:
    """Return a system in which the nucleus has one object of each kind."""
    return World(furniture())


@cache
def furniture() -> State:
    """Return the state of `furnished`; to be cloned."""
    w = World()
    w.object(ENDPOINT, ENDPOINT_SLOT, 4)
    w.object(NOTIFICATION, NOTIFICATION_SLOT, 5)
    w.object(CONCLAVE, CONCLAVE_SLOT, 6)
    w.frame(E, TYPE_SHARED_RW, FRAME_SLOT, 7)
    return w.s


def set_scene(name: str) -> World:
    """Return a system in which the operation's scene is ready."""
    return World(stage(name))


@cache
def stage(name: str) -> State:
    """Return the state of `set_scene`; to be cloned."""
    w = furnished()
    for d, operation, *arguments in SCENES[name].before:
        assert isinstance(d, int)
        w.ok(d, str(operation), *map(int, arguments))
    return w.s
