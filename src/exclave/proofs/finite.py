"""Terms over small tables, as bits: what finds counterexamples fast.

Trust: outside.
Purpose: translate terms for tables of fixed sizes, in which every read is a choice among all rows.
Rules:
1. Integers have 10 bits here; a model is replayed, so nothing rests on this translation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Final

import z3

from exclave.proofs.terms import BITS, BOOL, INT, Solved, Term
from exclave.proofs.universe import TABLES

SHAPE: Final[Mapping[str, int]] = {"ndom": 3, "nslot": 3, "nobj": 3, "nv": 2, "nrmap": 2}
WIDTH: Final = 10
_WORD_WIDTH: Final = 8


def literal_keys(table: str) -> Iterator[tuple[int, ...]]:
    """Yield every key of a table of the small shape."""
    return product(*(range(SHAPE[size]) for size in TABLES[table].dims))


class Finite:
    """A translation; equal terms are translated once."""

    def __init__(self) -> None:
        self._known: dict[Term, Solved] = {}
        self.hashes: dict[tuple[Solved, Solved], Solved] = {}
        self.side: list[z3.BoolRef] = []

    def forget(self) -> None:
        """Drop what was translated; the names stay the same."""
        self._known.clear()

    def of(self, term: Term) -> Solved:
        """Return the term over bits."""
        known = self._known.get(term)
        if known is None:
            known = self._known[term] = self._translate(term)
        return known

    def _translate(self, term: Term) -> Solved:
        if term.op == "apply":
            return self._apply(term)
        if term.op == "literal":
            return z3.BitVecVal(int(term.value), _width(term.sort))
        if term.op == "truth":
            return z3.BoolVal(bool(term.value))
        args = [self.of(one) for one in term.args]
        match term.op:
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

    def _apply(self, term: Term) -> Solved:
        name, width = str(term.value), _width(term.sort)
        if name in SHAPE:
            return z3.BitVecVal(SHAPE[name], width)
        if not term.args:
            return z3.BitVec(name, width)
        if name == "h":
            return self._hash(self.of(term.args[0]), self.of(term.args[1]))
        table = next(one for one in TABLES if name.rpartition(".")[0].endswith(one))
        return self._select(name, width, TABLES[table].dims, term.args, ())

    def _select(
        self, name: str, width: int, dims: tuple[str, ...], keys: tuple[Term, ...], numbers: tuple[int, ...]
    ) -> Solved:
        if not dims:
            return z3.BitVec(f"{name}{list(numbers)}", width)
        key = keys[0]
        if key.op == "literal":
            index = int(key.value)
            return self._select(name, width, dims[1:], keys[1:], (*numbers, index))
        chosen = self.of(key)
        value = self._select(name, width, dims[1:], keys[1:], (*numbers, 0))
        for index in range(1, SHAPE[dims[0]]):
            row = self._select(name, width, dims[1:], keys[1:], (*numbers, index))
            value = z3.If(chosen == z3.BitVecVal(index, WIDTH), row, value)
        return value

    def _hash(self, a: Solved, b: Solved) -> Solved:
        for (x, y), value in self.hashes.items():
            if x.eq(a) and y.eq(b):
                return value
        fresh = z3.BitVec(f"h{len(self.hashes)}", WIDTH)
        self.side.extend(
            z3.Implies(z3.And(x == a, y == b), value == fresh) for (x, y), value in self.hashes.items()
        )
        self.hashes[a, b] = fresh
        return fresh


def _width(sort: str) -> int:
    if sort == INT:
        return WIDTH
    if sort == BOOL:
        raise ValueError("an uninterpreted truth value")
    return 8 if sort == BITS else _WORD_WIDTH
