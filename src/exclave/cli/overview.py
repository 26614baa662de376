"""Trust: outside. Prints a system for people: its domains, what each holds, its rules and why they hold."""

from __future__ import annotations

import shlex

from rich.console import Console
from rich.text import Text

from exclave.system.description import Source
from exclave.system.errors import listing, quote, shown_path
from exclave.system.graph import Edge, Graph
from exclave.system.model import MONOLITH, Description, Driver, Only
from exclave.system.modules import protected_methods
from exclave.system.reach import Hop, Verdict
from exclave.system.render import rights, thing
from exclave.system.units import format_duration, format_size

_VERBS = {
    "call": "calls",
    "keep": "keeps",
    "map": "maps",
    "signal": "signals",
    "wait": "waits for",
    "network": "network",
}
_WORDS = {"program": "program", "read": "reads", "write": "writes", "devices": "device"}

BASIS_SHOWN = 20
"""How many capabilities that a true rule rests on are printed."""


def print_system(out: Console, source: Source, graph: Graph) -> None:
    """Print each domain with what it holds, then the groups."""
    description = source.description
    out.print(Text.assemble((description.system.name, "bold"), (f"  {source.name}", "dim")))
    command = shlex.join(description.monolith.command)
    _domain(out, MONOLITH, "monolith", command if command.isprintable() else quote(command))
    _held(out, source, graph, MONOLITH)
    passed = (*description.monolith.environment, *description.monolith.pass_environment)
    if passed:
        _line(out, "variables", ", ".join(passed), "")
    for name, exclave in description.components.items():
        kind = "driver" if isinstance(exclave, Driver) else "exclave"
        _domain(out, name, kind, str(exclave.component))
        methods = protected_methods(description, exclave.component)
        if methods:
            _line(out, "answers", ", ".join(methods), "")
        _held(out, source, graph, name)
        if exclave.packages:
            _line(out, "imports", ", ".join(exclave.packages), "")
        limits = f"memory {format_size(exclave.memory)}, budget {format_duration(exclave.budget)}"
        _line(out, "limits", limits, "")
    _groups(out, description)


def _groups(out: Console, description: Description) -> None:
    if description.conclaves or description.regions:
        out.print()
    for conclave in description.conclaves.values():
        members = listing(conclave.members)
        out.print(Text.assemble("conclave ", (conclave.name, "bold"), f": {members}, for {conclave.host}"))
    for region in description.regions.values():
        out.print(
            Text.assemble("region ", (region.name, "bold"), f": {format_size(region.size)}, {region.type}")
        )


def _domain(out: Console, name: str, kind: str, runs: str) -> None:
    style = "bold yellow" if kind == "monolith" else "bold cyan"
    what = "" if kind == name else f"  {kind}"
    out.print()
    out.print(Text.assemble((name, style), (what, "dim"), f"  {runs}"))


def _held(out: Console, source: Source, graph: Graph, name: str) -> None:
    directory = source.description.directory
    for edge in graph.held_by(name):
        if edge.implicit:
            continue
        verb = _VERBS.get(edge.kind) or _WORDS[str(edge.key[1 if name == MONOLITH else 2])]
        if edge.kind == "network":
            _line(out, verb, rights(edge), "")
        else:
            _line(out, verb, thing(edge, directory), "" if edge.kind == "open" else rights(edge))


def _line(out: Console, verb: str, what: str, detail: str) -> None:
    text = Text.assemble((f"  {verb:<10} ", "dim"), what)
    if detail:
        text.append(f"  ({detail})", "dim")
    out.print(text)


def print_rules(
    out: Console, source: Source, verdicts: tuple[Verdict, ...], only_false: bool = False
) -> None:
    """Print each never and only rule: true and what that rests on, or false and a shortest way."""
    places = [("never", index) for index in range(len(source.description.never))]
    places += [("only", index) for index in range(len(source.description.only))]
    for (kind, index), verdict in zip(places, verdicts, strict=True):
        if verdict.holds and only_false:
            continue
        rule = verdict.rule
        start = listing(rule.sources) or "nobody" if isinstance(rule, Only) else rule.source
        answer = ("true", "bold green") if verdict.holds else ("FALSE", "bold red")
        place = f"  {source.name}:{source.line(kind, index)}"
        out.print()
        claim = (f"{start} -> {rule.reach}", "bold")
        out.print(Text.assemble(f"{kind} ", claim, ": ", answer, (place, "dim")))
        out.print(Text(f"  compromised: {listing(verdict.compromised)}", "dim"))
        for number, hop in enumerate(verdict.path, 1):
            out.print(Text.assemble(f"  {number}. {describe_hop(source, hop)}", (_place(source, hop), "dim")))
        if verdict.holds:
            _print_basis(out, source, verdict)


def _print_basis(out: Console, source: Source, verdict: Verdict) -> None:
    if not verdict.rests_on:
        out.print(Text("  nobody else is given it, and nobody can be asked for it"))
        return
    out.print(Text("  it rests on"))
    for edge in verdict.rests_on[:BASIS_SHOWN]:
        place = f"  {source.name}:{source.line(*edge.key)}"
        out.print(Text.assemble(f"    {basis(source, edge)}", (place, "dim")))
    more = len(verdict.rests_on) - BASIS_SHOWN
    if more > 0:
        out.print(Text(f"    and {more} more; --json lists them all", "dim"))


def basis(source: Source, edge: Edge) -> str:
    """Say what an authority that a true rule rests on means."""
    name = thing(edge, source.description.directory)
    match edge.kind:
        case "call":
            return f"{edge.source} may call {name} ({rights(edge)}): {name} decides what it does"
        case "keep":
            return f"{edge.source} keeps {name} in its secret memory"
        case "network":
            return f"{edge.source} has the network ({rights(edge)})"
        case "signal":
            return f"{edge.source} may signal {name}"
        case "wait":
            return f"{edge.source} waits for {name}"
        case _:
            return f"{edge.source} may {' and '.join(edge.rights)} {name}"


def describe_hop(source: Source, hop: Hop) -> str:
    """Say one step of a counterexample."""
    target = hop.target
    if target.startswith("path:"):
        target = shown_path(target.removeprefix("path:"), source.description.directory)
    target = target.removesuffix(".endpoint")
    words = ", ".join(hop.rights)
    match hop.how:
        case "call":
            return f"{hop.source} calls {target} ({words}; badge {hop.badge})"
        case "called":
            return f"{hop.source} answers {target}, which calls it"
        case "together":
            return f"{hop.source} and {target} are both compromised and act together"
        case "is":
            return f"{hop.source} is it"
        case "keep":
            return f"{hop.source} keeps {target}"
        case "network":
            return f"{hop.source} has the network ({words})"
        case "signal" | "wait":
            return f"{hop.source} {'signals' if hop.how == 'signal' else 'waits for'} {target}"
        case _:
            return f"{hop.source} may {' and '.join(hop.rights)} {target}"


def _place(source: Source, hop: Hop) -> str:
    return f"  {source.name}:{source.line(*hop.key)}" if hop.key else ""


def print_summary(out: Console, description: Description, verdicts: tuple[Verdict, ...]) -> None:
    """Print the last line: what was counted, and whether all is well."""
    false = sum(not verdict.holds for verdict in verdicts)
    counts = [
        _count(len(description.exclaves), "exclave"),
        _count(len(description.drivers), "driver"),
        _count(len(verdicts), "rule"),
    ]
    said = ", ".join(count for count in counts if count) or "nothing but a monolith"
    answer = (f"{false} of the rules false", "bold red") if false else ("ok", "bold green")
    out.print()
    out.print(Text.assemble(answer, f": {said}"))


def _count(number: int, noun: str) -> str:
    if not number:
        return ""
    return f"{number} {noun}{'' if number == 1 else 's'}"
