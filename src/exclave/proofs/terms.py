"""Terms: formulas that cost little to build and compare, given to the solver when they are asked about.

Trust: reviewed.
Purpose: intern every term, so that equal ones are one object, and translate each to the solver once.
Rules:
1. Simplifications are identities of integers, sets of bits and truth values; nothing else is rewritten.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

import z3

Solved: TypeAlias = z3.ExprRef

INT: Final = "int"
BOOL: Final = "bool"
BITS: Final = "bits8"
WORD: Final = "bits64"
_WIDTHS: Final = {BITS: 8, WORD: 64}


class Term:
    """One term; equal terms are the same object."""

    __slots__ = ("args", "op", "solved", "sort", "value")

    op: str
    args: tuple[Term, ...]
    sort: str
    value: int | str
    solved: Solved | None

    def __repr__(self) -> str:
        if not self.args:
            return str(self.value)
        return f"{self.value or self.op}({', '.join(map(repr, self.args))})"


Key: TypeAlias = tuple[Term, ...]

_interned: dict[tuple[object, ...], Term] = {}


def _make(op: str, sort: str, args: Key = (), value: int | str = "") -> Term:
    place = (op, value, sort, *args)
    term = _interned.get(place)
    if term is None:
        term = Term()
        term.op = op
        term.args = args
        term.sort = sort
        term.value = value
        term.solved = None
        _interned[place] = term
    return term


TRUE: Final = _make("truth", BOOL, value=1)
FALSE: Final = _make("truth", BOOL, value=0)


def forget() -> None:
    """Drop all terms but the truth values; what still holds terms must be dropped as well."""
    _interned.clear()
    for term in (TRUE, FALSE):
        _interned["truth", term.value, BOOL] = term
    _functions.clear()


def literal(value: int, sort: str) -> Term:
    """Return a number."""
    return _make("literal", sort, value=value)


def constant(name: str, sort: str) -> Term:
    """Return an arbitrary value with a name."""
    return _make("apply", sort, value=name)


def apply(name: str, args: Key, sort: str) -> Term:
    """Return the value of an uninterpreted function."""
    return _make("apply", sort, args, name)


def negation(term: Term) -> Term:
    """Return the negation."""
    if term is TRUE:
        return FALSE
    if term is FALSE:
        return TRUE
    if term.op == "not":
        return term.args[0]
    if term.op == "<":
        return at_most(term.args[1], term.args[0])
    if term.op == "<=":
        return less(term.args[1], term.args[0])
    return _make("not", BOOL, (term,))


def both(terms: Iterable[Term]) -> Term:
    """Return the conjunction."""
    rest: dict[Term, None] = {}
    for term in terms:
        if term is FALSE or negation(term) in rest:
            return FALSE
        if term.op == "and":
            rest.update(dict.fromkeys(term.args))
        elif term is not TRUE:
            rest[term] = None
    if not rest:
        return TRUE
    return next(iter(rest)) if len(rest) == 1 else _make("and", BOOL, tuple(rest))


def either(terms: Iterable[Term]) -> Term:
    """Return the disjunction."""
    rest: dict[Term, None] = {}
    for term in terms:
        if term is TRUE or negation(term) in rest:
            return TRUE
        if term.op == "or":
            rest.update(dict.fromkeys(term.args))
        elif term is not FALSE:
            rest[term] = None
    if not rest:
        return FALSE
    return next(iter(rest)) if len(rest) == 1 else _make("or", BOOL, tuple(rest))


def choice(condition: Term, yes: Term, no: Term) -> Term:
    """Return if-then-else, as a connective where a side is a truth value."""
    if condition is TRUE or yes is no:
        return yes
    if condition is FALSE:
        return no
    if condition.op == "not":
        condition, yes, no = condition.args[0], no, yes
    if yes is TRUE:
        return either((condition, no))
    if yes is FALSE:
        return both((negation(condition), no))
    if no is TRUE:
        return either((negation(condition), yes))
    if no is FALSE:
        return both((condition, yes))
    return _make("if", yes.sort, (condition, yes, no))


def _known(term: Term) -> int | None:
    return term.value if term.op == "literal" and isinstance(term.value, int) else None


def _split(term: Term) -> tuple[Term | None, int]:
    """Take an integer apart into what is not known and a number."""
    value = _known(term)
    if value is not None:
        return None, value
    if term.op == "+":
        last = _known(term.args[1])
        if last is not None:
            return term.args[0], last
    return term, 0


def same(a: Term, b: Term) -> Term:
    """Return a = b."""
    if a is b:
        return TRUE
    if a.op == "literal" and b.op == "literal":
        return FALSE
    if a.sort == BOOL:
        if a is TRUE or b is TRUE:
            return b if a is TRUE else a
        if a is FALSE or b is FALSE:
            return negation(b if a is FALSE else a)
    if a.sort == INT:
        (x, m), (y, n) = _split(a), _split(b)
        if x is y:
            return TRUE if m == n else FALSE
    if a.op == "literal":
        a, b = b, a
    # The other way round it may have been asked before.
    mirrored = _interned.get(("=", "", BOOL, b, a))
    return mirrored if mirrored is not None else _make("=", BOOL, (a, b))


def less(a: Term, b: Term) -> Term:
    """Return a < b."""
    (x, m), (y, n) = _split(a), _split(b)
    if x is y:
        return TRUE if m < n else FALSE
    return _make("<", BOOL, (a, b))


def at_most(a: Term, b: Term) -> Term:
    """Return a <= b."""
    (x, m), (y, n) = _split(a), _split(b)
    if x is y:
        return TRUE if m <= n else FALSE
    return _make("<=", BOOL, (a, b))


def plus(a: Term, b: Term) -> Term:
    """Return a + b."""
    (x, m), (y, n) = _split(a), _split(b)
    if x is None or y is None:
        rest = y if x is None else x
        number = literal(m + n, INT)
        if rest is None:
            return number
        return rest if m + n == 0 else _make("+", INT, (rest, number))
    return _make("+", INT, (a, b))


def minus(a: Term, b: Term) -> Term:
    """Return a - b."""
    value = _known(b)
    if value is not None:
        return plus(a, literal(-value, INT))
    return _make("-", INT, (a, b))


def bits(op: str, a: Term, b: Term) -> Term:
    """Return a & b or a | b."""
    m, n = _known(a), _known(b)
    if m is not None and n is not None:
        return literal(m & n if op == "&" else m | n, a.sort)
    return a if a is b else _make(op, a.sort, (a, b))


_functions: dict[tuple[str, int, str], z3.FuncDeclRef] = {}


def solver_sort(sort: str) -> z3.SortRef:
    """Return the solver's name of a sort."""
    if sort == INT:
        return z3.IntSort()
    return z3.BoolSort() if sort == BOOL else z3.BitVecSort(_WIDTHS[sort])


def solved(term: Term) -> Solved:
    """Return the term as the solver's."""
    if term.solved is None:
        term.solved = _translate(term)
    return term.solved


def _translate(term: Term) -> Solved:
    args = [solved(one) for one in term.args]
    match term.op:
        case "truth":
            return z3.BoolVal(bool(term.value))
        case "literal":
            return z3.IntVal(term.value) if term.sort == INT else z3.BitVecVal(term.value, _WIDTHS[term.sort])
        case "apply":
            return _apply(str(term.value), args, term.sort)
        case "not":
            return z3.Not(args[0])
        case "and":
            return z3.And(*args)
        case "or":
            return z3.Or(*args)
        case "if":
            return z3.If(*args)
        case "=":
            return args[0] == args[1]
        case "<":
            return args[0] < args[1]
        case "<=":
            return args[0] <= args[1]
        case "+":
            return args[0] + args[1]
        case "-":
            return args[0] - args[1]
        case "&":
            return args[0] & args[1]
        case "|":
            return args[0] | args[1]
    raise ValueError(f"no translation of {term.op}")


def _apply(name: str, args: list[Solved], sort: str) -> Solved:
    if not args:
        return z3.Const(name, solver_sort(sort))
    place = (name, len(args), sort)
    if place not in _functions:
        _functions[place] = z3.Function(name, *[z3.IntSort()] * len(args), solver_sort(sort))
    return _functions[place](*args)
