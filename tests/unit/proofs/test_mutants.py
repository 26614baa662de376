"""Faults are found: a handful here, all of them by `exclave prove --mutants`."""

from __future__ import annotations

import pytest
import z3

from exclave.proofs import ground
from exclave.proofs.bounded import unbounded
from exclave.proofs.explorer import formula
from exclave.proofs.faults import FAULTS
from exclave.proofs.faults.fault import Fault
from exclave.proofs.mutants import judge, mutated
from exclave.proofs.noninterference import OUTPUT, Flow
from exclave.proofs.prove import PROVED
from exclave.proofs.show import case_lines
from exclave.proofs.source import SPECIFICATION, Instance, home_of
from exclave.proofs.state import SymState
from exclave.proofs.symbolic import SymInt
from exclave.proofs.terms import INT, constant, negation, solved
from exclave.proofs.universe import Universe

CHOSEN = {
    "mint: more rights than the source": "child_within_parent",
    "revoke: epoch stays": "revoked_slot_is_rewritten",
    "grant: private frames": "private_frame_held_by_owner",
    "unmap_frame: negative index": "indices_in_range",
    "drop_map: moved entry not told": "reverse_map_backed",
    "lock_down: writes before it refuses": "refusal_changes_nothing",
}


def fault_named(name: str) -> Fault:
    return next(one for one in FAULTS if one.name == name)


@pytest.mark.parametrize(("name", "theorem"), CHOSEN.items())
def test_fault_is_refuted_by_a_replayed_state(name: str, theorem: str) -> None:
    verdict = judge(fault_named(name), thorough=True)
    assert theorem in verdict.killed_by
    assert verdict.case is not None
    assert verdict.case.broken_before == []
    lines = list(case_lines(verdict.case))
    assert lines[0].startswith(f"{verdict.operation}(d=")
    assert "in the state" in lines
    assert "and breaks" in lines


def test_the_list_is_long_and_fits_the_source() -> None:
    assert len({one.name for one in FAULTS}) == len(FAULTS) >= 60
    for one in FAULTS:
        assert one.old != one.new
        (text,) = mutated(one).values()
        assert text.count("def ") > 0


def test_fault_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(LookupError, match="has no"):
        mutated(Fault("none", "boot", "seal", "no such text", ""))


LEAKS = {
    "mint": ("capability", "slot_free(s, d, dst)", "slot_free(s, 0, dst)"),
    "create_object": ("objects", "object_free(s, d, i)", "object_free(s, 0, i)"),
    "unmap_frame": ("frame", "s.maps[d][v].used == 0", "s.maps[0][v].used == 0"),
}


@pytest.mark.parametrize("operation", LEAKS)
def test_result_that_tells_of_others_is_found(operation: str) -> None:
    file, old, new = LEAKS[operation]
    leak = mutated(Fault("leak", file, operation, old, new))
    results = Flow(operation, leak).prove(lambda name: name == OUTPUT)
    assert [result for _, result, _ in results] != [PROVED]
    assert [result for _, result, _ in Flow(operation).prove(lambda name: name == OUTPUT)] == [PROVED]
    ground.forget()


def test_effect_that_tells_of_others_is_found() -> None:
    leak = Fault(
        "fault of domain 0", "notification", "signal", "c.oq, c.oi, 0)", "c.oq, c.oi, s.doms[0].fault)"
    )
    theorem = "caller_sees_itself"
    results = Flow("signal", mutated(leak)).prove(lambda name: name == theorem)
    assert [result for _, result, _ in results] != [PROVED]
    ground.forget()


def test_operations_are_bounded() -> None:
    assert {name: unbounded(name) for name in home_of()} == {name: [] for name in home_of()}
    loop = mutated(
        Fault("loop", "boot", "seal", "    s.boot.stage =", "    while d:\n        d = d\n    s.boot.stage =")
    )
    assert unbounded("seal", loop) == ["seal has a While"]
    again = mutated(
        Fault("again", "boot", "seal", "    s.boot.stage =", "    seal(s, d)\n    s.boot.stage =")
    )
    assert unbounded("seal", again) == ["seal calls itself"]
    other = mutated(Fault("other", "boot", "seal", "    s.boot.stage =", "    print(d)\n    s.boot.stage ="))
    assert unbounded("seal", other) == ["calls print, which is not of the core"]


OF_PREDICATES = [one for one in FAULTS if one.function in {"live", "acts"} and "negative" not in one.name]


@pytest.mark.parametrize("one", OF_PREDICATES, ids=lambda one: one.name)
def test_fault_in_who_acts_or_what_lives_breaks_what_the_core_knows(one: Fault) -> None:
    instance = Instance(symbolic=True, patches=mutated(one), extra=(SPECIFICATION,))
    theorem, arity = ("core_knows_what_lives", 2) if one.function == "live" else ("core_knows_who_acts", 1)
    key = [SymInt(constant(name, INT)) for name in "dt"[:arity]]
    predicate = instance.function(f"{SPECIFICATION}.holdings", theorem)
    universe = Universe()
    bounds = universe.bounds("caps" if arity == 2 else "doms", tuple(one.term for one in key))
    said = negation(formula(predicate, SymState(universe), *key))
    solver = z3.SimpleSolver()
    solver.add(*map(solved, [*universe.facts, *bounds, said]))
    assert solver.check() == z3.sat
    assert len(OF_PREDICATES) >= 8
    ground.forget()
