"""The house rules that a program can judge, as functions from text to the faults found.

Each takes text and gives back a list, so that a test can show it a bad text and see the fault.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

MOST_LINES = 400
MOST_DOCSTRING_LINES = 12
SOURCE_SUFFIXES = frozenset({".py", ".sh", ""})
TEXT_SUFFIXES = SOURCE_SUFFIXES | {".md", ".toml", ".cfg", ".txt", ".pth", ".yml", ".yaml", ".json"}
SKIPPED_DIRECTORIES = frozenset(
    {".git", ".venv", ".cache", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
    | {"build", "dist", "var", "corpus"}
)
"""Generated, or (the corpus) wrong on purpose."""

TRUST = re.compile(r"^Trust: (proved|reviewed|outside|hostile)\b", re.MULTILINE)
# Spelt in pieces, or this file would be the first to be found. The home of `user` is nobody's: each
# monolith sees itself there.
MACHINE_PATH = re.compile(
    r"(?<![\w.~}*-])/(?:" + "root/|(?:work|farm)" + r"(?=/|\b(?![-\w])))|/(?:home|Users)/(?!user\b)[a-z]\w*"
)
UNFINISHED = re.compile(
    r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK")) + r")\b|@@\w+@@"
)
FRAGMENT = re.compile(r"[a-z0-9][a-z0-9-]{2,60}\.(?:feature|change|fix|security|removal|doc)\.md")
LOW_LEVEL_CALLEES = re.compile(
    r"_SYSCALL|_call|_prctl|ctypes\.(?:memmove|memset|string_at|wstring_at)|.*\.from_address"
)


def project_files(root: Path) -> Iterator[Path]:
    """Every text file of the project below root, but for SKIPPED_DIRECTORIES."""
    for path in sorted(root.iterdir()):
        if path.is_symlink() or path.name in SKIPPED_DIRECTORIES:
            continue
        if path.is_dir():
            yield from project_files(path)
        elif path.suffix in TEXT_SUFFIXES:
            yield path


def too_long(text: str) -> list[str]:
    """A file has at most MOST_LINES lines."""
    lines = text.count("\n")
    return [f"{lines} lines, more than {MOST_LINES}: split it by object"] if lines > MOST_LINES else []


def bad_header(text: str) -> list[str]:
    """A module says whom it is trusted by, briefly, and postpones its annotations."""
    if not text.strip():
        return []
    tree = ast.parse(text)
    docstring = ast.get_docstring(tree) or ""
    faults: list[str] = []
    if not TRUST.search(docstring):
        faults.append("the module docstring has no line `Trust: proved|reviewed|outside|hostile`")
    if docstring.count("\n") + 1 > MOST_DOCSTRING_LINES:
        faults.append(f"the module docstring is longer than {MOST_DOCSTRING_LINES} lines")
    has_code = any(not isinstance(node, ast.Expr) for node in tree.body)
    if has_code and "from __future__ import annotations" not in text:
        faults.append("no `from __future__ import annotations`")
    return faults


def unfit_words(text: str) -> list[str]:
    """No path of somebody's machine, and nothing left to be done."""
    faults: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, what in ((MACHINE_PATH, "a path of one machine"), (UNFINISHED, "unfinished work")):
            found = pattern.search(line)
            if found:
                faults.append(f"line {number}: {what}: {found.group()}")
    return faults


def unexplained_calls(text: str) -> list[str]:
    """Each raw call stands under a comment `# SAFETY:`, which nothing but that call's own lines follows.

    A raw call is one of the system call function, of its private wrappers, or of an address.
    """
    lines = text.splitlines()
    faults: list[str] = []
    for statement in _statements(ast.parse(text)):
        for node in _own_expressions(statement):
            if isinstance(node, ast.Call) and LOW_LEVEL_CALLEES.fullmatch(ast.unparse(node.func)):
                above = statement.lineno - 2
                while above >= 0 and lines[above].lstrip().startswith("#"):
                    if lines[above].lstrip().startswith("# SAFETY:"):
                        break
                    above -= 1
                else:
                    faults.append(f"line {node.lineno}: {ast.unparse(node.func)} without a SAFETY comment")
    return faults


def _statements(tree: ast.AST) -> Iterator[ast.stmt]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.stmt))


def _own_expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    """The expressions of a statement without those of the statements inside it."""
    pending = [child for child in ast.iter_child_nodes(statement) if not isinstance(child, ast.stmt)]
    while pending:
        node = pending.pop()
        yield node
        pending += [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.stmt)]


def weak_tests(text: str) -> list[str]:
    """A test neither sleeps, nor skips itself, nor asserts what cannot fail."""
    faults: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in {"sleep", "time.sleep"}:
                faults.append(f"line {node.lineno}: sleeps")
            if name in {"pytest.skip", "pytest.importorskip", "pytest.mark.skip", "pytest.mark.skipif"}:
                faults.append(f"line {node.lineno}: skips")
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Constant):
            faults.append(f"line {node.lineno}: asserts a constant")
    return faults


def bad_fragment(name: str, text: str) -> list[str]:
    """A changelog fragment is NAME.KIND.md with one short paragraph for users."""
    faults: list[str] = []
    if not FRAGMENT.fullmatch(name):
        faults.append("not named NAME.(feature|change|fix|security|removal|doc).md")
    if not text.strip() or text.startswith(("#", "-", "*")):
        faults.append("not a paragraph")
    if text.count("\n") > 8:
        faults.append("more than 8 lines")
    return faults
