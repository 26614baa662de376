"""The gate: names, numbers and sorts of arguments, and the first state."""

from __future__ import annotations

import inspect

import pytest

from exclave.abi.refusal import INVALID_ARGUMENT, RANGE_ERROR
from exclave.abi.rights import ALL
from exclave.abi.types import BITS_MAX, DOMAIN_RUNNING, NUCLEUS, STAGE_OPEN, WORD_MAX
from exclave.nucleus.core.operations import BITS, INDEX, INT, OPS, WORD, Sort, fits, initial
from support.core_invariants import broken
from support.core_world import N, World, digest

ANNOTATIONS = {INDEX: "int", INT: "int", BITS: "Bits", WORD: "Word"}


@pytest.mark.parametrize("name", sorted(OPS))
def test_table_agrees_with_the_signature(name: str) -> None:
    operation = OPS[name]
    parameters = list(inspect.signature(operation.function).parameters.values())
    assert operation.function.__name__ == name
    assert [one.annotation for one in parameters] == [
        "State",
        "int",
        *(ANNOTATIONS[sort] for sort in operation.sorts),
    ]


@pytest.mark.parametrize(
    ("sort", "least", "most"), [(BITS, 0, BITS_MAX), (WORD, 0, WORD_MAX), (INDEX, -(2**80), 2**80)]
)
def test_fits_bounds_of_a_sort(sort: Sort, least: int, most: int) -> None:
    assert fits(sort, least)
    assert fits(sort, most)
    assert fits(sort, most + 1) is (sort is INDEX)
    assert fits(sort, least - 1) is (sort is INDEX)


@pytest.mark.parametrize("value", [True, False, 1.0, "1", None, b"\x01"])
@pytest.mark.parametrize("sort", list(Sort))
def test_fits_what_is_no_integer_does_not(sort: Sort, value: object) -> None:
    assert not fits(sort, value)


def test_call_unknown_name_or_number_of_arguments_refused() -> None:
    w = World()
    w.refused(INVALID_ARGUMENT, N, "no_such_operation")
    w.refused(INVALID_ARGUMENT, N, "seal", 0)
    w.refused(INVALID_ARGUMENT, N, "copy", 1)


@pytest.mark.parametrize(
    "arguments", [(6, 7, BITS_MAX + 1, 0), (6, 7, -1, 0), (6, 7, ALL, WORD_MAX + 1), (6, 7, ALL, -1)]
)
def test_call_argument_outside_its_sort_refused(arguments: tuple[int, ...]) -> None:
    w = World()
    w.endpoint()
    w.refused(RANGE_ERROR, N, "mint", *arguments)


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1, 1), (2, 3, 4, 5, 6), (7, 1, 2, 1, 3)])
def test_initial_holds_the_nucleus_and_nothing_else(sizes: tuple[int, int, int, int, int]) -> None:
    s = initial(digest, *sizes)
    assert broken(s) == []
    assert (s.doms[0].state, s.doms[0].kind, s.boot.stage) == (DOMAIN_RUNNING, NUCLEUS, STAGE_OPEN)
    assert not any(cap.used for row in s.caps for cap in row)
    assert not any(one.kind for row in s.objs for one in row)
    assert (len(s.doms), len(s.caps[0]), len(s.objs[0]), len(s.maps[0]), len(s.rmap[0][0])) == sizes


@pytest.mark.parametrize("position", range(5))
def test_initial_empty_table_raises(position: int) -> None:
    sizes = [2, 2, 2, 2, 2]
    sizes[position] = 0
    with pytest.raises(ValueError, match="at least one row"):
        initial(digest, *sizes)
