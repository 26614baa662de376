"""The first state, as rows that differ from a blank table.

Trust: reviewed.
Purpose: check on concrete tables that `initial` sets the same few fields whatever the sizes, and name them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

from exclave.nucleus.core.operations import initial as core_initial
from exclave.nucleus.core.state import State
from exclave.proofs.universe import SIZES, TABLES

Rows = dict[tuple[str, tuple[int, ...], str], int]
SHAPES = ((1, 1, 1, 1, 1), (2, 1, 3, 1, 2), (3, 4, 2, 5, 1), (32, 256, 64, 32, 8))


def rows_of(state: State) -> Iterator[tuple[str, tuple[int, ...], object]]:
    """Yield table, key and record of every row."""
    for name, table in TABLES.items():
        for key in product(*(range(getattr(state, size)) for size in table.dims)):
            row: object = getattr(state, name)
            for index in key:
                row = row[index]  # type: ignore[index]
            yield name, key, row


def differences(state: State) -> Rows:
    """Return the fields that do not have their first value."""
    return {
        (name, key, field): getattr(row, field)
        for name, key, row in rows_of(state)
        for field, default in TABLES[name].defaults.items()
        if getattr(row, field) != default
    }


def first_rows(initial: Callable[..., State] | None = None) -> Rows:
    """Return what `initial` sets besides the first values.

    Args:
        initial: the function under proof; by default the core's.

    Raises:
        ValueError: it does not set the same for tables of all sizes, or makes tables of other sizes.
    """
    make = core_initial if initial is None else initial
    found: list[Rows] = []
    for shape in SHAPES:
        state = make(lambda a, b: a + b, *shape)
        if tuple(getattr(state, size) for size in SIZES) != shape or not _fits(state):
            raise ValueError(f"the first state has other sizes than {shape}")
        found.append(differences(state))
    if any(rows != found[0] for rows in found):
        raise ValueError("the first state depends on the sizes of its tables")
    return found[0]


def _fits(state: State) -> bool:
    """Say whether every table has exactly the rows that its sizes say."""
    for name, table in TABLES.items():
        rows: list[object] = [getattr(state, name)]
        for size in table.dims:
            if any(len(one) != getattr(state, size) for one in rows):  # type: ignore[arg-type]
                return False
            rows = [inner for one in rows for inner in one]  # type: ignore[attr-defined]
        if len({id(one) for one in rows}) != len(rows):
            return False
    return True
