"""The guards that many operations share, tried on every operation and every argument they protect.

A scene makes one call of an operation succeed; then one thing about the call is made wrong.
"""

from __future__ import annotations

import pytest

from exclave.abi.refusal import (
    DELETE_FIRST,
    FAILED_LOOKUP,
    ILLEGAL_OPERATION,
    INVALID_ARGUMENT,
    INVALID_CAPABILITY,
    RANGE_ERROR,
)
from exclave.abi.rights import ALL, GRANT, READ, WRITE
from exclave.abi.types import (
    DOMAIN,
    ENDPOINT,
    FRAME,
    LATCH_DOMAINS,
    LATCH_GRANTS,
    LATCH_OBJECTS,
    LATCH_RETYPE,
    STAGE_OPEN,
)
from exclave.nucleus.core.operations import OPS
from support.core_scenes import (
    CONCLAVE_SLOT,
    FRAME_SLOT,
    FREE_OBJECT,
    FREE_SLOT,
    SCENES,
    SLOT_OF,
    SPARE_SLOT,
    Place,
    Range,
    Source,
    furnished,
    set_scene,
)
from support.core_world import D, F, M, N

NAMES = sorted(OPS)


def with_argument(name: str, position: int, value: int) -> tuple[int, ...]:
    """Return the scene's arguments with one replaced."""
    arguments = list(SCENES[name].arguments)
    arguments[position] = value
    return tuple(arguments)


def positions(role: type) -> list[tuple[str, int]]:
    """Return the operation and position of every argument with that role."""
    return [
        (name, position)
        for name, scene in SCENES.items()
        for position, one in enumerate(scene.roles)
        if isinstance(one, role)
    ]


def source(name: str, position: int) -> Source:
    """Return the role of an argument that names a capability."""
    role = SCENES[name].roles[position]
    assert isinstance(role, Source)
    return role


def test_scenes_cover_all_operations() -> None:
    assert sorted(SCENES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_any_operation_in_its_scene_succeeds(name: str) -> None:
    set_scene(name).ok(N, name, *SCENES[name].arguments)


@pytest.mark.parametrize("caller", [-1, -6, 6, 99])
@pytest.mark.parametrize("name", NAMES)
def test_any_operation_caller_is_no_domain_refused(name: str, caller: int) -> None:
    set_scene(name).refused(ILLEGAL_OPERATION, caller, name, *SCENES[name].arguments)


@pytest.mark.parametrize("name", NAMES)
def test_any_operation_caller_never_started_refused(name: str) -> None:
    set_scene(name).refused(ILLEGAL_OPERATION, F, name, *SCENES[name].arguments)


@pytest.mark.parametrize("name", NAMES)
def test_any_operation_caller_in_conclave_not_running_refused(name: str) -> None:
    w = furnished()
    w.ok(N, "add_member", CONCLAVE_SLOT, D)
    w.ok(N, "attach_conclave", CONCLAVE_SLOT, M)
    w.ok(N, "seal")
    w.ok(N, "launch_conclave", CONCLAVE_SLOT)
    w.ok(N, "start", D)
    w.ok(D, "create_object", 0, 0, ENDPOINT)
    w.ok(N, "conclave_done", CONCLAVE_SLOT)
    w.ok(N, "suspend_conclave", CONCLAVE_SLOT)
    w.refused(ILLEGAL_OPERATION, D, name, *SCENES[name].arguments)


@pytest.mark.parametrize("name", [name for name in NAMES if SCENES[name].only_nucleus])
def test_nucleus_operation_running_domain_calls_refused(name: str) -> None:
    w = set_scene(name)
    if w.s.boot.stage == STAGE_OPEN:
        w.ok(N, "seal")
    w.ok(N, "start", M)
    w.refused(ILLEGAL_OPERATION, M, name, *SCENES[name].arguments)


@pytest.mark.parametrize("value", [-1, -12, 12, 2**70])
@pytest.mark.parametrize(("name", "position"), positions(Source))
def test_any_capability_slot_out_of_range_refused(name: str, position: int, value: int) -> None:
    set_scene(name).refused(FAILED_LOOKUP, N, name, *with_argument(name, position, value))


@pytest.mark.parametrize(("name", "position"), positions(Source))
def test_any_capability_slot_empty_refused(name: str, position: int) -> None:
    set_scene(name).refused(FAILED_LOOKUP, N, name, *with_argument(name, position, SPARE_SLOT))


@pytest.mark.parametrize(("name", "position"), positions(Source))
def test_any_capability_revoked_refused(name: str, position: int) -> None:
    w = set_scene(name)
    original = SCENES[name].arguments[position]
    w.ok(N, "copy", original, SPARE_SLOT)
    w.ok(N, "revoke", original)
    w.refused(FAILED_LOOKUP, N, name, *with_argument(name, position, SPARE_SLOT))


@pytest.mark.parametrize(
    ("name", "position"), [(name, at) for name, at in positions(Source) if source(name, at).kind]
)
def test_any_capability_of_wrong_kind_refused(name: str, position: int) -> None:
    w = set_scene(name)
    for kind, slot in SLOT_OF.items():
        if kind != source(name, position).kind:
            w.refused(INVALID_CAPABILITY, N, name, *with_argument(name, position, slot))


@pytest.mark.parametrize(
    ("name", "position"), [(name, at) for name, at in positions(Source) if source(name, at).need]
)
def test_any_capability_without_right_refused(name: str, position: int) -> None:
    need = source(name, position).need
    for right in (READ, WRITE, GRANT):
        if need & right:
            w = set_scene(name)
            w.ok(N, "mint", SCENES[name].arguments[position], SPARE_SLOT, ALL & ~right, 0)
            w.refused(INVALID_CAPABILITY, N, name, *with_argument(name, position, SPARE_SLOT))


@pytest.mark.parametrize(
    ("name", "position"), [(name, at) for name, at in positions(Source) if source(name, at).root]
)
def test_root_operation_on_derived_capability_refused(name: str, position: int) -> None:
    w = set_scene(name)
    w.ok(N, "copy", SCENES[name].arguments[position], SPARE_SLOT)
    w.refused(INVALID_CAPABILITY, N, name, *with_argument(name, position, SPARE_SLOT))


@pytest.mark.parametrize(("name", "position"), positions(Range) + positions(Place))
def test_any_index_out_of_range_refused(name: str, position: int) -> None:
    role = SCENES[name].roles[position]
    assert isinstance(role, Range | Place)
    for value in (-1, -role.size, role.size, 2**70):
        set_scene(name).refused(RANGE_ERROR, N, name, *with_argument(name, position, value))


@pytest.mark.parametrize(("name", "position"), positions(Place))
def test_any_place_taken_refused(name: str, position: int) -> None:
    role = SCENES[name].roles[position]
    assert isinstance(role, Place)
    set_scene(name).refused(DELETE_FIRST, N, name, *with_argument(name, position, role.taken))


@pytest.mark.parametrize(
    ("name", "latch"),
    [
        ("create_domain", LATCH_DOMAINS),
        ("create_object", LATCH_OBJECTS),
        ("create_frame", LATCH_OBJECTS),
        ("grant", LATCH_GRANTS),
        ("retype", LATCH_RETYPE),
    ],
)
def test_latched_operation_refused_under_its_latch_only(name: str, latch: int) -> None:
    w = set_scene(name)
    w.ok(N, "lock_down", latch)
    w.refused(ILLEGAL_OPERATION, N, name, *SCENES[name].arguments)
    w = set_scene(name)
    w.ok(N, "lock_down", (LATCH_DOMAINS | LATCH_OBJECTS | LATCH_GRANTS | LATCH_RETYPE) & ~latch)
    w.ok(N, name, *SCENES[name].arguments)


@pytest.mark.parametrize("kind", [-1, 0, 1, 5, 99])
def test_create_domain_kind_not_of_a_domain_refused(kind: int) -> None:
    furnished().refused(INVALID_ARGUMENT, N, "create_domain", FREE_SLOT, FREE_OBJECT, 5, kind)


@pytest.mark.parametrize("kind", [-1, 0, FRAME, DOMAIN, 6])
def test_create_object_kind_made_otherwise_refused(kind: int) -> None:
    furnished().refused(INVALID_ARGUMENT, N, "create_object", FREE_SLOT, FREE_OBJECT, kind)


@pytest.mark.parametrize("to", [-1, 5, 99])
def test_retype_no_such_type_refused(to: int) -> None:
    furnished().refused(INVALID_ARGUMENT, N, "retype", FRAME_SLOT, to)
