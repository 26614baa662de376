"""Bounded time: no operation loops, calls itself, or calls what is not of the core.

Trust: reviewed.
Purpose: read the call graph from the source, which together with the number of paths bounds every run.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from exclave.proofs.source import core_modules, file_of, home_of

_LOOPS = (ast.For, ast.While, ast.AsyncFor, ast.comprehension, ast.Try, ast.With, ast.Lambda, ast.Await)
_HASH = "s.h"


def functions(patches: Mapping[str, str] | None = None) -> dict[str, ast.FunctionDef]:
    """Return the functions of the core, by name."""
    found: dict[str, ast.FunctionDef] = {}
    for module in core_modules():
        if module.endswith((".__init__", ".operations", ".state")):
            continue
        text = (patches or {}).get(module) or file_of(module).read_text()
        found.update((node.name, node) for node in ast.parse(text).body if isinstance(node, ast.FunctionDef))
    return found


def called(function: ast.FunctionDef) -> set[str]:
    """Return what a function calls, as written."""
    return {ast.unparse(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)} - {_HASH}


def reached(graph: Mapping[str, ast.FunctionDef], name: str) -> set[str]:
    """Return what a function calls, however far."""
    found: set[str] = set()
    pending = called(graph[name])
    while pending:
        found |= pending
        pending = {far for near in pending if near in graph for far in called(graph[near])} - found
    return found


def unbounded(operation: str, patches: Mapping[str, str] | None = None) -> list[str]:
    """Return why an operation might not end in bounded time; nothing when it does."""
    graph = functions(patches)
    own = home_of()[operation][1]
    parts = {own} | reached(graph, own)
    faults = [f"calls {name}, which is not of the core" for name in sorted(parts - graph.keys())]
    for name in sorted(parts & graph.keys()):
        loops = [type(node).__name__ for node in ast.walk(graph[name]) if isinstance(node, _LOOPS)]
        faults += [f"{name} has a {loop}" for loop in loops]
        if name in reached(graph, name):
            faults.append(f"{name} calls itself")
    return faults


def operations_with(function: str) -> list[str]:
    """Return the operations that a function of the core is part of, those that are it first."""
    graph = functions()
    found = [
        name for name, (_, own) in home_of().items() if function == own or function in reached(graph, own)
    ]
    return sorted(found, key=lambda name: home_of()[name][1] != function)
