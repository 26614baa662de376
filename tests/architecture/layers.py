"""The import rules of the tree as data, and the checker that applies them to any tree.

A layer is the longest row of LAYERS that a module lies in; it may import itself and the layers
of its row. Everything is read from the syntax tree: nothing is imported, so a module that
breaks a rule inside a function or under TYPE_CHECKING is found as well.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

VOCABULARY = frozenset({"exclave.abi.types", "exclave.abi.rights", "exclave.abi.refusal"})
"""The part of abi that core may know: it has no input, no output and no third-party import."""

ABI = VOCABULARY | {"exclave.abi"}
BELOW_SHELL = ABI | {"exclave.linux", "exclave.nucleus.core", "exclave.system"}

PUBLIC = frozenset({"exclave", "exclave.aio", "exclave.keys"})
"""The modules that users import: they only name again what lies in the runtime."""

LAYERS: dict[str, frozenset[str]] = {
    **dict.fromkeys(VOCABULARY, VOCABULARY),
    **dict.fromkeys(PUBLIC, PUBLIC | ABI | {"exclave.runtime"}),
    "exclave.abi": ABI,
    "exclave.linux": ABI,
    "exclave.nucleus": frozenset(),
    "exclave.nucleus.core": VOCABULARY,
    "exclave.nucleus.shell": BELOW_SHELL,
    "exclave.proofs": VOCABULARY
    | {"exclave", "exclave.nucleus.core", "exclave.linux", "exclave.nucleus.shell"},
    "exclave.runtime": ABI | {"exclave.linux"},
    "exclave.system": ABI,
    "exclave.monolith": ABI | {"exclave.linux", "exclave.system", "exclave.nucleus.shell"},
    "exclave.monolith.init": ABI | {"exclave.linux"},
    "exclave.attacks": BELOW_SHELL
    | PUBLIC
    | {"exclave.nucleus.shell", "exclave.runtime", "exclave.monolith", "exclave.monolith.init"},
    "exclave.cli": ABI
    | PUBLIC
    | {"exclave.linux", "exclave.system", "exclave.nucleus.shell", "exclave.runtime"}
    | {"exclave.monolith", "exclave.monolith.init", "exclave.attacks", "exclave.proofs"},
    "examples": PUBLIC,
}

PURE_LAYERS = VOCABULARY | {"exclave.nucleus.core"}
PURE_STDLIB = frozenset({"__future__", "collections.abc", "dataclasses", "enum", "types", "typing"})
"""All that the proved part may import from the standard library."""

THIRD_PARTY: dict[str, frozenset[str]] = {
    "msgspec": frozenset(
        {
            "exclave.abi",
            "exclave.runtime",
            "exclave.system",
            "exclave.nucleus.shell",
            "exclave.monolith",
            "exclave.cli",
        }
    ),
    "nacl": frozenset({"exclave.runtime"}),
    "click": frozenset({"exclave.cli"}),
    "rich": frozenset({"exclave.cli"}),
    "z3": frozenset({"exclave.proofs"}),
    "cvc5": frozenset({"exclave.proofs"}),
}
"""Who may import each dependency; docs/adr/0006-dependencies.md says why it is one."""

CTYPES_HOME = "exclave.linux.calls"
UNSAFE_MODULES = frozenset(
    {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "multiprocessing", "code"}
)
"""Modules that run or rebuild code from data (multiprocessing pickles what it sends)."""

UNSAFE_NAMES = frozenset({"eval", "exec", "__import__"})
UNTRUSTED = frozenset({"exclave.attacks", "examples"})
"""Layers whose code nothing relies on: attackers, and programs that a user might have written."""

LOADERS = frozenset({"exclave", "exclave.runtime", "exclave.cli", "exclave.attacks", "exclave.proofs"})
"""Layers that import by a name made at run time: a domain's component, a command, a copy of the core."""


HOSTILE_EXAMPLES = frozenset({"dependency", "heist"})
"""Directories of an example that hold an attacker: judged as the attacks are."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: where, and which."""

    module: str
    line: int
    rule: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line}: {self.rule}"


def modules_of(root: Path) -> dict[str, Path]:
    """Every module below root, by its dotted name."""
    found: dict[str, Path] = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def layer_of(module: str) -> str | None:
    """The longest row of LAYERS that module lies in; a bare `exclave` is only the package itself."""
    if module.startswith("examples.") and not HOSTILE_EXAMPLES.isdisjoint(module.split(".")):
        return "exclave.attacks"
    name = module
    while name:
        if name in LAYERS and (name != "exclave" or module == "exclave"):
            return name
        name = name.rpartition(".")[0]
    return None


def imports_of(
    tree: ast.Module, module: str, *, is_package: bool, known: frozenset[str]
) -> Iterator[tuple[int, str]]:
    """Each imported module as (line, dotted name), relative imports resolved.

    `from a import b` is an import of a.b when that is a module (in known), else of a.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".") if is_package else module.split(".")[:-1]
                base = ".".join([*package[: len(package) - node.level + 1], *([base] if base else [])])
            for alias in node.names:
                if alias.name == "*":
                    yield node.lineno, f"{base}.*"
                deeper = f"{base}.{alias.name}"
                is_module = deeper in known or deeper in PURE_STDLIB or deeper in LAYERS
                yield node.lineno, deeper if is_module else base


def check_tree(root: Path) -> list[Violation]:
    """Every violation in the modules below root, the directory that holds `exclave` (or `examples`)."""
    modules = modules_of(root)
    known = frozenset(modules)
    violations: list[Violation] = []
    for module, path in modules.items():
        tree = ast.parse(path.read_text(), str(path))
        layer = layer_of(module)
        if layer is None:
            violations.append(Violation(module, 1, "lies in no layer"))
            continue
        neighbours = _neighbours(module, known) if layer == "examples" else frozenset()
        for line, target in imports_of(tree, module, is_package=path.stem == "__init__", known=known):
            if target.partition(".")[0] in neighbours:
                continue
            rule = _judge(module, layer, target)
            if rule:
                violations.append(Violation(module, line, rule))
        if layer not in UNTRUSTED:
            violations += [
                Violation(module, node.lineno, f"uses {node.id}")
                for node in ast.walk(tree)
                if isinstance(node, ast.Name) and node.id in UNSAFE_NAMES
            ]
    return violations


def _neighbours(module: str, known: frozenset[str]) -> frozenset[str]:
    """The names an example's module may import because they lie in the same example."""
    example = ".".join(module.split(".")[:2]) + "."
    inside = (name.removeprefix(example).split(".") for name in known if name.startswith(example))
    return frozenset(part for parts in inside for part in parts)


def _judge(module: str, layer: str, target: str) -> str | None:
    """The rule that an import of target by module breaks, or None."""
    top = target.partition(".")[0]
    if target.endswith(".*"):
        return f"imports everything from {target[:-2]}"
    if top == "exclave":
        reached = layer_of(target)
        if reached is None:
            return f"imports {target}, which lies in no layer"
        if reached != layer and reached not in LAYERS[layer]:
            return f"{layer} must not import {reached} ({target})"
        return None
    if layer in PURE_LAYERS and target not in PURE_STDLIB:
        return f"{layer} is pure and must not import {target}"
    if layer == "exclave.attacks" or (
        layer == "examples" and top in sys.stdlib_module_names | THIRD_PARTY.keys()
    ):
        return None
    if top in UNSAFE_MODULES:
        return f"imports {target}: never code or objects from data"
    if top in {"ctypes", "_ctypes", "cffi", "_cffi_backend"} and module != CTYPES_HOME:
        return f"imports {target}: raw calls live in {CTYPES_HOME} alone"
    if top == "importlib" and not target.startswith(("importlib.metadata", "importlib.resources")):
        return None if layer in LOADERS else f"{layer} must not import {target}"
    if top in sys.stdlib_module_names or layer in THIRD_PARTY.get(top, frozenset()):
        return None
    return f"{layer} must not import {target}"
