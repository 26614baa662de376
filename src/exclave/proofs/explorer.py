"""The explorer: run a function of the core once per path, on symbolic values.

Trust: reviewed.
Purpose: find all paths of an operation, and merge pure predicates to one term.
Rules:
1. Paths are found by running the function again with other decisions; it is never rewritten.
2. An index is assumed in range after it was noted as an obligation, which the prover discharges.
3. A summary stands for a predicate only when the predicate wrote nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import z3

from exclave.proofs import terms
from exclave.proofs.state import SymState
from exclave.proofs.symbolic import SORTS, OutsideSubset, SymBool, SymNumber, context, truth, using
from exclave.proofs.terms import TRUE, Term, both, choice, negation, solved
from exclave.proofs.universe import Touched, Universe

MOST_PATHS = 4096
"""More paths than this in one function is a mistake, not an operation."""

FAILURES = (OutsideSubset, TypeError, AttributeError, IndexError, KeyError, ValueError)


@dataclass(frozen=True)
class Obligation:
    """What must hold where the path has come so far."""

    before: Term
    term: Term
    where: str


@dataclass
class Path:
    """One path of an operation."""

    number: int
    arguments: Mapping[str, SymNumber]
    post: SymState
    touched: Touched
    condition: list[Term] = field(default_factory=list)
    obligations: list[Obligation] = field(default_factory=list)
    result: object = None
    failure: str = ""

    def holds(self) -> Term:
        """Return the condition under which the path is taken."""
        return both(self.condition)


class _Search:
    """Depth first; the solver's stack mirrors the decisions, so a shared prefix is asked once."""

    def __init__(self, solver: z3.Solver) -> None:
        self.solver = solver
        self.trail: list[tuple[Term, bool, bool]] = []  # condition, side taken, other side open
        self.begin()

    def begin(self) -> None:
        """Start the next run."""
        self.position = 0
        self.condition: list[Term] = []
        self.obligations: list[Obligation] = []

    def branch(self, term: Term) -> bool:
        if self.position == len(self.trail):
            against = negation(term)
            can = self.solver.check(solved(term)) != z3.unsat
            other = can and self.solver.check(solved(against)) != z3.unsat
            self.trail.append((term, can, other))
            self._push(term if can else against)
        known, taken, _ = self.trail[self.position]
        if known is not term:
            raise OutsideSubset("the function decides differently when it is run again")
        self.position += 1
        self.condition.append(known if taken else negation(known))
        return taken

    def oblige(self, term: Term, where: str) -> None:
        if term in self.condition:
            return
        self.obligations.append(Obligation(both(self.condition), term, where))
        if self.position == len(self.trail):
            self.trail.append((term, True, False))
            self._push(term)
        self.position += 1
        self.condition.append(term)

    def next(self) -> bool:
        """Turn the last open decision; False when there is none."""
        while self.trail and not self.trail[-1][2]:
            self.trail.pop()
            self.solver.pop()
        if not self.trail:
            return False
        term, taken, _ = self.trail.pop()
        self.solver.pop()
        self.trail.append((term, not taken, False))
        self._push(negation(term) if taken else term)
        return True

    def _push(self, term: Term) -> None:
        self.solver.push()
        self.solver.add(solved(term))


def arguments_of(operation: Callable[..., object], tag: str = "") -> dict[str, SymNumber]:
    """Return a fresh symbolic value for the caller and each argument, by the sorts of the signature."""
    parameters = list(inspect.signature(operation).parameters.values())[1:]
    sorts = {one.name: SORTS[str(one.annotation)] for one in parameters}
    return {name: sort(terms.constant(f"{tag}arg_{name}", sort.sort)) for name, sort in sorts.items()}


def explore(
    universe: Universe,
    operation: Callable[..., object],
    pre: SymState,
    arguments: Mapping[str, SymNumber],
) -> list[Path]:
    """Return all paths of an operation from a state, on those arguments.

    Args:
        pre: never written; each path works on its own state of the same tag.
    """
    solver = z3.SimpleSolver()
    solver.add(*map(solved, universe.facts))
    search = _Search(solver)
    paths: list[Path] = []
    more = True
    while more:
        search.begin()
        post = SymState(universe, pre.tag)
        with universe.touching() as touched, using(search):
            path = Path(len(paths), arguments, post, touched)
            try:
                path.result = operation(post, *arguments.values())
            except FAILURES as failure:
                path.failure = f"{type(failure).__name__}: {failure}"
        path.condition = search.condition
        path.obligations = search.obligations
        paths.append(path)
        if len(paths) > MOST_PATHS:
            raise OutsideSubset(f"{operation.__name__} has more than {MOST_PATHS} paths")
        more = search.next()
    return paths


class _Replay:
    """Follows given decisions, then takes the true side of each further condition."""

    def __init__(self, decisions: list[tuple[Term, bool]], outer: _Obliging | None) -> None:
        self.decisions = decisions
        self.given = len(decisions)
        self.position = 0
        self.known: dict[Term, bool] = {}
        self.outer = outer

    def branch(self, term: Term) -> bool:
        known = self.known.get(term)
        if known is not None:
            return known
        if self.position == len(self.decisions):
            self.decisions.append((term, True))
        decided, side = self.decisions[self.position]
        if decided is not term:
            raise OutsideSubset("a predicate decides differently when it is run again")
        self.position += 1
        self.known[term] = side
        self.known[negation(term)] = not side
        return side

    def oblige(self, term: Term, where: str) -> None:
        # What given decisions lead to was noted by an earlier run.
        if self.outer is not None:
            sides = self.decisions[: self.position]
            before = both([one if side else negation(one) for one, side in sides])
            self.outer.oblige(choice(before, term, TRUE), where)


class _Obliging:
    """Collects obligations of a summary, each once."""

    def __init__(self) -> None:
        self.noted: dict[Term, str] = {}

    def branch(self, term: Term) -> bool:
        raise OutsideSubset("a branch outside of the merged predicate")

    def oblige(self, term: Term, where: str) -> None:
        if term is not TRUE:
            self.noted.setdefault(term, where)


def merge(function: Callable[..., object], *arguments: object, outer: _Obliging | None = None) -> object:
    """Run a pure function on all its paths and return one value.

    Args:
        outer: who takes the obligations; without one there are none, as the function is a theorem's.
    """
    runs = 0

    def value(decisions: list[tuple[Term, bool]]) -> object:
        nonlocal runs
        runs += 1
        if runs > MOST_PATHS:
            raise OutsideSubset(f"{function.__name__} has more than {MOST_PATHS} paths")
        replay = _Replay(decisions, outer)
        with using(replay):
            result = function(*arguments)
        for place in reversed(range(replay.given, len(replay.decisions))):
            condition = replay.decisions[place][0]
            other = value([*replay.decisions[:place], (condition, False)])
            result = _join(condition, result, other)
        return result

    return value([])


def _join(condition: Term, yes: object, no: object) -> object:
    if isinstance(yes, SymNumber) or isinstance(no, SymNumber):
        sort = type(yes) if isinstance(yes, SymNumber) else type(no)
        if not issubclass(sort, SymNumber):
            raise OutsideSubset(f"a function returns {yes!r} or {no!r}")
        return sort(choice(condition, sort.of(yes), sort.of(no)))
    if isinstance(yes, int) and not isinstance(yes, bool):
        if yes == no:
            return yes
        sort = SORTS["int"]
        return sort(choice(condition, sort.of(yes), sort.of(no)))
    return SymBool(choice(condition, truth(yes), truth(no)))


def formula(function: Callable[..., object], *arguments: object) -> Term:
    """Return a theorem's predicate as one term."""
    return truth(merge(function, *arguments))


@dataclass(frozen=True)
class _Summary:
    value: object
    obligations: tuple[tuple[Term, str], ...]
    touched: Touched


def summarised(function: Callable[..., object]) -> Callable[..., object]:
    """Return the function with each call merged to one term; equal calls on equal states are one."""
    known: dict[tuple[object, ...], _Summary] = {}
    home: list[Universe] = []

    def summary(state: SymState, *arguments: object) -> object:
        universe = state.universe
        if not home or home[0] is not universe:
            known.clear()
            home[:] = [universe]
        ids = tuple(one.term if isinstance(one, SymNumber) else one for one in arguments)
        call = (state.version, *ids)
        found = known.get(call)
        if found is None:
            obliging = _Obliging()
            with universe.touching() as touched:
                value = merge(function, state, *arguments, outer=obliging)
            if state.version != call[0]:
                raise OutsideSubset(f"the predicate {function.__name__} writes")
            found = _Summary(value, tuple(obliging.noted.items()), touched)
            known[call] = found
        universe.touch_all(found.touched)
        for term, where in found.obligations:
            context().oblige(term, where)
        return found.value

    summary.__name__ = function.__name__
    summary.__doc__ = function.__doc__
    return summary
