"""The proof as a whole: which tasks there are, and what their outcomes add up to.

Trust: reviewed.
Purpose: choose tasks, take what the cache has, run the rest, and count.
Rules:
1. A proof is good only when every task that was asked for has a good outcome.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from exclave.proofs import noninterference, pool
from exclave.proofs.cache import Cache
from exclave.proofs.faults import FAULTS
from exclave.proofs.prove import PROVED, SAFETY, theorem_names
from exclave.proofs.source import home_of, source_digest
from exclave.proofs.spec.theorems import GROUPS
from exclave.proofs.tasks import BASE, Outcome, Proof, proved

COLUMNS = (SAFETY, *GROUPS, noninterference.GROUP)
SLOW_FIRST = ("create_object", "grant", "create_frame", "create_domain", "report_fault", "retype", "mint")

BROKEN_APART = frozenset({"bounded_time", "core_knows_what_lives", "core_knows_who_acts"})
"""Theorems about the source itself, or about predicates that a mutant's judges take from the real core; tests
break them."""

Watch = Callable[[Outcome, int, int], None]


@dataclass
class Wanted:
    """What to prove.

    Args:
        operations: those only; empty for all.
        theorem: this one only.
        mutants, flow: these as well.
        cached: take and keep outcomes.
        twice: ask a second solver as well.
    """

    operations: Sequence[str] = ()
    theorem: str | None = None
    mutants: bool = False
    flow: bool = False
    cached: bool = True
    twice: bool = False


@dataclass
class Report:
    """All outcomes, in the order of the operations."""

    source_sha256: str
    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0
    taken: int = 0  # from the cache

    @property
    def good(self) -> bool:
        """Say whether everything was proved and every mutant killed."""
        return all(map(proved, self.outcomes))

    @property
    def proofs(self) -> list[Proof]:
        """Return the results of all theorems."""
        return [one for outcome in self.outcomes for one in outcome.get("theorems", [])]

    @property
    def mutants(self) -> list[Outcome]:
        """Return what became of the mutants."""
        return [one for one in self.outcomes if one["kind"] == "mutant"]

    def unkilled_theorems(self) -> list[str]:
        """Return the theorems that no mutant breaks: they might say nothing."""
        killed = {name for one in self.mutants for name in one["killed_by"]}
        return [name for name in theorem_names() if name not in killed and name not in BROKEN_APART]

    def as_json(self) -> dict[str, object]:
        """Return the report in the form of --json."""
        return {
            "source_sha256": self.source_sha256,
            "proved": self.good,
            "theorems": [
                {key: one[key] for key in ("operation", "theorem", "result", "seconds")}
                for one in self.proofs
            ],
            "paths": {one["task"]: one["paths"] for one in self.outcomes if one["kind"] == "operation"},
            "mutants": [{"name": one["task"], "killed_by": one["killed_by"]} for one in self.mutants],
            "counterexamples": {
                f"{one['task']} {name}": lines
                for one in self.outcomes
                if one["kind"] != "mutant"
                for name, lines in one["counterexamples"].items()
            },
            "seconds": round(self.seconds, 3),
        }


def all_theorems() -> dict[str, tuple[str, str]]:
    """Return group and sentence of every theorem, noninterference included."""
    flow = {name: (noninterference.GROUP, text) for name, text in noninterference.names().items()}
    return theorem_names() | flow


def tasks(wanted: Wanted) -> list[tuple[str, str]]:
    """Return kind and name of each task, in the order of the table."""
    operations = [name for name in home_of() if not wanted.operations or name in wanted.operations]
    flow_only = wanted.theorem is not None and wanted.theorem in noninterference.names()
    found: list[tuple[str, str]] = []
    if not wanted.operations and not flow_only:
        found.append(("base", BASE))
    if not flow_only:
        found += [("operation", name) for name in operations]
    if wanted.flow or flow_only:
        found += [("flow", name) for name in operations]
    if wanted.mutants:
        found += [("mutant", one.name) for one in FAULTS]
    return found


def prove(wanted: Wanted, watch: Watch = lambda outcome, done, total: None) -> Report:
    """Prove what is wanted, on all processors.

    Args:
        watch: called with each outcome, how many there are, and how many there will be.

    Raises:
        WorkerDied: a worker ended early.
    """
    start = time.perf_counter()
    report = Report(source_digest())
    cache = Cache(enabled=wanted.cached and wanted.theorem is None and not wanted.twice)
    order = tasks(wanted)
    known: dict[tuple[str, str], Outcome] = {}
    for task in order:
        outcome = cache.get(*task)
        if outcome is not None:
            known[task] = outcome
            report.taken += 1
    rest = [task for task in order if task not in known]
    rest.sort(key=lambda task: (task[0] == "mutant", task[1] not in SLOW_FIRST))
    if rest:
        jobs = [(kind, name, wanted.theorem, wanted.twice) for kind, name in rest]
        for outcome in pool.run(jobs):
            known[outcome["kind"], outcome["task"]] = outcome
            cache.put(outcome)
            watch(outcome, len(known), len(order))
        cache.save()
    report.outcomes = [known[task] for task in order]
    report.seconds = time.perf_counter() - start
    return report


def cell(proofs: Sequence[Proof]) -> tuple[str, bool]:
    """Return what a cell of the table says, and whether it is good."""
    if not proofs:
        return "", True
    bad = [one for one in proofs if one["result"] != PROVED]
    seconds = sum(one["seconds"] for one in proofs)
    if bad:
        return f"{len(bad)} of {len(proofs)} FAILED", False
    return f"{len(proofs)} {seconds:.1f}s", True
