"""The proved files of the core stay inside the subset of Python that can be executed symbolically.

The subset is an allow-list of syntax. Also judged: the sorts of operands (integers `+ -`, sets and
words `& |`), no recursion across files, and no refusal after something was written.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parents[2] / "src/exclave/nucleus/core"
PROVED = sorted(
    path for path in CORE.glob("*.py") if path.name not in {"__init__.py", "state.py", "operations.py"}
)
RECORDS = (CORE / "state.py").read_text()

SYNTAX = """
FunctionDef arguments arg Return If Assign Expr Call Load Store Name Attribute Subscript Constant
Compare Eq NotEq Lt LtE Gt GtE BoolOp And Or UnaryOp Not BinOp Add Sub BitAnd BitOr
"""
ALLOWED = frozenset(SYNTAX.split())
VOCABULARY = {"exclave.abi.types", "exclave.abi.rights", "exclave.abi.refusal"}
SORTS = {"int", "Bits", "Word"}


def functions(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def field_sorts() -> dict[str, str]:
    """The sort of every record field; a name has the same sort in every record."""
    sorts: dict[str, str] = {}
    for record in ast.walk(ast.parse(RECORDS)):
        if isinstance(record, ast.ClassDef):
            for node in record.body:
                if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                    sort = ast.unparse(node.annotation)
                    assert sorts.setdefault(node.target.id, sort) == sort, node.target.id
    return sorts


FIELDS = field_sorts()


def bad_top_level(tree: ast.Module) -> Iterator[str]:
    """Besides functions a proved file has imports of the core and its vocabulary, and Final integers."""
    for node in tree.body[1:]:
        match node:
            case ast.FunctionDef():
                pass
            case ast.ImportFrom(module=str(module)):
                known = module in {"__future__", "typing"} | VOCABULARY or module.startswith(
                    "exclave.nucleus.core."
                )
                if not known or module.endswith((".operations", ".core")):
                    yield f"line {node.lineno}: imports {module}"
            case ast.AnnAssign(annotation=ast.Name(id="Final"), value=ast.Constant(value=int())):
                pass
            case _:
                yield f"line {node.lineno}: {type(node).__name__} at the top"


def bad_syntax(function: ast.FunctionDef) -> Iterator[str]:
    """Only the allowed nodes; nothing assigned but names and fields of rows; strings only as docstrings."""
    for node in ast.walk(function):
        where = f"line {getattr(node, 'lineno', function.lineno)}"
        if type(node).__name__ not in ALLOWED:
            yield f"{where}: {type(node).__name__}"
        match node:
            case ast.FunctionDef() if node is not function or node.decorator_list:
                yield f"{where}: nested or decorated function"
            case ast.arguments() if (
                node.posonlyargs or node.kwonlyargs or node.vararg or node.kwarg or node.defaults
            ):
                yield f"{where}: parameters that are not plain"
            case ast.Assign(targets=targets) if len(targets) != 1 or isinstance(targets[0], ast.Subscript):
                yield f"{where}: assigns a row or several targets"
            case ast.Expr(value=value) if not isinstance(value, ast.Call) and node is not function.body[0]:
                yield f"{where}: expression without effect"
            case ast.Constant(value=value) if not isinstance(value, int) and node is not function.returns:
                if not isinstance(function.body[0], ast.Expr) or node is not function.body[0].value:
                    yield f"{where}: constant {value!r}"


def callee(node: ast.Call) -> str:
    return (
        "s.h" if ast.unparse(node.func) == "s.h" else node.func.id if isinstance(node.func, ast.Name) else ""
    )


def bad_calls(graph: dict[str, ast.FunctionDef]) -> Iterator[str]:
    """Only functions of the core and the injected hash are called, and none calls itself, however far."""
    calls = {
        name: {callee(node) for node in ast.walk(function) if isinstance(node, ast.Call)} - {"s.h"}
        for name, function in graph.items()
    }
    for name, called in calls.items():
        yield from (f"{name} calls {other or 'an expression'}" for other in sorted(called - graph.keys()))
        reached, pending = set[str](), set(called)
        while pending:
            reached |= pending
            pending = {far for near in pending for far in calls.get(near, set())} - reached
        if name in reached:
            yield f"{name} is recursive"


class Sorts:
    """Sorts of expressions: int, Bits, Word, literal, truth, or other."""

    def __init__(self, function: ast.FunctionDef, results: dict[str, str]) -> None:
        self.results = results
        self.faults: list[str] = []
        self.names = {
            one.arg: ast.unparse(one.annotation) for one in function.args.args if one.annotation is not None
        }
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self.names[node.targets[0].id] = self.sort(node.value)
        self.faults.clear()
        for node in ast.walk(function):
            if isinstance(node, ast.expr):
                self.sort(node)
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
                self.same(node.value, node.targets[0])
        self.faults = sorted(set(self.faults))

    def same(self, *operands: ast.expr) -> str:
        sorts = {self.sort(one) for one in operands} - {"literal"}
        if len(sorts) > 1:
            self.faults.append(f"line {operands[0].lineno}: mixes {', '.join(sorted(sorts))}")
        return sorts.pop() if sorts else "literal"

    def sort(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=bool()):
                return "truth"
            case ast.Constant(value=int()):
                return "literal"
            case ast.Name(id=name):
                return "literal" if name.isupper() else self.names.get(name, "other")
            case ast.Attribute(attr=attr):
                return FIELDS[attr] if FIELDS.get(attr) in SORTS else "other"
            case ast.BinOp(op=op):
                sort = self.same(node.left, node.right)
                if (sort == "int") is isinstance(op, ast.BitAnd | ast.BitOr) and sort != "literal":
                    self.faults.append(f"line {node.lineno}: {type(op).__name__} on {sort}")
                return sort
            case ast.Compare(ops=ops):
                sort = self.same(node.left, *node.comparators)
                if sort not in {"int", "literal"} and not all(
                    isinstance(op, ast.Eq | ast.NotEq) for op in ops
                ):
                    self.faults.append(f"line {node.lineno}: order of {sort}")
                if sort in {"other", "truth"}:
                    self.faults.append(f"line {node.lineno}: compares what is no number")
                return "truth"
            case ast.Call():
                return self.results.get(callee(node), "other")
        return "other"


def bad_commit(function: ast.FunctionDef, writers: set[str]) -> list[str]:
    """After the first write an operation returns nothing but OK."""
    faults: list[str] = []

    def scan(body: list[ast.stmt], written: bool) -> bool:
        for node in body:
            if isinstance(node, ast.If):
                branches = [
                    scan(part, written) and not isinstance(part[-1], ast.Return) for part in (node.body,)
                ]
                branches += [scan(node.orelse, written)] if node.orelse else []
                written = written or any(branches)
            elif (
                isinstance(node, ast.Return) and written and ast.unparse(node) not in {"return OK", "return"}
            ):
                faults.append(f"line {node.lineno}: {ast.unparse(node)} after a write")
            elif isinstance(node, ast.Assign):
                written = written or isinstance(node.targets[0], ast.Attribute)
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                written = written or callee(node.value) in writers
        return written

    scan(function.body, False)
    return faults


def judge(*sources: str) -> list[str]:
    """Everything that takes these files, together, out of the subset."""
    trees = [ast.parse(source) for source in sources]
    graph: dict[str, ast.FunctionDef] = {}
    for tree in trees:
        graph |= functions(tree)
    results = {name: ast.unparse(one.returns) for name, one in graph.items() if one.returns} | {"s.h": "int"}
    results = {name: "truth" if sort == "bool" else sort for name, sort in results.items()}
    writers = {name for name, sort in results.items() if sort == "None"}
    faults = [fault for tree in trees for fault in bad_top_level(tree)]
    for function in graph.values():
        faults += bad_syntax(function)
        faults += Sorts(function, results).faults
        if function.name not in writers:
            faults += bad_commit(function, writers)
    return [*faults, *bad_calls(graph)]


def test_core_stays_in_the_provable_subset() -> None:
    assert len(PROVED) >= 11
    assert judge(*(path.read_text() for path in PROVED)) == []


def test_names_of_functions_are_unique_in_the_core() -> None:
    names = [name for path in PROVED for name in functions(ast.parse(path.read_text()))]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("for i in s.doms: return 0", "For"),
        ("while d: return 0", "While"),
        ("return [d]", "List"),
        ("return d in (1, 2)", "In"),
        ("return d is None", "Is"),
        ("return f(s, d)", "recursive"),
        ("return print(d)", "calls print"),
        ("return s.doms[d].clear()", "calls an expression"),
        ("d += 1", "AugAssign"),
        ("s.doms[0] = s.doms[d]", "assigns a row"),
        ("a = b = d", "several targets"),
        ("return d * 2", "Mult"),
        ("return -d", "USub"),
        ("return ~d", "Invert"),
        ("return d & 1", "BitAnd on int"),
        ("return s.caps[d][0].rights + 1", "Add on Bits"),
        ("return s.caps[d][0].rights < 3", "order of Bits"),
        ("return s.caps[d][0].badge == s.caps[d][0].rights", "mixes Bits, Word"),
        ("s.caps[d][0].badge = d", "mixes Word, int"),
        ("return (d == 1) == (d == 2)", "compares what is no number"),
        ("try: return 0\n    finally: return 1", "Try"),
        ("return 'x'", "constant 'x'"),
        ("return None", "constant None"),
        ("d\n    return 0", "without effect"),
        ("def g(): return 0", "nested"),
        ("return 1 if d == 0 else 2", "IfExp"),
        ("assert d == 0", "Assert"),
        ("s.doms[d].state = 1\n    return ILLEGAL_OPERATION", "after a write"),
        ("if d == 0:\n        s.doms[d].state = 1\n    return ILLEGAL_OPERATION", "after a write"),
    ],
)
def test_judge_finds(body: str, fault: str) -> None:
    source = f'"""Docstring."""\ndef f(s: State, d: int) -> int:\n    """Sentence."""\n    {body}\n'
    assert any(fault in found for found in judge(source)), judge(source)


def test_judge_finds_recursion_across_files() -> None:
    one = '"""One."""\ndef f(s: State) -> int:\n    return g(s)\n'
    two = '"""Two."""\ndef g(s: State) -> int:\n    return f(s)\n'
    assert judge(one, two) == ["f is recursive", "g is recursive"]


@pytest.mark.parametrize(
    "line",
    ["import os", "from os import path", "from exclave.nucleus.core.operations import OPS", "TABLE = {}"],
)
def test_judge_finds_what_is_not_for_the_top(line: str) -> None:
    assert judge(f'"""Docstring."""\n{line}\n') != []


def test_judge_accepts_a_write_in_a_branch_that_ends_with_ok() -> None:
    body = "if d == 0:\n        s.doms[d].state = 1\n        return OK\n    return ILLEGAL_OPERATION"
    assert judge(f'"""Docstring."""\ndef f(s: State, d: int) -> int:\n    {body}\n') == []
