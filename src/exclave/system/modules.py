"""Trust: reviewed. Looks at a component's source without running it: file, classes, protected methods.

Rules:
1. Nothing of a component is imported or executed; the text is parsed with ast, at most FILE_LIMIT of it.
2. What cannot be seen statically (a base class's methods, a computed class) is left out, never guessed.
"""

from __future__ import annotations

import ast
import os

import msgspec

from exclave.system.model import Component, Description

FILE_LIMIT = 1 << 20
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120


class Module(msgspec.Struct, frozen=True, kw_only=True):
    """What the text of a module shows: its top-level names, and each class's protected methods.

    `complete` is false when more names may exist than are seen (a star import).
    """

    file: str
    names: frozenset[str]
    methods: dict[str, tuple[str, ...]]
    complete: bool


class UnreadableModule(Exception):
    """A module's file that is not Python text; `line` is 0 when the file as a whole is unreadable."""

    def __init__(self, file: str, line: int, reason: str) -> None:
        super().__init__(reason)
        self.file = file
        self.line = line
        self.reason = reason


def candidates(description: Description, component: Component) -> tuple[str, str]:
    """Return the two files a component's module may be: a module, or a package."""
    parts = component.module.split(".")
    root = description.directory
    if parts[0] == "exclave":
        root, parts = _PACKAGE, parts[1:]
    stem = "/".join([root.rstrip("/"), *parts])
    return f"{stem}.py", f"{stem}/__init__.py"


def find(description: Description, component: Component) -> str | None:
    """Return the file of a component's module, or None."""
    return next((file for file in candidates(description, component) if os.path.isfile(file)), None)  # noqa: PTH113


def look(file: str) -> Module:
    """Parse a module's file.

    Raises:
        UnreadableModule: it cannot be read, or is not Python (the component's fault).
    """
    try:
        with open(file, "rb") as stream:
            text = stream.read(FILE_LIMIT + 1)
    except OSError as error:
        raise UnreadableModule(file, 0, error.strerror or "cannot be read") from None
    if len(text) > FILE_LIMIT:
        raise UnreadableModule(file, 0, "is larger than 1 MiB")
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise UnreadableModule(file, error.lineno or 0, error.msg) from None
    except (ValueError, RecursionError, MemoryError):
        raise UnreadableModule(file, 0, "is not Python text") from None
    names: set[str] = set()
    methods: dict[str, tuple[str, ...]] = {}
    complete = True
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            complete = complete and all(alias.name != "*" for alias in node.names)
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.ClassDef):
            names.add(node.name)
            methods[node.name] = _protected(node)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return Module(file=file, names=frozenset(names), methods=methods, complete=complete)


def protected_methods(description: Description, component: Component) -> tuple[str, ...]:
    """Return the protected methods that a component's source shows; empty when it cannot be read."""
    file = find(description, component)
    if file is None:
        return ()
    try:
        return look(file).methods.get(component.attribute, ())
    except UnreadableModule:
        return ()


def _protected(node: ast.ClassDef) -> tuple[str, ...]:
    found = []
    for item in node.body:
        if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)) and any(
            map(_is_protected, item.decorator_list)
        ):
            found.append(item.name)
    return tuple(found)


def _is_protected(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    if isinstance(target, ast.Attribute):
        return target.attr == "protected"
    return isinstance(target, ast.Name) and target.id == "protected"
