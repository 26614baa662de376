"""Counterexamples: small concrete states, found by the solver and replayed on the functions that run.

Trust: reviewed.
Purpose: turn a path, or a theorem that fails on it, into a state with arguments, and run it.
Rules:
1. A state must keep every invariant, in all its rows; whoever doubts it can check it without a solver.
2. What the functions really did decides, not what the solver said they would do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final, SupportsIndex, TypeVar

import z3

from exclave.abi.refusal import OK, REFUSALS
from exclave.nucleus.core.state import State
from exclave.proofs import terms
from exclave.proofs.explorer import Path
from exclave.proofs.finite import SHAPE, Finite, literal_keys
from exclave.proofs.first import rows_of
from exclave.proofs.prove import INDICES, REFUSAL, TOTAL, Assumptions, OperationProof, symbolic_theorems
from exclave.proofs.source import Instance, home_of
from exclave.proofs.spec.step import Step
from exclave.proofs.spec.theorems import broken, broken_step
from exclave.proofs.state import SymState
from exclave.proofs.symbolic import SymNumber
from exclave.proofs.terms import INT, Key, Term, both, literal, negation
from exclave.proofs.universe import SIZES, TABLES, Universe

MOST: Final = 12
"""Numbers in a counterexample lie below this, to be readable."""

LARGE: Final = 260
"""Arguments of a path's example lie below this: above every limit that the core has."""

TIMEOUT_MS: Final = 30_000


Row = TypeVar("Row")


class Checked(list[Row]):
    """A list that has no negative indices: what Python would accept in silence is an error here."""

    def __getitem__(self, index: SupportsIndex) -> Row:  # type: ignore[override]
        if index.__index__() < 0:
            raise IndexError(f"negative index {index}")
        return super().__getitem__(index)


@dataclass
class Case:
    """A state, an operation on it, and what came of it."""

    operation: str
    arguments: dict[str, int]
    before: State
    after: State
    result: int | None = None
    raised: str = ""
    broken_before: list[str] = field(default_factory=list)
    violated: list[str] = field(default_factory=list)

    @property
    def genuine(self) -> bool:
        """Say whether a good state led to something that must not be."""
        return bool(self.violated) and not self.broken_before


def _key(numbers: tuple[int, ...]) -> Key:
    return tuple(literal(one, INT) for one in numbers)


class Ground:
    """A solver that knows every invariant in every row of a small state."""

    def __init__(self) -> None:
        universe = Universe()
        pre = SymState(universe)
        assumptions = Assumptions(universe, pre)
        self.finite = Finite()
        self.solver = z3.SolverFor("QF_FD")
        self.solver.set("timeout", TIMEOUT_MS)
        # For each row: that it is blank, or else, one by one, that its fields are.
        self._wishes: list[tuple[z3.BoolRef, list[z3.BoolRef]]] = []
        for table in TABLES:
            for numbers in literal_keys(table):
                self._row(universe, pre, assumptions, table, numbers)

    def _row(
        self,
        universe: Universe,
        pre: SymState,
        assumptions: Assumptions,
        table: str,
        numbers: tuple[int, ...],
    ) -> None:
        key = _key(numbers)
        facts, _ = assumptions.at(table, key)
        for one in facts:
            self._add(one)
        blank: list[z3.BoolRef] = []
        for name, sort in TABLES[table].fields.items():
            value = universe.base(pre.tag, table, name, key)
            if sort.sort == INT:
                self._add(
                    both([terms.at_most(literal(0, INT), value), terms.less(value, literal(MOST, INT))])
                )
            blank.append(self.finite.of(terms.same(value, sort.literal(0))))
        self._wishes.append((z3.And(*blank), blank))

    def _add(self, term: Term) -> None:
        self.solver.add(self.finite.of(term))

    def _grant(self, model: z3.ModelRef, wish: z3.BoolRef) -> tuple[z3.ModelRef, bool]:
        """Insist on a wish, if it can be met together with all that was granted."""
        if not z3.is_true(model.eval(wish, model_completion=True)):
            if self.solver.check(wish) != z3.sat:
                return model, False
            model = self.solver.model()
        self.solver.add(wish)
        return model, True

    def model(self, facts: list[Term], *, tidy: bool) -> z3.ModelRef | None:
        """Return a model of some facts, in which as many rows as possible are empty if it is to be tidy."""
        self.solver.push()
        try:
            self.solver.add(*map(self.finite.of, facts), *self.finite.side)
            if self.solver.check() != z3.sat:
                return None
            model = self.solver.model()
            if not tidy:
                return model
            for whole, fields in self._wishes:
                model, granted = self._grant(model, whole)
                if not granted:
                    for one in fields:
                        model, _ = self._grant(model, one)
            return model
        finally:
            self.solver.pop()


@cache
def ground() -> Ground:
    """Return the one solver for small states."""
    return Ground()


def forget() -> None:
    """Drop all terms, of which the small states keep only the solver's."""
    terms.forget()
    ground().finite.forget()


def number(model: z3.ModelRef, term: Term) -> int:
    """Return the value of a term in a model."""
    value = model.eval(ground().finite.of(term), model_completion=True)
    return int(value.as_signed_long() if term.sort == INT else value.as_long())


def number_of(model: z3.ModelRef, value: z3.BitVecRef) -> int:
    """Return the value of one of the solver's integers in a model."""
    return int(model.eval(value, model_completion=True).as_signed_long())


def decode(model: z3.ModelRef, tag: str = "") -> State:
    """Return the state of a model, in lists that refuse negative indices."""
    universe = Universe()

    known = {
        (number_of(model, a), number_of(model, b)): number_of(model, value)
        for (a, b), value in ground().finite.hashes.items()
    }

    def hashed(a: int, b: int) -> int:
        return known.get((a, b), 0)

    def build(table: str, dims: tuple[str, ...], numbers: tuple[int, ...]) -> object:
        if dims:
            return Checked(build(table, dims[1:], (*numbers, i)) for i in range(SHAPE[dims[0]]))
        kind = TABLES[table]
        key = _key(numbers)
        return kind.record(**{one: number(model, universe.base(tag, table, one, key)) for one in kind.fields})

    # Tables are filled by name, which no type can follow.
    filled: dict[str, Any] = {name: build(name, table.dims, ()) for name, table in TABLES.items()}
    filled |= {size: SHAPE[size] for size in SIZES}
    return State(h=hashed, **filled)


def clone(state: State) -> State:
    """Return an equal state that shares no record."""

    def copy(rows: object) -> object:
        return Checked(map(copy, rows)) if isinstance(rows, list) else replace(rows)  # type: ignore[type-var]

    fresh: dict[str, Any] = {name: copy(getattr(state, name)) for name in TABLES}
    return replace(state, **fresh)


def values_of(arguments: Mapping[str, SymNumber], model: z3.ModelRef) -> dict[str, int]:
    """Return the arguments of a model."""
    return {name: number(model, one.term) for name, one in arguments.items()}


def bounded(arguments: Mapping[str, SymNumber], most: int = MOST) -> list[Term]:
    """Say that integers among the arguments are small."""
    ints = [one.term for one in arguments.values() if one.sort == INT]
    low, high = literal(-2, INT), literal(most, INT)
    return [terms.less(low, one) for one in ints] + [terms.less(one, high) for one in ints]


def run(operation: str, state: State, arguments: dict[str, int], function: Callable[..., object]) -> Case:
    """Run an operation on a copy of a state and judge it by all theorems."""
    case = Case(operation, arguments, state, clone(state), broken_before=broken(state))
    try:
        result = function(case.after, *arguments.values())
    except (IndexError, KeyError, TypeError, AttributeError, ValueError) as failure:
        case.raised = f"{type(failure).__name__}: {failure}"
        case.violated = [INDICES if isinstance(failure, IndexError) else TOTAL]
        return case
    case.result = result if isinstance(result, int) else None
    if case.result != OK and case.result not in REFUSALS:
        case.violated.append(TOTAL)
    if case.result != OK and case.after != case.before:
        case.violated.append(REFUSAL)
    try:
        case.violated += broken(case.after)
        step = Step(case.before, case.after, arguments["d"], operation, arguments, case.result or 0)
        case.violated += broken_step(step)
    except IndexError:
        case.violated.append("a row names what does not exist")
    return case


def concrete(operation: str, patches: Mapping[str, str] | None = None) -> Callable[..., object]:
    """Return an operation as it runs in production, from a private instance."""
    module, name = home_of()[operation]
    return Instance(symbolic=False, patches=patches).function(module, name)


def path_model(proof: OperationProof, path: Path) -> z3.ModelRef | None:
    """Return a small state and arguments that take a path."""
    return ground().model([*path.condition, *bounded(proof.arguments, LARGE)], tidy=False)


def refute(
    proof: OperationProof, path: Path, theorem: str, patches: Mapping[str, str] | None = None
) -> Case | None:
    """Look for a small state from which a theorem fails on a path, and replay it; None when there is none."""
    literals = [literal(t, INT) for t in range(SHAPE["nslot"])]
    if theorem == INDICES:
        wrong = [both([one.before, negation(one.term)]) for one in path.obligations]
        facts = [terms.either(wrong)]
    elif theorem in (TOTAL, REFUSAL):
        facts = list(path.condition)
    else:
        one = next(one for one in symbolic_theorems() if one.name == theorem)
        key, bounds = proof.skolem(one)
        facts = [*path.condition, *bounds, negation(proof.goal(path, one, key, literals))]
    model = ground().model([*facts, *bounded(proof.arguments)], tidy=True)
    if model is None:
        model = ground().model([*facts, *bounded(proof.arguments, LARGE)], tidy=True)
    if model is None:
        return None
    return run(
        proof.operation,
        decode(model),
        values_of(proof.arguments, model),
        concrete(proof.operation, patches),
    )


def expected(path: Path, model: z3.ModelRef) -> dict[tuple[str, tuple[int, ...], str], int]:
    """Return every field after a path, as the explorer predicts it."""
    return {
        (table, numbers, one): number(model, path.post.read(table, _key(numbers), one))
        for table in TABLES
        for numbers in literal_keys(table)
        for one in TABLES[table].fields
    }


def found(state: State) -> dict[tuple[str, tuple[int, ...], str], int]:
    """Return every field of a concrete state."""
    return {
        (name, key, one): getattr(row, one)
        for name, key, row in rows_of(state)
        for one in TABLES[name].fields
    }
