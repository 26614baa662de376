"""The prover: for every operation, path and theorem one small query without quantifiers.

Trust: reviewed.
Purpose: explore an operation from all states, and prove each theorem on each of its paths.
Rules:
1. The invariants are assumed of exactly the rows that the path and the theorem look at, and of the rows that
   those invariants look at, in more rounds where one does not suffice.
2. Only `unsat` proves. `unknown` and an exception are failures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import z3

from exclave.abi.refusal import OK, REFUSALS
from exclave.proofs import terms
from exclave.proofs.bounded import unbounded
from exclave.proofs.explorer import Obligation, Path, arguments_of, explore, formula, merge
from exclave.proofs.source import SPECIFICATION, Instance, home_of
from exclave.proofs.spec.theorems import INVARIANT, Theorem
from exclave.proofs.state import SymState
from exclave.proofs.symbolic import SymBool, SymInt, SymNumber, truth
from exclave.proofs.terms import INT, TRUE, Key, Term, both, either, negation, solved
from exclave.proofs.universe import TABLES, Touched, Universe, keep_apart

ROUNDS = (1, 2, 3)
TIMEOUT_MS = 20_000

PROVED, FAILED, UNKNOWN = "proved", "failed", "unknown"

SAFETY = "safety"
INDICES = "indices_in_range"
TOTAL = "never_raises"
REFUSAL = "refusal_changes_nothing"
BOUNDED = "bounded_time"
SAFETY_SENTENCES: Mapping[str, str] = {
    INDICES: "Every index lies in its table, and none is negative, on every path.",
    TOTAL: "No path ends with an exception, and every path returns OK or a refusal.",
    REFUSAL: "A path that returns a refusal has written nothing.",
    BOUNDED: "Nothing loops or calls itself, so a run is as long as one of the paths that were counted.",
}


@cache
def symbolic_theorems() -> tuple[Theorem, ...]:
    """Return the theorems of a private instance, whose words are merged to terms."""
    module = Instance(symbolic=True, extra=(SPECIFICATION,)).module(f"{SPECIFICATION}.theorems")
    found: tuple[Theorem, ...] = module.THEOREMS
    return found


def theorem_names() -> dict[str, tuple[str, str]]:
    """Return group and sentence of everything that is proved, by name."""
    from exclave.proofs.spec.theorems import THEOREMS

    found = {name: (SAFETY, sentence) for name, sentence in SAFETY_SENTENCES.items()}
    return found | {one.name: (one.group, one.sentence) for one in THEOREMS}


class SymbolicStep:
    """A step whose states and arguments are symbolic: what `Step` is to the theorems."""

    def __init__(
        self,
        pre: SymState,
        path: Path,
        operation: str,
        slots: Sequence[Term],
        arguments: Mapping[str, SymNumber],
    ) -> None:
        self.before = pre
        self.after = path.post
        self.caller = arguments["d"]
        self.operation = operation
        self.arguments = arguments
        self.result = path.result
        self.accepted = path.result == OK
        self._slots = slots

    def is_(self, *operations: str) -> bool:
        """Say whether the operation is one of those."""
        return self.operation in operations

    def some_slot(self, test: Callable[[SymInt], object]) -> SymBool:
        """Say whether a slot that the operation looked at passes: enough to prove, never too much."""
        universe = self.before.universe
        return SymBool(
            either([both([*universe.within(t, "nslot"), truth(merge(test, SymInt(t)))]) for t in self._slots])
        )


@dataclass
class Failure:
    """A theorem that was not proved on a path, and why."""

    theorem: str
    group: str
    path: Path
    result: str


@dataclass
class OperationReport:
    """What was proved of one operation."""

    operation: str
    paths: int = 0
    queries: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def note(self, theorem: str, result: str, seconds: float) -> None:
        """Add a result; the worst of all paths counts."""
        self.seconds[theorem] = self.seconds.get(theorem, 0.0) + seconds
        before = self.results.get(theorem, PROVED)
        self.results[theorem] = result if before == PROVED else before


class Assumptions:
    """The invariants of one state, at rows that somebody looked at."""

    def __init__(self, universe: Universe, pre: SymState) -> None:
        self.universe = universe
        self.pre = pre
        self._known: dict[tuple[str, Key], tuple[list[Term], Touched]] = {}
        self._by_table: dict[str, list[Theorem]] = {name: [] for name in TABLES}
        for one in symbolic_theorems():
            if one.group == INVARIANT:
                self._by_table[one.tables[0]].append(one)

    def at(self, table: str, key: Key) -> tuple[list[Term], Touched]:
        """Return all invariants at one row, and the rows that they look at."""
        place = (table, key)
        if place not in self._known:
            bounds = both(self.universe.bounds(table, key))
            with self.universe.touching() as touched:
                found = [
                    either([negation(bounds), formula(one.predicate, self.pre, *map(SymInt, key))])
                    for one in self._by_table[table]
                ]
            self._known[place] = ([one for one in found if one is not TRUE], touched)
        return self._known[place]

    def around(self, touched: Touched, rounds: int) -> list[Term]:
        """Return the invariants at rows, and at the rows that those invariants look at, so many times."""
        seen: set[tuple[str, Key]] = set()
        found: dict[Term, None] = {}
        frontier = keep_apart(touched)
        frontier["boot"][()] = None
        for _ in range(rounds):
            further = keep_apart()
            for table, keys in frontier.items():
                for key in keys:
                    if (table, key) in seen:
                        continue
                    seen.add((table, key))
                    facts, more = self.at(table, key)
                    found.update(dict.fromkeys(facts))
                    for other, others in more.items():
                        further[other].update(others)
            frontier = further
        return list(found)


class OperationProof:
    """Everything about one operation.

    Args:
        operation: a name in OPS.
        patches: other text for modules of the core.
        rounds: how far around a row the invariants are assumed, tried in this order.
        timeout: milliseconds for each query.
        confirm: asked about each solver that answered `unsat`.
    """

    def __init__(
        self,
        operation: str,
        patches: Mapping[str, str] | None = None,
        *,
        rounds: tuple[int, ...] = ROUNDS,
        timeout: int = TIMEOUT_MS,
        confirm: Callable[[z3.Solver], bool] = lambda _: True,
    ) -> None:
        self._confirm = confirm
        self.operation = operation
        self._patches = patches
        self._rounds = rounds
        self._timeout = timeout
        self.universe = Universe()
        self.pre = SymState(self.universe)
        module, name = home_of()[operation]
        self.function = Instance(symbolic=True, patches=patches).function(module, name)
        self.arguments = arguments_of(self.function)
        self.assumptions = Assumptions(self.universe, self.pre)
        self.report = OperationReport(operation)
        self._discharged: set[Obligation] = set()

    def explore(self) -> list[Path]:
        """Find the paths."""
        paths = explore(self.universe, self.function, self.pre, self.arguments)
        self.report.paths = len(paths)
        return paths

    def run(self, wanted: Callable[[str], bool] = lambda _: True, *, first: bool = False) -> OperationReport:
        """Prove the theorems whose names are wanted; with `first`, stop at the first failure."""
        paths = self.explore()
        if wanted(BOUNDED):
            self.report.note(BOUNDED, FAILED if unbounded(self.operation, self._patches) else PROVED, 0.0)
        for path in paths:
            self._safety(path, wanted)
            if path.failure or not path.post.written():
                self._spared(path, wanted)
                continue
            for theorem in symbolic_theorems():
                if first and self.report.failures:
                    return self.report
                if wanted(theorem.name):
                    start = time.perf_counter()
                    result = self._prove(path, theorem)
                    self._note(path, theorem.name, theorem.group, result, time.perf_counter() - start)
        return self.report

    def _note(self, path: Path, name: str, group: str, result: str, seconds: float) -> None:
        self.report.note(name, result, seconds)
        if result != PROVED:
            self.report.failures.append(Failure(name, group, path, result))

    def _safety(self, path: Path, wanted: Callable[[str], bool]) -> None:
        if wanted(INDICES):
            start = time.perf_counter()
            result = self._indices(path)
            self._note(path, INDICES, SAFETY, result, time.perf_counter() - start)
        if wanted(TOTAL):
            known = isinstance(path.result, int) and (path.result == OK or path.result in REFUSALS)
            self._note(path, TOTAL, SAFETY, PROVED if known and not path.failure else FAILED, 0.0)
        if wanted(REFUSAL):
            quiet = path.result == OK or not path.post.written()
            self._note(path, REFUSAL, SAFETY, PROVED if quiet else FAILED, 0.0)

    def _spared(self, path: Path, wanted: Callable[[str], bool]) -> None:
        """A path that wrote nothing keeps every invariant; theorems on accepted operations need a look."""
        for theorem in symbolic_theorems():
            if not wanted(theorem.name):
                continue
            if path.result != OK or theorem.group == INVARIANT:
                self.report.note(theorem.name, PROVED, 0.0)
                continue
            start = time.perf_counter()
            result = self._prove(path, theorem)
            self._note(path, theorem.name, theorem.group, result, time.perf_counter() - start)

    def _indices(self, path: Path) -> str:
        goals = []
        for one in path.obligations:
            if one not in self._discharged:
                self._discharged.add(one)
                goals.append(either([negation(one.before), one.term]))
        return self.decide([], path.touched, both(goals)) if goals else PROVED

    def step(self, path: Path, slots: Sequence[Term] | None = None) -> SymbolicStep:
        """Return what the theorems about two states see of a path."""
        if slots is None:
            caller = self.arguments["d"].term
            slots = list(dict.fromkeys(key[1] for key in path.touched["caps"] if key[0] is caller))
        return SymbolicStep(self.pre, path, self.operation, slots, self.arguments)

    def goal(self, path: Path, theorem: Theorem, key: Key, slots: Sequence[Term] | None = None) -> Term:
        """Return what a theorem says of a path, at a key."""
        symbols = map(SymInt, key)
        if theorem.about_step:
            return formula(theorem.predicate, self.step(path, slots), *symbols)
        return formula(theorem.predicate, path.post, *symbols)

    def skolem(self, theorem: Theorem) -> tuple[Key, list[Term]]:
        """Return an arbitrary key of the theorem's tables, and that it lies in them."""
        key: list[Term] = []
        bounds: list[Term] = []
        for place, table in enumerate(theorem.tables):
            part = tuple(
                terms.constant(f"any{place}_{table}{i}", INT) for i in range(len(TABLES[table].dims))
            )
            key += part
            bounds += self.universe.bounds(table, part)
        return tuple(key), bounds

    def _prove(self, path: Path, theorem: Theorem) -> str:
        key, bounds = self.skolem(theorem)
        with self.universe.touching() as touched:
            goal = self.goal(path, theorem, key)
            if goal is TRUE:
                return PROVED
            if not theorem.about_step and goal is formula(theorem.predicate, self.pre, *map(SymInt, key)):
                return PROVED
        for table, keys in path.touched.items():
            touched[table].update(keys)
        return self.decide([*path.condition, *bounds], touched, goal)

    def decide(self, given: list[Term], touched: Touched, goal: Term) -> str:
        """Prove a goal from what is given and the invariants around some rows."""
        result = UNKNOWN
        for rounds in self._rounds:
            solver = z3.SimpleSolver()
            solver.set("timeout", self._timeout)
            facts = [*self.universe.facts, *given, *self.assumptions.around(touched, rounds), negation(goal)]
            solver.add(*map(solved, facts))
            self.report.queries += 1
            answer = solver.check()
            if answer == z3.unsat:
                return PROVED if self._confirm(solver) else UNKNOWN
            result = FAILED if answer == z3.sat else UNKNOWN
            if answer == z3.unknown:
                break
        return result


def base_case() -> Iterator[tuple[str, str, float]]:
    """Prove every invariant of the first state, for tables of all sizes; yield theorem, result, seconds."""
    from exclave.proofs.first import first_rows
    from exclave.proofs.state import first_state

    universe = Universe()
    state = first_state(universe, first_rows())
    for theorem in symbolic_theorems():
        if theorem.group != INVARIANT:
            continue
        start = time.perf_counter()
        table = theorem.tables[0]
        key = tuple(terms.constant(f"any_{table}{i}", INT) for i in range(len(TABLES[table].dims)))
        goal = formula(theorem.predicate, state, *map(SymInt, key))
        solver = z3.SimpleSolver()
        solver.add(*map(solved, [*universe.facts, *universe.bounds(table, key), negation(goal)]))
        result = PROVED if solver.check() == z3.unsat else FAILED
        yield theorem.name, result, time.perf_counter() - start
