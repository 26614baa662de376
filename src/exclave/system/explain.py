"""Trust: reviewed. Explains a route through the capability graph: hop by hop, or why there is none.

Rules:
1. A route is direct when the domain itself holds the target. Through others it can only ask, and they decide.
2. A secret has no route but from the component that keeps it: no call hands a secret out.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from exclave.system.description import Source
from exclave.system.errors import listing, nearest, quote
from exclave.system.graph import Edge, Graph, build
from exclave.system.model import MONOLITH, Description
from exclave.system.modules import protected_methods
from exclave.system.reach import Closure, wanted
from exclave.system.render import rights, thing
from exclave.system.targets import Target, TargetError, endpoint, parse_target

Route = Literal["direct", "through", "none"]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One hop of a route, with the line of the description that gives it."""

    source: str
    target: str
    kind: str
    rights: tuple[str, ...]
    badge: int | None
    line: int


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to "can A reach B?".

    `route` is direct (A holds B), through (A can ask somebody who does) or none; `notes` say the rest, one
    sentence each.
    """

    source: str
    target: str
    route: Route
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()


class UnknownName(Exception):
    """A name that the description does not have."""

    def __init__(self, cause: str, fix: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.fix = fix


def explain(source: Source, a: str, b: str) -> Explanation:
    """Explain how domain `a` reaches target `b`, or why it cannot.

    Raises:
        UnknownName: one of them is not in the description (the caller's fault).
    """
    description = source.description
    if a not in description.domains:
        near = nearest(a, description.domains)
        fix = f'did you mean "{near}"?' if near else f"the domains are {listing(description.domains)}"
        raise UnknownName(f"there is no domain {quote(a)}", fix)
    return _Explainer(source, a).answer(b)


class _Explainer:
    """Answers about one domain of one description."""

    def __init__(self, source: Source, a: str) -> None:
        self.source = source
        self.description: Description = source.description
        self.graph: Graph = build(self.description)
        self.a = a

    def answer(self, b: str) -> Explanation:
        if b == self.a:
            return self._none(b, [f"{b} is the domain itself"])
        if b == MONOLITH:
            return self._none(b, ["nobody can call the monolith: it has no endpoint", *self._shared()])
        try:
            target = parse_target(self.description, b)
        except TargetError as error:
            raise UnknownName(error.cause, error.fix) from None
        nodes, paths = wanted(self.description, target, {})
        if target.kind == "secret":
            paths = ()
        direct = Closure(self.graph, [self.a]).breaches(nodes, paths)
        if direct:
            notes = self._remark(direct[0])
            return Explanation(
                source=self.a, target=b, route="direct", steps=(self._step(direct[0]),), notes=notes
            )
        if target.kind == "secret":
            return self._secret(b, target)
        return self._through(b, target, nodes, paths)

    def _through(self, b: str, target: Target, nodes: dict[str, None], paths: tuple[str, ...]) -> Explanation:
        everyone = Closure(self.graph, self.description.domains)
        holders = [edge for edge in everyone.breaches(nodes, paths) if not edge.implicit]
        for calls in self._routes():
            last = calls[-1].target.removesuffix(".endpoint")
            edge = next((edge for edge in holders if edge.source == last), None)
            if edge is not None:
                steps = tuple(self._step(hop) for hop in (*calls, edge))
                note = f"{self.a} holds no capability to {b}: {last} decides what it does for a caller"
                return Explanation(source=self.a, target=b, route="through", steps=steps, notes=(note,))
        notes = [f"{self._held(edge)}" for edge in holders]
        if not holders:
            notes.append(f"nobody is given {b}")
        if target.kind == "endpoint" and not holders:
            notes[-1] = f"nobody uses {b}"
        return self._none(b, [*notes, *self._at_most()])

    def _secret(self, b: str, target: Target) -> Explanation:
        keeper = target.owner or ""
        keeping = self.graph.holders(target.node)[0]
        notes = [f"{keeper} keeps it in its secret memory ({self._place(keeping)})"]
        calls = next((c for c in self._routes() if c[-1].target == endpoint(keeper)), None)
        if calls is None:
            notes.append(f"{self.a} cannot call {keeper}, not even through others")
            return self._none(b, [*notes, *self._at_most()])
        notes += [self._held(hop) for hop in calls]
        notes.append(f"no call hands a secret out: only the compromise of {keeper} itself gives it")
        return self._none(b, notes)

    def _routes(self) -> list[tuple[Edge, ...]]:
        """Return the shortest chain of calls to each endpoint that can be asked, the shortest first."""
        found: dict[str, tuple[Edge, ...]] = {self.a: ()}
        queue = [self.a]
        for domain in queue:
            for edge in self.graph.held_by(domain):
                callee = edge.target.removesuffix(".endpoint")
                if edge.kind == "call" and callee not in found:
                    found[callee] = (*found[domain], edge)
                    queue.append(callee)
        return [calls for calls in found.values() if calls]

    def _none(self, b: str, notes: list[str]) -> Explanation:
        return Explanation(source=self.a, target=b, route="none", notes=tuple(notes))

    def _step(self, edge: Edge) -> Step:
        return Step(
            source=edge.source,
            target=thing(edge, self.description.directory),
            kind=edge.kind,
            rights=edge.rights,
            badge=edge.badge,
            line=self.source.line(*edge.key),
        )

    def _place(self, edge: Edge) -> str:
        return f"{self.source.name}:{self.source.line(*edge.key)}"

    def _held(self, edge: Edge) -> str:
        """Say one authority as a sentence with its place."""
        name = thing(edge, self.description.directory)
        what = {
            "call": f"may call {name}{self._methods(edge)}",
            "map": f"maps {name} ({rights(edge)})",
            "signal": f"may signal {name}",
            "wait": f"waits for {name}",
            "network": f"has the network ({rights(edge)})",
            "open": f"may open {name} ({rights(edge)})",
        }.get(edge.kind, f"has {name}")
        return f"{edge.source} {what} ({self._place(edge)})"

    def _methods(self, edge: Edge) -> str:
        component = self.description.components.get(edge.target.removesuffix(".endpoint"))
        methods = () if component is None else protected_methods(self.description, component.component)
        return f" ({', '.join(methods)})" if methods else ""

    def _remark(self, edge: Edge) -> tuple[str, ...]:
        """Say what a direct route gives, where its step does not."""
        if edge.implicit:
            return ("every program needs it to run; the description does not grant it",)
        methods = self._methods(edge) if edge.kind == "call" else ""
        return (f"{thing(edge)} answers{methods}",) if methods else ()

    def _at_most(self) -> list[str]:
        """Say what the domain can do at most."""
        held = [edge for edge in self.graph.held_by(self.a) if not edge.implicit and edge.kind != "keep"]
        if not held:
            return [f"{self.a} holds no capability at all"]
        return [f"all that {self.a} holds:", *(f"  {self._held(edge)}" for edge in held)]

    def _shared(self) -> list[str]:
        """Say what the domain and the monolith have in common."""
        mine = {edge.target for edge in self.graph.held_by(self.a)}
        common = [
            e
            for e in self.graph.held_by(MONOLITH)
            if e.target in mine and e.kind in ("map", "signal", "wait")
        ]
        return [self._held(edge) for edge in common] or [
            f"it shares no region and no notification with {self.a}"
        ]
