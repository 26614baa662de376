"""Mutants: the core with one fault, which the theorems must refute.

Trust: reviewed.
Purpose: apply each fault, find the operations that it reaches, and refute one of them by a replayed state.
Rules:
1. A mutant counts as killed only by a state that keeps every invariant and that the mutant's own functions
   take to a breach.
"""

from __future__ import annotations

import ast
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from exclave.proofs import ground
from exclave.proofs.bounded import operations_with
from exclave.proofs.faults.fault import Fault
from exclave.proofs.ground import Case, refute
from exclave.proofs.prove import OperationProof
from exclave.proofs.source import CORE, file_of

QUERY_MS = 4_000


@dataclass
class Verdict:
    """What became of a mutant."""

    name: str
    operation: str = ""
    killed_by: list[str] = field(default_factory=list)
    case: Case | None = None
    seconds: float = 0.0

    @property
    def killed(self) -> bool:
        """Say whether a replayed state refutes the mutant."""
        return self.case is not None


def mutated(fault: Fault) -> dict[str, str]:
    """Return the text of the module that has the fault, by its name.

    Raises:
        LookupError: the function does not contain the text; the core changed, and the fault must follow.
    """
    module = f"{CORE}.{fault.file}"
    text = file_of(module).read_text()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == fault.function:
            body = ast.get_source_segment(text, node)
            if body is None or fault.old not in body:
                break
            return {module: text.replace(body, body.replace(fault.old, fault.new, 1), 1)}
    raise LookupError(f"{fault.name}: {fault.file}.{fault.function} has no {fault.old!r}")


def _cases(fault: Fault, operation: str, patches: dict[str, str]) -> Iterator[Case]:
    proof = OperationProof(operation, patches, rounds=(1,), timeout=QUERY_MS)
    tried: set[tuple[str, int]] = set()
    broken: set[str] = set()
    for failure in proof.run().failures:
        place = (failure.theorem, failure.path.number)
        if place in tried or failure.theorem in broken:
            continue
        tried.add(place)
        case = refute(proof, failure.path, failure.theorem, patches)
        if case is not None and case.genuine:
            broken |= set(theorems_of(case))
            yield case


def theorems_of(case: Case) -> list[str]:
    """Return the names of the theorems that a case breaks, without rows."""
    return list(dict.fromkeys(one.partition("(")[0] for one in case.violated))


def judge(fault: Fault, *, thorough: bool = False) -> Verdict:
    """Try to refute a mutant.

    Args:
        thorough: look for a case for every theorem that fails, not only the first.
    """
    start = time.perf_counter()
    verdict = Verdict(fault.name)
    patches = mutated(fault)
    for operation in operations_with(fault.function):
        for case in _cases(fault, operation, patches):
            if verdict.case is None:
                verdict.case = case
                verdict.operation = operation
            verdict.killed_by += [one for one in theorems_of(case) if one not in verdict.killed_by]
            if not thorough:
                break
        ground.forget()
        if verdict.killed:
            break
    verdict.seconds = time.perf_counter() - start
    return verdict


def survivors(verdicts: Sequence[Verdict]) -> list[str]:
    """Return the names of mutants that no theorem refutes."""
    return [one.name for one in verdicts if not one.killed]
