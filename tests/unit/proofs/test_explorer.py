"""Every path that the explorer finds is a run of the real function: same result, every field the same."""

from __future__ import annotations

import pytest
import z3

from exclave.abi.refusal import name
from exclave.proofs import ground
from exclave.proofs.explorer import arguments_of, explore, merge, summarised
from exclave.proofs.prove import OperationProof
from exclave.proofs.source import original
from exclave.proofs.state import SymState
from exclave.proofs.symbolic import OutsideSubset, SymBool, SymInt, truth
from exclave.proofs.terms import INT, constant, solved
from exclave.proofs.universe import Universe

UNREACHABLE = {("retype", "REVOKE_FIRST")}
"""Paths that no good state takes: a FREE frame is never mapped, whatever type it is to get."""


@pytest.mark.parametrize("operation", sorted(original()))
def test_every_path_is_a_run_of_the_function(operation: str) -> None:
    proof = OperationProof(operation)
    taken = []
    for path in proof.explore():
        assert isinstance(path.result, int), path.failure
        model = ground.path_model(proof, path)
        if model is None:
            assert (operation, name(path.result)) in UNREACHABLE
            continue
        arguments = ground.values_of(proof.arguments, model)
        case = ground.run(operation, ground.decode(model), arguments, original()[operation])
        assert case.broken_before == []
        assert case.raised == ""
        assert case.result == path.result
        assert ground.found(case.after) == ground.expected(path, model)
        assert case.violated == []
        taken.append(path.result)
    ground.forget()
    assert 0 in taken, "no path accepts"
    assert len(set(taken)) >= 2, "no path refuses"


def test_paths_exclude_each_other_and_leave_nothing_out() -> None:
    proof = OperationProof("map_frame")
    conditions = [solved(path.holds()) for path in proof.explore()]
    solver = z3.Solver()
    solver.add(*map(solved, proof.universe.facts))
    for number, one in enumerate(conditions):
        for other in conditions[:number]:
            assert solver.check(one, other) == z3.unsat
    # A path's condition includes that its indices lie in their tables, which the prover discharges.
    in_range = [
        solved(one.term) for path in proof.explore() for one in path.obligations if one.before is not None
    ]
    solver.add(*in_range)
    assert solver.check(z3.Not(z3.Or(*conditions))) == z3.unsat


def absolute(s: SymState, x: SymInt) -> SymInt:
    return 0 - x if x < 0 else x


def test_merged_function_is_the_function() -> None:
    x = SymInt(constant("x", INT))
    merged = merge(absolute, SymState(Universe()), x)
    assert isinstance(merged, SymInt)
    solver = z3.Solver()
    solver.add(solved(merged.term) != z3.If(solved(x.term) < 0, -solved(x.term), solved(x.term)))
    assert solver.check() == z3.unsat


def row_is_running(s: SymState, d: SymInt) -> SymBool:
    return s.doms[d].state == 2 and s.doms[d].kind == 3  # type: ignore[index, union-attr, return-value]


def writes(s: SymState, d: SymInt) -> bool:
    s.doms[d].state = 1  # type: ignore[index]
    return True


def test_summary_notes_index_and_rows_once_for_equal_calls() -> None:
    universe = Universe()
    state = SymState(universe)
    runs = []

    def counted(s: SymState, d: SymInt) -> SymBool:
        runs.append(d)
        return row_is_running(s, d)

    summary = summarised(counted)

    def operation(s: SymState, d: SymInt) -> int:
        return 1 if summary(s, d) and summary(s, d) else 0

    arguments = {"d": SymInt(constant("d", INT))}
    paths = explore(universe, operation, state, arguments)
    assert [path.result for path in paths] == [1, 0]
    assert {one.where for one in paths[0].obligations} == {"doms[0]"}
    assert list(paths[0].touched["doms"]) == [(arguments["d"].term,)]
    assert len(runs) == 2, "one run for each side, whatever the number of calls"


def test_predicate_that_writes_is_no_predicate() -> None:
    state = SymState(Universe())
    summary = summarised(writes)
    with pytest.raises(OutsideSubset, match="writes"):
        summary(state, SymInt(constant("d", INT)))


def test_exception_on_a_path_is_reported() -> None:
    universe = Universe()

    def operation(s: SymState, d: SymInt) -> int:
        if d == 7:
            raise ValueError("seven")
        return 0

    paths = explore(universe, operation, SymState(universe), {"d": SymInt(constant("d", INT))})
    assert [path.failure for path in paths] == ["ValueError: seven", ""]


def test_arguments_have_the_sorts_of_the_signature() -> None:
    arguments = arguments_of(original()["mint"])
    assert {name: one.sort for name, one in arguments.items()} == {
        "d": "int",
        "src": "int",
        "dst": "int",
        "rights": "bits8",
        "badge": "bits64",
    }
    assert not isinstance(truth(True), bool)
