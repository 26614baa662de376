"""States and counterexamples as text.

Trust: outside.
Purpose: print what differs from an empty state, in the words of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from exclave.abi import rights, types
from exclave.abi.refusal import OK, REFUSALS
from exclave.abi.refusal import name as refusal_name
from exclave.nucleus.core.state import State
from exclave.proofs.first import rows_of
from exclave.proofs.ground import Case
from exclave.proofs.universe import TABLES

_WORDS: Mapping[tuple[str, str], Mapping[int, str]] = {
    ("doms", "state"): types.DOMAIN_STATES,
    ("doms", "kind"): types.DOMAIN_KINDS,
    ("objs", "kind"): types.OBJECT_KINDS,
    ("objs", "ftype"): types.FRAME_TYPES,
    ("objs", "cstate"): types.CONCLAVE_STATES,
    ("boot", "stage"): types.STAGES,
}
_EMPTY = {"doms": "state", "caps": "used", "objs": "kind", "maps": "used"}
_STAYS = {"gen", "epoch", "life"}


def _value(table: str, field: str, value: int) -> str:
    if field == "rights":
        return "|".join(rights.names(value)) or "none"
    return _WORDS.get((table, field), {}).get(value, str(value))


def _row(table: str, row: object, count: int) -> str:
    fields = {one: getattr(row, one) for one in TABLES[table].fields}
    if table in _EMPTY and fields[_EMPTY[table]] == 0:
        fields = {one: value for one, value in fields.items() if one in _STAYS}
    if table == "rmap" and not count:
        return ""
    return " ".join(f"{one}={_value(table, one, value)}" for one, value in fields.items() if value != 0)


def lines(state: State) -> Iterator[str]:
    """Yield a line for each row that is not empty."""
    for table, key, row in rows_of(state):
        mapped = state.objs[key[0]][key[1]].mapcount if table == "rmap" else 0
        text = _row(table, row, mapped > key[2] if table == "rmap" else 1)
        if text:
            yield f"{table}{''.join(f'[{one}]' for one in key)}: {text}"


def changes(before: State, after: State) -> Iterator[str]:
    """Yield a line for each field that changed."""
    for (table, key, old), (_, _, new) in zip(rows_of(before), rows_of(after), strict=True):
        for field in TABLES[table].fields:
            a, b = getattr(old, field), getattr(new, field)
            if a != b:
                place = f"{table}{''.join(f'[{one}]' for one in key)}.{field}"
                yield f"{place}: {_value(table, field, a)} -> {_value(table, field, b)}"


def _outcome(code: int | None) -> str:
    if code is not None and (code == OK or code in REFUSALS):
        return refusal_name(code)
    return f"the result {code}, which means nothing"


def case_lines(case: Case) -> Iterator[str]:
    """Yield a counterexample: the call, the state, what changed and what that breaks."""
    arguments = ", ".join(f"{name}={value}" for name, value in case.arguments.items())
    result = case.raised or _outcome(case.result)
    yield f"{case.operation}({arguments}) -> {result}"
    yield "in the state"
    yield from (f"  {line}" for line in lines(case.before))
    changed = list(changes(case.before, case.after))
    if changed:
        yield "changes"
        yield from (f"  {line}" for line in changed)
    yield "and breaks"
    yield from (f"  {one}" for one in case.violated[:8])
