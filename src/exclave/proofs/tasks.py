"""What one process proves at a time, from a request to a result that can be written as JSON.

Trust: reviewed.
Purpose: an operation with all theorems, the base case, a mutant, or the noninterference of an operation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias, TypedDict

import z3

from exclave.proofs import ground, mutants, noninterference, second
from exclave.proofs.faults import FAULTS
from exclave.proofs.prove import PROVED, OperationProof, base_case, theorem_names
from exclave.proofs.show import case_lines

BASE = "initial"
Confirm: TypeAlias = Callable[[z3.Solver], bool]


class Proof(TypedDict):
    """One cell of the table."""

    operation: str
    theorem: str
    group: str
    result: str
    seconds: float


class Outcome(TypedDict, total=False):
    """What a task found."""

    task: str
    kind: str
    paths: int
    queries: int
    seconds: float
    cpu: float
    theorems: list[Proof]
    counterexamples: dict[str, list[str]]
    killed_by: list[str]
    operation: str


def prove_base(theorem: str | None) -> Outcome:
    """Prove the invariants of the first state."""
    proofs: list[Proof] = [
        {"operation": BASE, "theorem": name, "group": "invariants", "result": result, "seconds": seconds}
        for name, result, seconds in base_case()
        if theorem in (None, name)
    ]
    return {"theorems": proofs, "counterexamples": {}, "paths": 1, "queries": len(proofs)}


def prove_operation(operation: str, theorem: str | None, confirm: Confirm) -> Outcome:
    """Prove one operation; a theorem that fails gets a counterexample where a small one exists."""
    proof = OperationProof(operation, confirm=confirm)
    report = proof.run(lambda name: theorem in (None, name))
    groups = {name: group for name, (group, _) in theorem_names().items()}
    proofs: list[Proof] = [
        {
            "operation": operation,
            "theorem": name,
            "group": groups[name],
            "result": result,
            "seconds": report.seconds.get(name, 0.0),
        }
        for name, result in report.results.items()
    ]
    examples: dict[str, list[str]] = {}
    for failure in report.failures:
        if failure.theorem in examples or len(examples) >= 3:
            continue
        case = ground.refute(proof, failure.path, failure.theorem)
        if case is not None and case.genuine:
            examples[failure.theorem] = list(case_lines(case))
        elif failure.path.failure:
            examples[failure.theorem] = [failure.path.failure]
    return {
        "theorems": proofs,
        "counterexamples": examples,
        "paths": report.paths,
        "queries": report.queries,
    }


def judge_mutant(name: str) -> Outcome:
    """Try to kill one mutant."""
    fault = next(one for one in FAULTS if one.name == name)
    verdict = mutants.judge(fault, thorough=True)
    lines = [] if verdict.case is None else list(case_lines(verdict.case))
    return {
        "killed_by": verdict.killed_by,
        "operation": verdict.operation,
        "counterexamples": {name: lines},
    }


def prove_flow(operation: str, theorem: str | None, confirm: Confirm) -> Outcome:
    """Prove the noninterference of one operation."""
    flow = noninterference.Flow(operation, confirm=confirm)
    proofs: list[Proof] = [
        {
            "operation": operation,
            "theorem": name,
            "group": noninterference.GROUP,
            "result": result,
            "seconds": seconds,
        }
        for name, result, seconds in flow.prove(lambda name: theorem in (None, name))
    ]
    return {
        "theorems": proofs,
        "counterexamples": flow.examples,
        "paths": flow.paths,
        "queries": flow.queries,
    }


KINDS = ("base", "operation", "flow", "mutant")


def perform(kind: str, name: str, theorem: str | None = None, *, twice: bool = False) -> Outcome:
    """Do one task.

    Args:
        kind: one of KINDS.
        name: of the operation or the mutant.
        theorem: only this one; None for all.
        twice: ask a second solver to confirm each answer.
    """
    start, cpu = time.perf_counter(), time.process_time()
    confirm: Confirm = second.confirm if twice else lambda _: True
    try:
        if kind == "base":
            outcome = prove_base(theorem)
        elif kind == "operation":
            outcome = prove_operation(name, theorem, confirm)
        elif kind == "flow":
            outcome = prove_flow(name, theorem, confirm)
        else:
            outcome = judge_mutant(name)
    finally:
        ground.forget()
    outcome["task"] = name
    outcome["kind"] = kind
    outcome["seconds"] = time.perf_counter() - start
    outcome["cpu"] = time.process_time() - cpu
    return outcome


def proved(outcome: Outcome) -> bool:
    """Say whether a task found what it should: all proved, or the mutant killed."""
    if outcome["kind"] == "mutant":
        return bool(outcome["killed_by"])
    return all(one["result"] == PROVED for one in outcome["theorems"])
