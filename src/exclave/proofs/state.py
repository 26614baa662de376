"""A symbolic state: looks like `State` to the core, and is all states at once.

Trust: reviewed.
Purpose: give rows whose fields read through a write log to uninterpreted functions.
Rules:
1. Every index is an obligation: 0 <= index < size. Python's negative indices are errors here.
2. A field takes values of its own sort only; a row or a table cannot be assigned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from exclave.proofs.symbolic import OutsideSubset, SymInt, SymNumber, context
from exclave.proofs.terms import TRUE, Key, Term, both, choice, same
from exclave.proofs.universe import TABLES, Universe

Log = dict[tuple[str, str], tuple[tuple[Key, Term], ...]]


class SymState:
    """All states: base functions named by a tag, under a log of writes."""

    __slots__ = ("_reads", "blank", "log", "tag", "universe", "version")

    universe: Universe
    tag: str
    log: Log
    version: int
    blank: bool
    _reads: dict[tuple[int, str, str, Key], Term]

    def __init__(self, universe: Universe, tag: str = "", *, blank: bool = False) -> None:
        """Make the state `tag`, or, blank, the one in which every field has its first value."""
        put = super().__setattr__
        put("universe", universe)
        put("tag", tag)
        put("log", {})
        put("version", _version(("blank" if blank else tag,)))
        put("blank", blank)
        put("_reads", {})

    def __getattr__(self, name: str) -> SymInt | SymRow | SymIndex | Callable[[object, object], SymInt]:
        if name in self.universe.sizes:
            return SymInt(self.universe.sizes[name])
        if name == "h":
            return lambda a, b: SymInt(self.universe.hash(SymInt.of(a), SymInt.of(b)))
        if name not in TABLES:
            raise OutsideSubset(f"the state has no field {name}")
        return SymIndex(self, name, ()) if TABLES[name].dims else SymRow(self, name, ())

    def __setattr__(self, name: str, value: object) -> None:
        raise OutsideSubset(f"assignment to the state's field {name}")

    def read(self, table: str, key: Key, field: str) -> Term:
        """Return the present value of a field of a row."""
        memo = (self.version, table, field, key)
        known = self._reads.get(memo)
        if known is not None:
            return known
        newer: list[tuple[Term, Term]] = []
        value: Term | None = None
        for written, term in reversed(self.log.get((table, field), ())):
            if written == key:
                value = term
                break
            newer.append((both([same(a, b) for a, b in zip(key, written, strict=True)]), term))
        if value is None and self.blank:
            kind = TABLES[table]
            value = kind.fields[field].literal(kind.defaults[field])
        elif value is None:
            value = self.universe.base(self.tag, table, field, key)
        for condition, term in reversed(newer):
            value = choice(condition, term, value)
        self._reads[memo] = value
        return value

    def write(self, table: str, key: Key, field: str, value: Term) -> None:
        """Set a field of a row."""
        place = (table, field)
        self.log[place] = (*self.log.get(place, ()), (key, value))
        serial = _version((self.version, table, field, key, value))
        super().__setattr__("version", serial)

    def written(self) -> bool:
        """Say whether anything was written."""
        return bool(self.log)


_versions: dict[tuple[object, ...], int] = {}


def _version(content: tuple[object, ...]) -> int:
    """Number states by what was written to them, so that equal states share their summaries."""
    return _versions.setdefault(content, len(_versions))


def forget() -> None:
    """Drop the numbers of states whose universe is gone."""
    _versions.clear()


class SymIndex:
    """A table that has been given some of its indices."""

    __slots__ = ("key", "state", "table")
    __iter__ = None

    def __init__(self, state: SymState, table: str, key: Key) -> None:
        self.state = state
        self.table = table
        self.key = key

    def __getitem__(self, index: object) -> SymIndex | SymRow:
        term = SymInt.of(index)
        dims = TABLES[self.table].dims
        key = (*self.key, term)
        for bound in self.state.universe.within(term, dims[len(self.key)]):
            if bound is not TRUE:
                context().oblige(bound, f"{self.table}[{len(self.key)}]")
        if len(key) == len(dims):
            return SymRow(self.state, self.table, key)
        return SymIndex(self.state, self.table, key)


class SymRow:
    """A row: its fields are read from, and written to, the state it belongs to."""

    __slots__ = ("_key", "_state", "_table")

    _key: Key
    _state: SymState
    _table: str

    def __init__(self, state: SymState, table: str, key: Key) -> None:
        put = super().__setattr__
        put("_state", state)
        put("_table", table)
        put("_key", key)
        state.universe.touch(table, key)

    def __getattr__(self, field: str) -> SymNumber:
        sort = TABLES[self._table].fields.get(field)
        if sort is None:
            raise OutsideSubset(f"{self._table} has no field {field}")
        return sort(self._state.read(self._table, self._key, field))

    def __setattr__(self, field: str, value: object) -> None:
        sort = TABLES[self._table].fields.get(field)
        if sort is None:
            raise OutsideSubset(f"{self._table} has no field {field}")
        self._state.write(self._table, self._key, field, sort.of(value))


def first_state(universe: Universe, rows: Mapping[tuple[str, tuple[int, ...], str], int]) -> SymState:
    """Return the state in which every field has its first value, but for some.

    Args:
        rows: table, key and field, and the value there.
    """
    state = SymState(universe, blank=True)
    for (table, key, field), value in rows.items():
        sort = TABLES[table].fields[field]
        state.write(table, tuple(SymInt.literal(one) for one in key), field, sort.literal(value))
    return state
