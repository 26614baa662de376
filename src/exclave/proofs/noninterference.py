"""Noninterference: what a domain cannot see does not change what it sees.

Trust: reviewed.
Purpose: prove, for two states that agree for a domain, that an operation gives it the same result and leaves
    states that agree, for the caller (output consistency) and for everybody else (step consistency).
Rules:
1. All paths of an operation are merged to one result and one state; there are no pairs of paths.
2. Caller and observer are not the nucleus and hold no DOMAIN or CONCLAVE capability.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import ModuleType

import z3

from exclave.proofs import terms
from exclave.proofs.explorer import Path, arguments_of, explore, formula
from exclave.proofs.prove import FAILED, PROVED, UNKNOWN, Assumptions
from exclave.proofs.source import SPECIFICATION, Instance, home_of
from exclave.proofs.state import SymState
from exclave.proofs.symbolic import SymInt, SymNumber
from exclave.proofs.terms import INT, Key, Term, both, choice, either, literal, negation, solved
from exclave.proofs.universe import Touched, Universe, keep_apart

GROUP = "noninterference"
OUTPUT = "same_result"
TIMEOUT_MS = 60_000
ROUNDS = (1, 2)

_KEYS = {"": (), "slot": ("nslot",), "place": ("nobj",), "mapping": ("nv",), "slot entry": ("nslot", "nrmap")}
_PLACES = {"nslot": ("caps", 1), "nobj": ("objs", 1), "nv": ("maps", 1), "nrmap": ("rmap", 2)}


@cache
def _view() -> tuple[ModuleType, ModuleType]:
    instance = Instance(symbolic=True, extra=(SPECIFICATION,))
    return instance.module(f"{SPECIFICATION}.view"), instance.module(f"{SPECIFICATION}.terms")


class Merged(SymState):
    """The state after an operation, whatever path it took."""

    __slots__ = ("_paths",)

    _paths: list[tuple[Term, SymState]]

    def __init__(self, universe: Universe, tag: str, paths: list[Path]) -> None:
        super().__init__(universe, tag)
        written = [(path.holds(), path.post) for path in paths if path.post.written()]
        object.__setattr__(self, "_paths", written)
        object.__setattr__(self, "version", ("merged", tag))

    def read(self, table: str, key: Key, field: str) -> Term:
        """Return the value of a field, as a choice among the paths that wrote."""
        value = super().read(table, key, field)
        for condition, post in self._paths:
            value = choice(condition, post.read(table, key, field), value)
        return value


def names() -> dict[str, str]:
    """Return the sentence of each theorem, by name."""
    from exclave.proofs.spec.view import VIEW

    found = {OUTPUT: "States that agree for the caller give it the same result."}
    for predicates in VIEW.values():
        for one in predicates:
            sentence = " ".join((one.__doc__ or "").split())
            found[f"caller_{one.__name__}"] = f"Output consistency: {sentence}"
            found[f"observer_{one.__name__}"] = f"Step consistency: {sentence}"
    return found


class Flow:
    """Two runs of one operation, from two states that agree for the caller.

    Args:
        operation: a name in OPS.
        patches: other text for modules of the core.
        confirm: asked about each solver that answered `unsat`.
    """

    def __init__(
        self,
        operation: str,
        patches: Mapping[str, str] | None = None,
        *,
        confirm: Callable[[z3.Solver], bool] = lambda _: True,
    ) -> None:
        self._confirm = confirm
        self.queries = 0
        self.examples: dict[str, list[str]] = {}
        universe = self.universe = Universe()
        module, name = home_of()[operation]
        function = Instance(symbolic=True, patches=patches).function(module, name)
        self.arguments = arguments_of(function)
        self.before = [SymState(universe, tag) for tag in ("", "other_")]
        runs = [explore(universe, function, state, self.arguments) for state in self.before]
        self.paths = len(runs[0])
        self.after = [Merged(universe, state.tag, run) for state, run in zip(self.before, runs, strict=True)]
        self.results = [self._result(run) for run in runs]
        self.touched = keep_apart()
        for run in runs:
            for path in run:
                for table, keys in path.touched.items():
                    self.touched[table].update(keys)
        self.assumptions = [Assumptions(universe, state) for state in self.before]
        self.caller = self.arguments["d"]
        self.observer: SymNumber = SymInt(terms.constant("observer", INT))

    @staticmethod
    def _result(run: list[Path]) -> Term:
        value = literal(-1, INT)
        for path in run:
            if not isinstance(path.result, int):
                raise ValueError(f"a path ends with {path.failure}")
            value = choice(path.holds(), literal(path.result, INT), value)
        return value

    def prove(self, wanted: Callable[[str], bool] = lambda _: True) -> Iterator[tuple[str, str, float]]:
        """Yield theorem, result and seconds."""
        if wanted(OUTPUT):
            start = time.perf_counter()
            goal = terms.same(*self.results)
            result = self._decide(goal, {}, keep_apart(), with_observer=False)
            yield OUTPUT, result, time.perf_counter() - start
        view, _ = _view()
        for about, predicates in view.VIEW.items():
            for predicate in predicates:
                for who, domain in (("caller", self.caller), ("observer", self.observer)):
                    name = f"{who}_{predicate.__name__}"
                    if wanted(name):
                        start = time.perf_counter()
                        result = self._conjunct(predicate, about, domain)
                        yield name, result, time.perf_counter() - start

    def _conjunct(self, predicate: Callable[..., object], about: str, domain: SymNumber) -> str:
        sizes = _KEYS[about]
        key = {size: terms.constant(f"any_{size}", INT) for size in sizes}
        bounds = both([one for size, term in key.items() for one in self.universe.within(term, size)])
        with self.universe.touching() as touched:
            goal = formula(predicate, *self.after, domain, *map(SymInt, key.values()))
        if goal is terms.TRUE:
            return PROVED
        goal = either([negation(bounds), goal])
        return self._decide(goal, key, touched, with_observer=domain is self.observer)

    def _decide(self, goal: Term, key: dict[str, Term], extra: Touched, *, with_observer: bool) -> str:
        if goal is terms.TRUE:
            return PROVED
        touched = keep_apart(self.touched)
        for table, keys in extra.items():
            touched[table].update(keys)
        result = UNKNOWN
        for rounds in ROUNDS:
            with self.universe.touching() as seen:
                facts = self._agreement(self.caller, touched, key)
                if with_observer:
                    facts += self._agreement(self.observer, touched, key)
            looked = keep_apart(touched)
            for table, keys in seen.items():
                looked[table].update(keys)
            for assumptions in self.assumptions:
                facts += assumptions.around(looked, rounds)
            solver = z3.SimpleSolver()
            solver.set("timeout", TIMEOUT_MS)
            solver.add(*map(solved, [*self.universe.facts, *facts, negation(goal)]))
            self.queries += 1
            answer = solver.check()
            if answer == z3.unsat:
                return PROVED if self._confirm(solver) else UNKNOWN
            result = FAILED if answer == z3.sat else UNKNOWN
        return result

    def _agreement(self, domain: SymNumber, touched: Touched, key: dict[str, Term]) -> list[Term]:
        """Assume that the states agree for a domain, in all rows of its that were looked at."""
        view, words = _view()
        one = literal(1, INT)
        facts = [terms.at_most(one, domain.term), *self.universe.within(domain.term, "ndom")]
        if domain is self.observer:
            facts.append(negation(terms.same(domain.term, self.caller.term)))
        for about, predicates in view.VIEW.items():
            for place in self._places(domain, _KEYS[about], touched, key):
                bounds = [
                    bound
                    for size, term in zip(_KEYS[about], place, strict=True)
                    for bound in self.universe.within(term, size)
                ]
                outside = negation(both(bounds))
                for predicate in predicates:
                    said = formula(predicate, *self.before, domain, *map(SymInt, place))
                    facts.append(either([outside, said]))
                if about == "slot":
                    for state in self.before:
                        conducts = formula(words.conducts, state, domain, *map(SymInt, place))
                        facts.append(either([outside, negation(conducts)]))
        return facts

    def _places(
        self, domain: SymNumber, sizes: tuple[str, ...], touched: Touched, key: dict[str, Term]
    ) -> list[Key]:
        found: list[Key] = [()]
        for size in sizes:
            table, position = _PLACES[size]
            rows = touched[table]
            mine = [row[position] for row in rows if size == "nrmap" or row[0] is domain.term]
            options = dict.fromkeys([*mine, *([key[size]] if size in key else [])])
            found = [(*before, option) for before in found for option in options]
        return found
