"""Trust: reviewed. The capability graph of a description, as data.

Rules:
1. An edge is an authority that the description gives; there are no others. Its `key` says where it is given.
2. Edges point from who holds to what is held, and from an endpoint to the component behind it ("serve").
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Literal

import msgspec

from exclave.abi.rights import ENDPOINT_RIGHTS
from exclave.system.grants import implicit_reads
from exclave.system.locate import KeyPath
from exclave.system.model import MONOLITH, Description, Region
from exclave.system.targets import endpoint

NodeKind = Literal[
    "monolith", "exclave", "driver", "endpoint", "secret", "region", "notification", "network", "path"
]
EdgeKind = Literal["call", "serve", "keep", "map", "signal", "wait", "network", "open", "run"]


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A domain or a thing; `id` is the text of a target, "X.endpoint" for the endpoint of X."""

    id: str
    kind: NodeKind


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """An authority: `source` holds `target` with these rights.

    `badge` is who the callee sees, or the bit of a notification. `implicit` edges are not written in the
    description: they follow from running a program at all.
    """

    source: str
    target: str
    kind: EdgeKind
    rights: tuple[str, ...]
    key: KeyPath
    badge: int | None = None
    implicit: bool = False


class Graph(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """All nodes and edges of one system."""

    system: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def held_by(self, domain: str) -> tuple[Edge, ...]:
        """Return what a domain holds."""
        return tuple(self._sources.get(domain, ()))

    def holders(self, node: str) -> tuple[Edge, ...]:
        """Return the edges by which a node is held."""
        return tuple(self._targets.get(node, ()))

    def kind(self, node: str) -> NodeKind | None:
        """Return a node's kind, or None when there is no such node."""
        return self._kinds.get(node)

    @functools.cached_property
    def _sources(self) -> dict[str, list[Edge]]:
        found: dict[str, list[Edge]] = {}
        for edge in self.edges:
            found.setdefault(edge.source, []).append(edge)
        return found

    @functools.cached_property
    def _targets(self) -> dict[str, list[Edge]]:
        found: dict[str, list[Edge]] = {}
        for edge in self.edges:
            found.setdefault(edge.target, []).append(edge)
        return found

    @functools.cached_property
    def _kinds(self) -> dict[str, NodeKind]:
        return {node.id: node.kind for node in self.nodes}


def badges(description: Description) -> dict[str, int]:
    """Return each domain's badge: 1 for the first component of the file, then upwards, the monolith last."""
    return {name: number for number, name in enumerate(description.domains, 1)}


def build(description: Description) -> Graph:
    """Draw the capability graph of a description."""
    edges = tuple(_edges(description))
    nodes: dict[str, Node] = {}
    for name in description.domains:
        nodes[name] = Node(id=name, kind=_domain_kind(description, name))
    for name in description.components:
        nodes[endpoint(name)] = Node(id=endpoint(name), kind="endpoint")
    for edge in edges:
        if edge.target not in nodes:
            nodes[edge.target] = Node(id=edge.target, kind=_KINDS[edge.kind])
    return Graph(system=description.system.name, nodes=tuple(nodes.values()), edges=edges)


_KINDS: dict[EdgeKind, NodeKind] = {
    "call": "endpoint",
    "keep": "secret",
    "map": "region",
    "signal": "notification",
    "wait": "notification",
    "network": "network",
    "open": "path",
    "run": "path",
}


def _domain_kind(description: Description, name: str) -> NodeKind:
    if name == MONOLITH:
        return "monolith"
    return "driver" if name in description.drivers else "exclave"


def words(rights: int) -> tuple[str, ...]:
    """Return the words of a description for the rights of a caller."""
    return tuple(word for word, bit in ENDPOINT_RIGHTS.items() if rights & bit)


def _edges(description: Description) -> Iterator[Edge]:
    numbers = badges(description)
    for name in description.domains:
        table = description.table(name)
        for index, use in enumerate(description.uses(name)):
            yield Edge(
                source=name,
                target=endpoint(use.target),
                kind="call",
                rights=words(use.rights),
                key=(*table, "use", index),
                badge=numbers[name],
            )
    for name, exclave in description.components.items():
        table = description.table(name)
        yield Edge(source=endpoint(name), target=name, kind="serve", rights=("read",), key=table)
        for index, secret in enumerate(exclave.secrets):
            node = f"{name}.secrets.{secret}"
            yield Edge(
                source=name, target=node, kind="keep", rights=("read",), key=(*table, "secrets", index)
            )
    for driver in description.drivers.values():
        for index, device in enumerate(driver.devices):
            yield _open(driver.name, device, ("read", "write"), ("driver", driver.name, "devices", index))
    for region in description.regions.values():
        yield from _region_edges(region)
    for name, notification in description.notifications.items():
        node = f"notification.{name}"
        key: KeyPath = ("notification", name)
        for index, signaller in enumerate(notification.signal):
            bit = 1 << index
            at: KeyPath = (*key, "signal", index)
            yield Edge(source=signaller, target=node, kind="signal", rights=("write",), key=at, badge=bit)
        yield Edge(source=notification.wait, target=node, kind="wait", rights=("read",), key=(*key, "wait"))
    yield from _monolith_edges(description)


def _region_edges(region: Region) -> Iterator[Edge]:
    node = f"region.{region.name}"
    table: KeyPath = ("region", region.name)
    both = ("read", "write")
    yield Edge(source=region.owner, target=node, kind="map", rights=both, key=(*table, "owner"))
    for index, name in enumerate(region.shared):
        rights = both if region.type == "SHARED_RW" else ("read",)
        yield Edge(source=name, target=node, kind="map", rights=rights, key=(*table, "shared", index))


def _monolith_edges(description: Description) -> Iterator[Edge]:
    monolith = description.monolith
    if monolith.network:
        ports = [f"listen {port}" for port in monolith.network.listen]
        ports += [f"connect {port}" for port in monolith.network.connect]
        rights = ("anywhere",) if monolith.network.anywhere else tuple(ports)
        yield Edge(
            source=MONOLITH, target="network", kind="network", rights=rights, key=(MONOLITH, "network")
        )
    yield _open(MONOLITH, monolith.program, ("read",), (MONOLITH, "program"))
    for index, path in enumerate(monolith.read):
        yield _open(MONOLITH, path, ("read",), (MONOLITH, "read", index))
    for index, path in enumerate(monolith.write):
        yield _open(MONOLITH, path, ("read", "write"), (MONOLITH, "write", index))
    for index, path in enumerate(monolith.devices):
        yield _open(MONOLITH, path, ("read", "write"), (MONOLITH, "devices", index))
    for path in implicit_reads(description):
        yield Edge(
            source=MONOLITH,
            target=f"path:{path}",
            kind="run",
            rights=("read",),
            key=(MONOLITH, "command"),
            implicit=True,
        )


def _open(domain: str, path: str, rights: tuple[str, ...], key: KeyPath) -> Edge:
    return Edge(source=domain, target=f"path:{path}", kind="open", rights=rights, key=key)
