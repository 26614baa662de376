"""Trust: reviewed. What compromised domains can ever hold, and whether each `never` and `only` rule is true.

Rules:
1. Compromised domains act together, each with all of its own capabilities.
2. Capabilities do not move after the boot: an endpoint cannot be passed on, a frame carries bytes only.
   So the closure of a set of domains is what the description gives them.
3. Calling a component is not holding what it holds: only the compromise of X gives the secrets of X.
4. Without a chosen set, the monolith and the drivers are compromised for a rule about one of them; a rule
   about an exclave supposes the compromise of that exclave alone.
5. For an `only` rule all domains that it does not name are compromised, but for the owner of its target.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

import msgspec

from exclave.system.containment import overlap
from exclave.system.description import secret_candidates, secret_directories
from exclave.system.graph import Edge, Graph, build
from exclave.system.locate import KeyPath
from exclave.system.model import MONOLITH, Description, Never, Only
from exclave.system.targets import Target, endpoint, parse_target


class Hop(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a counterexample.

    `how` is "call", "called", "together" (collusion), "is" (it is the target), or an edge's kind.
    """

    source: str
    target: str
    how: str
    rights: tuple[str, ...] = ()
    badge: int | None = None
    key: KeyPath = ()


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a rule holds.

    `path` is a shortest counterexample when it does not; `rests_on` is the authorities that would break the
    rule if who holds them were compromised, or did what a compromised caller asks.
    """

    rule: Never | Only
    holds: bool
    compromised: tuple[str, ...]
    path: tuple[Hop, ...] = ()
    rests_on: tuple[Edge, ...] = ()


class Closure:
    """Everything that a set of compromised domains can ever hold.

    Args:
        graph: of the description.
        compromised: the domains.
    """

    def __init__(self, graph: Graph, compromised: Iterable[str]) -> None:
        self.graph = graph
        self.compromised = tuple(dict.fromkeys(compromised))
        members = frozenset(self.compromised)
        self.edges: tuple[Edge, ...] = tuple(edge for edge in graph.edges if edge.source in members)

    def breaches(self, nodes: Mapping[str, None], paths: Iterable[str]) -> tuple[Edge, ...]:
        """Return the edges that hold one of `nodes`, or open what overlaps one of `paths`."""
        wanted = tuple(paths)
        return tuple(edge for edge in self.edges if edge.target in nodes or _opens(edge, wanted))


def default_compromised(description: Description, source: str) -> tuple[str, ...]:
    """Return who is compromised for a rule about `source` when nobody chose."""
    hostile = (MONOLITH, *description.drivers)
    return hostile if source in hostile else (source,)


def decide(
    description: Description,
    compromised: Iterable[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[Verdict, ...]:
    """Decide every `never` rule of a checked description, and then every `only` rule.

    Args:
        description: from `check`.
        compromised: domains that are compromised for every rule, besides the rule's own.
        environment: where the default places of secrets come from; the process's own by default.
    """
    graph = build(description)
    surroundings = os.environ if environment is None else environment
    chosen = None if compromised is None else tuple(compromised)
    verdicts = []
    for rule in description.never:
        hostile = default_compromised(description, rule.source) if chosen is None else (rule.source, *chosen)
        verdicts.append(_decide(description, graph, rule, Closure(graph, hostile), surroundings))
    verdicts += [_decide_only(description, graph, claim, surroundings) for claim in description.only]
    return tuple(verdicts)


def _decide_only(
    description: Description, graph: Graph, claim: Only, environment: Mapping[str, str]
) -> Verdict:
    target = parse_target(description, claim.reach)
    nodes, paths = wanted(description, target, environment)
    allowed = {*claim.sources, target.owner}
    closure = Closure(graph, (name for name in description.domains if name not in allowed))
    breaches = [edge for edge in closure.breaches(nodes, paths) if edge.kind != "serve"]
    path = tuple(map(_hop, breaches[:1]))
    rests_on = () if path else _rests_on(graph, closure, nodes, paths)
    return Verdict(rule=claim, holds=not path, compromised=closure.compromised, path=path, rests_on=rests_on)


def _decide(
    description: Description, graph: Graph, rule: Never, closure: Closure, environment: Mapping[str, str]
) -> Verdict:
    target = parse_target(description, rule.reach)
    nodes, paths = wanted(description, target, environment)
    path = _shortest(graph, rule.source, closure, nodes, paths)
    rests_on = () if path else _rests_on(graph, closure, nodes, paths)
    return Verdict(rule=rule, holds=not path, compromised=closure.compromised, path=path, rests_on=rests_on)


def wanted(
    description: Description, target: Target, environment: Mapping[str, str]
) -> tuple[dict[str, None], tuple[str, ...]]:
    """Return the nodes and the paths of the file system of which any one is the target."""
    if target.kind == "path":
        return {}, (target.node.removeprefix("path:"),)
    if target.kind == "endpoint" and target.owner is not None:
        # Whoever is the component itself needs no call.
        return {target.node: None, target.owner: None}, ()
    if target.kind == "secret" and target.owner is not None:
        name = target.node.removeprefix(f"{target.owner}.secrets.")
        files = secret_candidates(description, target.owner, name, environment)
        return {target.node: None}, (
            *map(os.path.realpath, files),
            *secret_directories(description, environment),
        )
    return {target.node: None}, ()


def _opens(edge: Edge, paths: tuple[str, ...]) -> bool:
    if edge.kind not in ("open", "run"):
        return False
    return any(overlap(edge.target.removeprefix("path:"), path) for path in paths)


def _shortest(
    graph: Graph, start: str, closure: Closure, nodes: Mapping[str, None], paths: tuple[str, ...]
) -> tuple[Hop, ...]:
    """Return a shortest way from `start` to the target over compromised domains, or nothing.

    Domains that are joined by a call come first; those that are not joined act together all the same.
    """
    routes: dict[str, tuple[Hop, ...]] = {start: ()}
    queue = [start]
    for domain in queue:
        for hop in _joined(graph, domain):
            if hop.target in closure.compromised and hop.target not in routes:
                routes[hop.target] = (*routes[domain], hop)
                queue.append(hop.target)
    for other in closure.compromised:
        if other not in routes:
            routes[other] = (Hop(source=start, target=other, how="together"),)
            queue.append(other)
    breaches = closure.breaches(nodes, paths)
    for domain in sorted(queue, key=lambda name: len(routes[name])):
        if domain in nodes:
            return routes[domain] or (Hop(source=domain, target=domain, how="is"),)
        for edge in breaches:
            if edge.source == domain:
                return (*routes[domain], _hop(edge))
    return ()


def _joined(graph: Graph, domain: str) -> list[Hop]:
    """Return a hop to each domain that `domain` calls, then to each that calls it."""
    hops = [
        _hop(edge, target=edge.target.removesuffix(".endpoint"))
        for edge in graph.held_by(domain)
        if edge.kind == "call"
    ]
    for edge in graph.holders(endpoint(domain)):
        hops.append(Hop(source=domain, target=edge.source, how="called", rights=edge.rights, key=edge.key))
    return hops


def _hop(edge: Edge, target: str | None = None) -> Hop:
    return Hop(
        source=edge.source,
        target=edge.target if target is None else target,
        how=edge.kind,
        rights=edge.rights,
        badge=edge.badge,
        key=edge.key,
    )


def _rests_on(
    graph: Graph, closure: Closure, nodes: Mapping[str, None], paths: tuple[str, ...]
) -> tuple[Edge, ...]:
    """Return who honestly holds the target, and the calls by which compromised domains can ask them."""
    hostile = frozenset(closure.compromised)
    held = [edge for edge in graph.edges if edge.target in nodes or _opens(edge, paths)]
    found = dict.fromkeys(edge for edge in held if edge.kind != "serve" and edge.source not in hostile)
    trusted = [edge.source for edge in found]
    trusted += [node for node in nodes if node not in hostile and graph.kind(node) in ("exclave", "driver")]
    seen = set(trusted)
    for name in trusted:
        for edge in graph.holders(endpoint(name)):
            found[edge] = None
            if edge.source not in hostile and edge.source not in seen:
                seen.add(edge.source)
                trusted.append(edge.source)
    return tuple(found)
