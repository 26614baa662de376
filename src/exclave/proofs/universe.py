"""The shape of a symbolic state, read from the production dataclasses.

Trust: reviewed.
Purpose: know every table, its sizes and the sorts of its fields, and record which rows were looked at.
Rules:
1. Fields, sorts and sizes come from annotations and `dims`; nothing about the core is written down here.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

from exclave.nucleus.core.state import State
from exclave.proofs import terms
from exclave.proofs.symbolic import SORTS, OutsideSubset, SymNumber
from exclave.proofs.terms import INT, Key, Term

Touched: TypeAlias = dict[str, dict[Key, None]]
"""By table, the keys of rows that were looked at."""


@dataclasses.dataclass(frozen=True)
class Table:
    """One table: the names of its sizes, the sorts of its fields, and their first values."""

    name: str
    dims: tuple[str, ...]
    fields: Mapping[str, type[SymNumber]]
    defaults: Mapping[str, int]
    record: type


def _first_value(row: dataclasses.Field[object]) -> int:
    if not isinstance(row.default, int):
        raise OutsideSubset(f"{row.name} has no first value")
    return row.default


def tables(state: type[State] = State) -> dict[str, Table]:
    """Return the tables of a state class, `boot` (no sizes, one row) among them."""
    names = vars(sys.modules[state.__module__])
    found: dict[str, Table] = {}
    for one in dataclasses.fields(state):
        annotation = str(one.type)
        if annotation == "int" or annotation.startswith("Callable"):
            continue
        record = names[annotation.replace("list[", "").rstrip("]")]
        dims = tuple(one.metadata.get("dims", ()))
        if len(dims) != annotation.count("list["):
            raise OutsideSubset(f"{one.name} is nested {annotation.count('list[')} deep, dims {dims}")
        rows = dataclasses.fields(record)
        found[one.name] = Table(
            one.name,
            dims,
            {row.name: SORTS[str(row.type)] for row in rows},
            {row.name: _first_value(row) for row in rows},
            record,
        )
    return found


def size_names(state: type[State] = State) -> tuple[str, ...]:
    """Return the names of the fields that hold table sizes."""
    return tuple(one.name for one in dataclasses.fields(state) if one.type == "int")


TABLES = tables()
SIZES = size_names()


def keep_apart(touched: Touched | None = None) -> Touched:
    """Return an empty record of rows, or a copy of one."""
    return {name: dict(touched[name]) if touched else {} for name in TABLES}


class Universe:
    """Sizes, uninterpreted base functions, and the record of rows that are looked at."""

    def __init__(self) -> None:
        self.sizes: dict[str, Term] = {name: terms.constant(name, INT) for name in SIZES}
        self.touched = keep_apart()
        one = terms.literal(1, INT)
        self.facts: list[Term] = [terms.at_most(one, size) for size in self.sizes.values()]
        self._zero = terms.literal(0, INT)

    def base(self, tag: str, table: str, field: str, key: Key) -> Term:
        """Return the value that a field had in the state `tag` before anything was written."""
        return terms.apply(f"{tag}{table}.{field}", key, TABLES[table].fields[field].sort)

    def hash(self, a: Term, b: Term) -> Term:
        """Return the measurement's hash, of which nothing is known."""
        return terms.apply("h", (a, b), INT)

    def bounds(self, table: str, key: Key) -> list[Term]:
        """Say that a key lies in its table."""
        dims = TABLES[table].dims
        return [bound for one, dim in zip(key, dims, strict=True) for bound in self.within(one, dim)]

    def within(self, index: Term, size: str) -> list[Term]:
        """Say that an index lies below a size, and not below 0."""
        return [terms.at_most(self._zero, index), terms.less(index, self.sizes[size])]

    def touch(self, table: str, key: Key) -> None:
        """Record that a row was looked at."""
        self.touched[table][key] = None

    def touch_all(self, touched: Touched) -> None:
        """Record rows that a summary looks at."""
        for table, keys in touched.items():
            self.touched[table].update(keys)

    @contextmanager
    def touching(self) -> Iterator[Touched]:
        """Record apart for the length of a block."""
        outer, self.touched = self.touched, keep_apart()
        try:
            yield self.touched
        finally:
            self.touched = outer
