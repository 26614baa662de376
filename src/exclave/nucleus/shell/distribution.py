"""Trust: reviewed.

The capability distribution: a description as a list of ordinary core operations, with the ids and slots that
the shell will use. Pure: it can be read, printed and tested without starting anything.

Rules:
 1. Every authority that exists after the seal comes from a step in this list.
 2. Badges and rights are the description's; a step never widens them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from exclave.abi import types
from exclave.abi.rights import READ, WRITE
from exclave.nucleus.shell.dispatch import NUCLEUS_DOMAIN, Sizes
from exclave.system.description import MONOLITH, Description
from exclave.system.graph import badges

CONNECTIONS: Final = 256
RECEIVE_SLOT: Final = 0


class Step(NamedTuple):
    """One operation of the nucleus, and what it means in the words of the description."""

    operation: str
    arguments: tuple[int, ...]
    meaning: str


class Grant(NamedTuple):
    """A capability that a domain holds from the description on."""

    slot: int
    rights: int
    badge: int


@dataclass(slots=True)
class Layout:
    """Where everything of the description is in the core's tables.

    Attributes:
        domains: name -> domain id; the nucleus is 0.
        control: name -> the nucleus's slot of the domain's DOMAIN capability.
        endpoints: component -> the nucleus's slot of its endpoint's root capability.
        uses: (holder, target) -> the holder's endpoint capability.
        regions: (holder, region) -> the holder's frame capability.
        notifications: (holder, notification) -> the holder's notification capability.
        conclaves: name -> the nucleus's slot of the conclave.
        first_connection: the first slot, in the monolith's row, for connections of its processes.
    """

    domains: dict[str, int] = field(default_factory=dict)
    control: dict[str, int] = field(default_factory=dict)
    endpoints: dict[str, int] = field(default_factory=dict)
    uses: dict[tuple[str, str], Grant] = field(default_factory=dict)
    regions: dict[tuple[str, str], Grant] = field(default_factory=dict)
    notifications: dict[tuple[str, str], Grant] = field(default_factory=dict)
    conclaves: dict[str, int] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    first_connection: int = 1
    sizes: Sizes = field(default_factory=lambda: Sizes(1, 1, 1, 1, 1))

    def name(self, domain: int) -> str:
        """The name of a domain id."""
        return next((name for name, number in self.domains.items() if number == domain), "nucleus")


class _Builder:
    """Hands out slots and objects while the steps are written down."""

    def __init__(self, description: Description) -> None:
        self.description = description
        self.layout = Layout()
        self.badges = badges(description)
        self.next_own = 0
        self.next_slot: dict[str, int] = {}

    def own(self) -> int:
        """The nucleus's next object and slot: object i always has its root capability in slot i."""
        self.next_own += 1
        return self.next_own

    def slot(self, holder: str) -> int:
        """The holder's next slot; slot 0 of an exclave is its own endpoint."""
        number = self.next_slot.get(holder, RECEIVE_SLOT + 1)
        self.next_slot[holder] = number + 1
        return number

    def step(self, operation: str, *arguments: int, meaning: str) -> None:
        """Write down one operation."""
        self.layout.steps.append(Step(operation, arguments, meaning))

    def grant(self, root: int, holder: str, rights: int, badge: int, meaning: str) -> Grant:
        """Write down a grant from the nucleus's root capability to a domain."""
        slot = self.slot(holder)
        self.step("grant", root, self.layout.control[holder], slot, rights, badge, meaning=meaning)
        return Grant(slot, rights, badge)


def distribute(description: Description, measurements: dict[str, bytes]) -> Layout:
    """Write a checked description down as core operations.

    Args:
        description: from system.check.
        measurements: what to extend the boot measurement by, in order, name -> 32 bytes.
    """
    build = _Builder(description)
    _domains(build)
    _endpoints(build)
    _regions(build)
    _notifications(build)
    _conclaves(build)
    for name, digest in measurements.items():
        build.step("extend_measurement", int.from_bytes(digest, "big"), meaning=f"measure {name}")
    build.step("seal", meaning="no exclave can be added from here on")
    latches = types.LATCH_DOMAINS | types.LATCH_OBJECTS | types.LATCH_RETYPE
    build.step("lock_down", latches, meaning="no new domains, objects or frame types")
    layout = build.layout
    layout.first_connection = build.next_slot.get(MONOLITH, 1)
    slots = max([build.next_own + 1, layout.first_connection + CONNECTIONS, *build.next_slot.values()])
    regions = description.regions.values()
    widest = max([1, *(1 + len(region.shared) for region in regions)])
    layout.sizes = Sizes(len(layout.domains) + 1, slots, build.next_own + 1, max(1, len(regions)), widest)
    return layout


def _kinds(description: Description) -> Iterator[tuple[str, int]]:
    for name in description.components:
        yield name, types.DRIVER if name in description.drivers else types.EXCLAVE
    yield MONOLITH, types.MONOLITH


def _domains(build: _Builder) -> None:
    layout = build.layout
    for number, (name, kind) in enumerate(_kinds(build.description), start=NUCLEUS_DOMAIN + 1):
        own = build.own()
        layout.domains[name], layout.control[name] = number, own
        meaning = f"create {types.DOMAIN_KINDS[kind]} {name}"
        build.step("create_domain", own, own, number, kind, meaning=meaning)


def _endpoints(build: _Builder) -> None:
    layout, description = build.layout, build.description
    for name in description.components:
        own = layout.endpoints[name] = build.own()
        build.step("create_object", own, own, types.ENDPOINT, meaning=f"create the endpoint of {name}")
        control = layout.control[name]
        build.step("grant", own, control, RECEIVE_SLOT, READ, 0, meaning=f"{name} receives on its endpoint")
    for holder in layout.domains:
        for use in description.uses(holder):
            meaning = f"{holder} may call {use.target}"
            root = layout.endpoints[use.target]
            layout.uses[holder, use.target] = build.grant(
                root, holder, use.rights, build.badges[holder], meaning
            )


def _regions(build: _Builder) -> None:
    layout = build.layout
    kinds = {name: number for number, name in types.FRAME_TYPES.items()}
    for name, region in build.description.regions.items():
        own = build.own()
        control = layout.control[region.owner]
        build.step("create_frame", own, own, control, meaning=f"create region {name} of {region.owner}")
        build.step("retype", own, kinds[region.type], meaning=f"region {name} is {region.type}")
        shared = READ | WRITE if region.type == "SHARED_RW" else READ
        for holder in (region.owner, *region.shared):
            rights = READ | WRITE if holder == region.owner else shared
            words = "write" if rights & WRITE else "read"
            meaning = f"{holder} may {words} region {name}"
            layout.regions[holder, name] = build.grant(own, holder, rights, 0, meaning)


def _notifications(build: _Builder) -> None:
    layout = build.layout
    for name, notification in build.description.notifications.items():
        own = build.own()
        build.step("create_object", own, own, types.NOTIFICATION, meaning=f"create notification {name}")
        for bit, holder in enumerate(notification.signal):
            meaning = f"{holder} may signal {name}"
            layout.notifications[holder, name] = build.grant(own, holder, WRITE, 1 << bit, meaning)
        meaning = f"{notification.wait} may wait for {name}"
        layout.notifications[notification.wait, name] = build.grant(own, notification.wait, READ, 0, meaning)


def _conclaves(build: _Builder) -> None:
    layout = build.layout
    for name, conclave in build.description.conclaves.items():
        own = layout.conclaves[name] = build.own()
        build.step("create_object", own, own, types.CONCLAVE, meaning=f"create conclave {name}")
        for member in conclave.members:
            build.step("add_member", own, layout.control[member], meaning=f"{member} is a member of {name}")
        host = layout.control[conclave.host]
        build.step("attach_conclave", own, host, meaning=f"{name} is attached to {conclave.host}")
