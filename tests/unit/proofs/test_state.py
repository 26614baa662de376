"""The symbolic state has the shape of the real one, and reads what was written."""

from __future__ import annotations

import dataclasses

import pytest
import z3

from exclave.nucleus.core.operations import initial
from exclave.nucleus.core.state import State
from exclave.proofs.first import differences, first_rows
from exclave.proofs.state import SymState, first_state
from exclave.proofs.symbolic import OutsideSubset
from exclave.proofs.terms import INT, Term, constant, literal, solved
from exclave.proofs.universe import SIZES, TABLES, Universe

D, T, U = (constant(name, INT) for name in "dtu")


def test_schema_is_that_of_the_dataclasses() -> None:
    assert SIZES == ("ndom", "nslot", "nobj", "nv", "nrmap")
    assert {name: table.dims for name, table in TABLES.items()} == {
        "doms": ("ndom",),
        "caps": ("ndom", "nslot"),
        "objs": ("ndom", "nobj"),
        "maps": ("ndom", "nv"),
        "rmap": ("ndom", "nobj", "nrmap"),
        "boot": (),
    }
    for table in TABLES.values():
        assert list(table.fields) == [one.name for one in dataclasses.fields(table.record)]
    assert TABLES["caps"].fields["rights"].sort == "bits8"
    assert TABLES["caps"].fields["badge"].sort == "bits64"
    names = {one.name for one in dataclasses.fields(State)}
    assert names == {*SIZES, *TABLES, "h"}


def proves(claim: z3.BoolRef) -> bool:
    return bool(z3.Solver().check(z3.Not(claim)) == z3.unsat)


def test_read_finds_the_last_write_to_the_same_key() -> None:
    state = SymState(Universe())
    before = state.read("caps", (D, U), "epoch")
    state.write("caps", (D, T), "epoch", literal(5, INT))
    state.write("caps", (D, T), "epoch", literal(6, INT))
    after = state.read("caps", (D, U), "epoch")
    hit = solved(T) == solved(U)
    assert proves(z3.Implies(hit, solved(after) == 6))
    assert proves(z3.Implies(z3.Not(hit), solved(after) == solved(before)))
    assert state.read("caps", (D, T), "epoch") is literal(6, INT)
    assert state.read("caps", (D, T), "gen").op == "apply"


def test_equal_writes_make_equal_versions() -> None:
    universe = Universe()
    one, two, three = (SymState(universe) for _ in range(3))
    for state in (one, two):
        state.write("boot", (), "stage", literal(1, INT))
    assert one.version == two.version != three.version


@pytest.mark.parametrize("name", ["nothing", "doms"])
def test_state_and_tables_cannot_be_assigned(name: str) -> None:
    with pytest.raises(OutsideSubset):
        setattr(SymState(Universe()), name, 1)


def test_row_takes_values_of_its_sorts_only() -> None:
    row = SymState(Universe()).boot
    for field, value in (("latches", 256), ("stage", True), ("stage", "1"), ("none", 1)):
        with pytest.raises(OutsideSubset):
            setattr(row, field, value)
    with pytest.raises(OutsideSubset):
        _ = row.none  # type: ignore[union-attr]


def test_first_state_is_what_initial_returns() -> None:
    rows = first_rows()
    assert rows == differences(initial(lambda a, b: a, 3, 2, 2, 1, 1))
    state = first_state(Universe(), rows)

    def value(key: tuple[Term, ...]) -> Term:
        return state.read("doms", key, "state")

    assert value((literal(0, INT),)) is literal(2, INT)
    assert proves(z3.Implies(solved(D) != 0, solved(value((D,))) == 0))


def test_first_state_must_not_depend_on_sizes() -> None:
    def odd(h: object, *sizes: int) -> State:
        state = initial(lambda a, b: a, *sizes)
        state.doms[-1].state = 2
        return state

    with pytest.raises(ValueError, match="depends on the sizes"):
        first_rows(odd)
    with pytest.raises(ValueError, match="other sizes"):
        first_rows(lambda h, *sizes: initial(lambda a, b: a, 1, 1, 1, 1, 1))
