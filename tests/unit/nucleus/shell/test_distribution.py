from __future__ import annotations

import re
from typing import Literal, get_args

from hypothesis import given
from hypothesis import strategies as st

from exclave.abi import refusal, types
from exclave.abi.rights import READ, WRITE
from exclave.nucleus.core import operations
from exclave.nucleus.core.capability import live
from exclave.nucleus.core.state import State
from exclave.nucleus.shell.dispatch import measurement_hash
from exclave.nucleus.shell.distribution import (
    CONNECTIONS,
    RECEIVE_SLOT,
    Grant,
    Layout,
    distribute,
)
from exclave.system.description import (
    MONOLITH,
    Conclave,
    Description,
    Driver,
    Exclave,
    Notification,
    Region,
    Use,
)
from support.descriptions import CALL, FRAME, describe, driver, exclave, rich, uses

DIGESTS = {"description": bytes(32), "signer": b"\xff" * 32}


def booted(layout: Layout) -> State:
    """The core after every step, each of which it accepted."""
    state = operations.initial(measurement_hash, *layout.sizes)
    for step in layout.steps:
        code = operations.call(state, 0, step.operation, *step.arguments)
        assert code == refusal.OK, (step, refusal.name(code))
    return state


Authority = tuple[str, str, str, int, int]


def authority(state: State, layout: Layout) -> set[Authority]:
    """Every live capability outside the nucleus: holder, kind, what it is on, rights, badge."""
    owners = {}
    for step in layout.steps:
        if step.operation in ("create_object", "create_frame"):
            match = re.fullmatch(r"create (?:the endpoint of|\w+) (\S+)(?: of \S+)?", step.meaning)
            assert match is not None, step
            owners[step.arguments[1]] = match[1]
    found = set()
    for holder, number in layout.domains.items():
        for slot, capability in enumerate(state.caps[number]):
            if live(state, number, slot):
                thing = state.objs[capability.oq][capability.oi]
                kind = types.OBJECT_KINDS[thing.kind]
                found.add((holder, kind, owners[capability.oi], capability.rights, capability.badge))
    return found


def expected(description: Description) -> set[Authority]:
    """What a description says, written down without the module under test."""
    numbers = {name: number for number, name in enumerate((*description.components, MONOLITH), 1)}
    found: set[Authority] = {(name, "endpoint", name, READ, 0) for name in description.components}
    for holder in numbers:
        for use in description.uses(holder):
            found.add((holder, "endpoint", use.target, use.rights, numbers[holder]))
    for region in description.regions.values():
        found.add((region.owner, "frame", region.name, READ | WRITE, 0))
        rights = READ | WRITE if region.type == "SHARED_RW" else READ
        found |= {(holder, "frame", region.name, rights, 0) for holder in region.shared}
    for notification in description.notifications.values():
        for bit, holder in enumerate(notification.signal):
            found.add((holder, "notification", notification.name, WRITE, 2**bit))
        found.add((notification.wait, "notification", notification.name, READ, 0))
    return found


def test_rich_description_gives_exactly_its_authority() -> None:
    description = rich()
    layout = distribute(description, DIGESTS)
    state = booted(layout)
    found = authority(state, layout)
    assert found == expected(description)
    assert ("monolith", "endpoint", "nic", CALL, 4) in found
    assert ("monolith", "frame", "orders", READ, 0) in found
    assert ("nic", "notification", "paid", WRITE, 2) in found
    assert len(found) == 18


def test_tables_of_the_layout_are_what_the_core_holds() -> None:
    layout = distribute(rich(), {})
    state = booted(layout)
    for table in (layout.uses, layout.regions, layout.notifications):
        for (holder, _), grant in table.items():
            capability = state.caps[layout.domains[holder]][grant.slot]
            assert grant == Grant(grant.slot, capability.rights, capability.badge)
    for name in layout.endpoints:
        assert state.caps[layout.domains[name]][RECEIVE_SLOT].rights == READ
    kinds = {name: types.DOMAIN_KINDS[state.doms[number].kind] for name, number in layout.domains.items()}
    assert kinds == {"signer": "exclave", "ledger": "exclave", "nic": "driver", "monolith": "monolith"}
    assert layout.name(layout.domains["ledger"]) == "ledger"
    assert layout.name(0) == "nucleus"


def test_frames_have_the_types_and_owners_of_the_description() -> None:
    layout = distribute(rich(), {})
    state = booted(layout)
    found = {}
    for (holder, name), grant in layout.regions.items():
        capability = state.caps[layout.domains[holder]][grant.slot]
        frame = state.objs[capability.oq][capability.oi]
        found[name] = (types.FRAME_TYPES[frame.ftype], layout.name(frame.dom))
    assert found == {
        "orders": ("SHARED_RO", "ledger"),
        "ring": ("SHARED_RW", "nic"),
        "scratch": ("EXCLAVE_PRIVATE", "signer"),
    }


def test_conclave_has_its_members_and_host_and_can_be_launched() -> None:
    layout = distribute(rich(), {})
    state = booted(layout)
    slot = layout.conclaves["payments"]
    assert state.objs[0][slot].dom == layout.domains["monolith"]
    members = [name for name, number in layout.domains.items() if state.doms[number].member]
    assert members == ["signer", "ledger"]
    assert operations.call(state, 0, "start", layout.control["signer"]) == refusal.ILLEGAL_OPERATION
    assert operations.call(state, 0, "launch_conclave", slot) == refusal.OK
    for name in ("signer", "ledger", "nic", "monolith"):
        assert operations.call(state, 0, "start", layout.control[name]) == refusal.OK
    assert operations.call(state, 0, "conclave_done", slot) == refusal.OK


def test_after_the_steps_nothing_can_be_added() -> None:
    layout = distribute(rich(), {})
    state = booted(layout)
    free = layout.sizes.slots - 1
    for operation, arguments in {
        "create_domain": (free, free, 1, types.EXCLAVE),
        "create_object": (free, 0, types.ENDPOINT),
        "create_frame": (free, 0, layout.control["signer"]),
        "seal": (),
        "extend_measurement": (1,),
    }.items():
        assert operations.call(state, 0, operation, *arguments) != refusal.OK


def test_measurement_depends_on_each_digest_and_their_order() -> None:
    first = booted(distribute(rich(), DIGESTS)).boot.measurement
    assert booted(distribute(rich(), DIGESTS)).boot.measurement == first
    assert booted(distribute(rich(), dict(reversed(DIGESTS.items())))).boot.measurement != first
    assert booted(distribute(rich(), DIGESTS | {"signer": b"\xfe" * 32})).boot.measurement != first


def test_monolith_has_room_for_all_its_connections() -> None:
    layout = distribute(rich(), {})
    state = booted(layout)
    row, grant = layout.domains["monolith"], layout.uses["monolith", "signer"]
    assert operations.call(state, 0, "launch_conclave", layout.conclaves["payments"]) == refusal.OK
    assert operations.call(state, 0, "start", layout.control["monolith"]) == refusal.OK
    slots = range(layout.first_connection, layout.first_connection + CONNECTIONS)
    codes = {operations.call(state, row, "copy", grant.slot, slot) for slot in slots}
    assert codes == {refusal.OK}
    assert operations.call(state, row, "copy", grant.slot, slots.stop) == refusal.RANGE_ERROR


def test_every_holder_of_a_region_can_map_it_with_its_rights_only() -> None:
    description = rich()
    layout = distribute(description, {})
    state = booted(layout)
    operations.call(state, 0, "launch_conclave", layout.conclaves["payments"])
    for control in layout.control.values():
        assert operations.call(state, 0, "start", control) == refusal.OK
    for (holder, name), grant in layout.regions.items():
        row, number = layout.domains[holder], list(description.regions).index(name)
        if not grant.rights & WRITE:
            assert operations.call(state, row, "map_frame", grant.slot, number, 1) != refusal.OK
        writable = int(bool(grant.rights & WRITE))
        assert operations.call(state, row, "map_frame", grant.slot, number, writable) == refusal.OK


def test_smallest_description_boots() -> None:
    layout = distribute(describe(), {})
    assert authority(booted(layout), layout) == set()
    assert layout.first_connection == 1


def test_meanings_are_words_of_the_description() -> None:
    meanings = [step.meaning for step in distribute(rich(), DIGESTS).steps]
    assert "signer may call ledger" in meanings
    assert "monolith may read region orders" in meanings
    assert "create driver nic" in meanings
    assert "measure signer" in meanings
    assert meanings[-2] == "no exclave can be added from here on"


RegionType = Literal["SHARED_RO", "SHARED_RW", "EXCLAVE_PRIVATE"]
KINDS: st.SearchStrategy[RegionType] = st.sampled_from(get_args(RegionType))


@st.composite
def descriptions(draw: st.DrawFn) -> Description:
    """Any description that `exclave check` would accept, of up to six components."""
    count = draw(st.integers(0, 6))
    names = [f"e{number}" for number in range(count)]
    rights = st.sampled_from([CALL, CALL | FRAME])
    parts: list[Exclave | Region | Notification | Conclave] = []
    for number, name in enumerate(names):
        # A use of an earlier component only, so that the graph of calls has no cycle.
        targets = draw(st.sets(st.sampled_from(names[:number]))) if number else set()
        entries: tuple[Use, ...] = tuple(uses(target, draw(rights)) for target in sorted(targets))
        parts.append(driver(name, *entries) if draw(st.booleans()) else exclave(name, *entries))
    domains = [*names, MONOLITH]
    private = [part.name for part in parts if isinstance(part, Exclave) and not isinstance(part, Driver)]
    if names:
        for number in range(draw(st.integers(0, 4))):
            kind = draw(KINDS)
            owner = draw(st.sampled_from(private if kind == "EXCLAVE_PRIVATE" and private else domains))
            if kind == "EXCLAVE_PRIVATE" and owner not in private:
                continue
            others = [name for name in domains if name != owner]
            sharers = set() if kind == "EXCLAVE_PRIVATE" else draw(st.sets(st.sampled_from(others)))
            shared = tuple(sorted(sharers))
            parts.append(Region(name=f"r{number}", size=4096, type=kind, owner=owner, shared=shared))
        for number in range(draw(st.integers(0, 3))):
            wait = draw(st.sampled_from(domains))
            others = [name for name in domains if name != wait]
            signal = tuple(draw(st.lists(st.sampled_from(others), min_size=1, unique=True)))
            parts.append(Notification(name=f"n{number}", signal=signal, wait=wait))
        free = list(names)
        for number in range(draw(st.integers(0, 2))):
            members = tuple(draw(st.lists(st.sampled_from(free), min_size=1, unique=True))) if free else ()
            if members:
                free = [name for name in free if name not in members]
                parts.append(Conclave(name=f"c{number}", members=members))
    targets = draw(st.sets(st.sampled_from(names))) if names else set()
    use = tuple(uses(target, draw(rights)) for target in sorted(targets))
    return describe(*parts, use=use)


@given(descriptions())
def test_any_description_gives_exactly_its_authority(description: Description) -> None:
    layout = distribute(description, {"description": description.digest})
    assert authority(booted(layout), layout) == expected(description)
