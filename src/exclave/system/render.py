"""Trust: reviewed. A capability graph as plain text and as a Mermaid flowchart."""

from __future__ import annotations

from exclave.system.errors import shown_path
from exclave.system.graph import Edge, Graph

_VERBS = {
    "call": "call",
    "keep": "keep",
    "map": "map",
    "signal": "signal",
    "wait": "wait for",
    "network": "use",
    "open": "open",
    "run": "open",
    "serve": "serve",
}
_SHAPES = {
    "monolith": ('[["', '"]]'),
    "exclave": ('(["', '"])'),
    "driver": ('(["', '"])'),
    "secret": ('{{"', '"}}'),
    "region": ('[("', '")]'),
    "notification": ('>"', '"]'),
    "network": ('(("', '"))'),
    "path": ('["', '"]'),
}


def thing(edge: Edge, directory: str = "") -> str:
    """Name what an edge holds, as a person would: `signer`, `./data`, `region.orders`."""
    if edge.target.startswith("path:"):
        return shown_path(edge.target.removeprefix("path:"), directory)
    if edge.kind == "keep":
        return edge.target.removeprefix(f"{edge.source}.secrets.")
    return edge.target.removesuffix(".endpoint")


def rights(edge: Edge) -> str:
    """Write an edge's rights, and its badge where it has one."""
    if edge.kind == "keep":
        return "secret memory"
    text = ", ".join(edge.rights)
    if edge.kind == "call":
        return f"{text}; badge {edge.badge}"
    return f"badge {edge.badge:#x}" if edge.kind == "signal" else text


def to_text(graph: Graph, directory: str = "") -> str:
    """Write the graph as one paragraph per domain, a line per capability, plain ASCII."""
    lines = [f"system {graph.system}"]
    for node in graph.nodes:
        if node.kind not in ("monolith", "exclave", "driver"):
            continue
        lines.append("")
        lines.append(node.id if node.kind == "monolith" else f"{node.id} ({node.kind})")
        held = [edge for edge in graph.held_by(node.id) if not edge.implicit]
        width = max((len(thing(edge, directory)) for edge in held), default=0)
        for edge in held:
            name = thing(edge, directory).ljust(min(width, 40))
            lines.append(f"  {_VERBS[edge.kind]:<8}  {name}  {rights(edge)}")
        if not held:
            lines.append("  holds nothing")
    return "\n".join(lines) + "\n"


def to_mermaid(graph: Graph, directory: str = "") -> str:
    """Write the graph as a Mermaid flowchart; an endpoint is drawn as the component that serves it."""
    lines = ["flowchart LR"]
    drawn = {node.id: f"n{index}" for index, node in enumerate(graph.nodes) if node.kind != "endpoint"}
    kept = {edge.target for edge in graph.edges if not edge.implicit}
    for node in graph.nodes:
        if node.kind == "endpoint" or (node.kind == "path" and node.id not in kept):
            continue
        left, right = _SHAPES[node.kind]
        label = shown_path(node.id.removeprefix("path:"), directory) if node.kind == "path" else node.id
        lines.append(f"  {drawn[node.id]}{left}{_escaped(label)}{right}")
    for edge in graph.edges:
        if edge.implicit or edge.kind == "serve":
            continue
        target = drawn[edge.target.removesuffix(".endpoint") if edge.kind == "call" else edge.target]
        label = _escaped(f"{_VERBS[edge.kind]}: {rights(edge)}")
        lines.append(f'  {drawn[edge.source]} -->|"{label}"| {target}')
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """Escape what ends or changes a Mermaid label."""
    for character, entity in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("&", "#amp;")):
        text = text.replace(character, entity)
    return text
