"""Trust: reviewed.

The only door to the core: runs one operation through its gate and writes the decision to the audit log.

Rules:
 1. The caller's identity comes from which socket a request came in on, never from the request.
 2. A refusal where the nucleus itself is the caller during boot is a nucleus bug: fail stop.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from exclave.abi import refusal
from exclave.abi.exceptions import printable
from exclave.nucleus.core import operations
from exclave.nucleus.core.capability import live
from exclave.nucleus.core.state import State
from exclave.nucleus.shell.audit import Audit

NUCLEUS_DOMAIN: Final = 0
CELLS_LIMIT: Final = 1 << 22
"""Of all tables together in a replay: a log that names larger ones is not one of the nucleus's."""


class NucleusBug(Exception):
    """The nucleus contradicts itself: all bets are off, it stops."""


class Effect(NamedTuple):
    """What the shell must do after an operation (core.effect)."""

    kind: int
    a: int
    b: int
    c: int


class Sizes(NamedTuple):
    """Table sizes: domains; slots, objects and mappings per domain; mappings per frame."""

    domains: int
    slots: int
    objects: int
    mappings: int
    reverse: int


def measurement_hash(a: int, b: int) -> int:
    """The hash that extends the boot measurement: SHA-256 over both, 32 bytes each, big endian."""
    return int.from_bytes(hashlib.sha256(a.to_bytes(32, "big") + b.to_bytes(32, "big")).digest(), "big")


class Dispatcher:
    """The core with its state, and the audit log of every decision.

    Args:
        sizes: of the tables, fixed for the life of the system.
        audit: the log.
    """

    def __init__(self, sizes: Sizes, audit: Audit) -> None:
        self.sizes = sizes
        self.audit = audit
        self.state = operations.initial(measurement_hash, *sizes)
        audit.write("tables", sizes=sizes)

    def submit(self, caller: int, operation: str, *arguments: int, meaning: str = "") -> int:
        """Run one operation.

        Args:
            caller: the domain in whose name it is done.
            operation: a name of core.operations.OPS.
            arguments: as the operation takes them after the caller.
            meaning: the operation in the words of the description, for whoever reads the log.

        Returns:
            OK or the refusal's number; the effect, if OK, is at `effect(caller)`.
        """
        code = operations.call(self.state, caller, operation, *arguments)
        words = {"meaning": meaning} if meaning else {}
        self.audit.write(
            "decision", domain=caller, op=operation, args=arguments, result=refusal.name(code), **words
        )
        return code

    def must(self, operation: str, *arguments: int, meaning: str = "") -> Effect:
        """Run an operation of the nucleus's own, which the description makes valid.

        Raises:
            NucleusBug: the core refused it.
        """
        code = self.submit(NUCLEUS_DOMAIN, operation, *arguments, meaning=meaning)
        if code != refusal.OK:
            raise NucleusBug(f"{operation}{arguments} was refused: {refusal.name(code)}")
        return self.effect(NUCLEUS_DOMAIN)

    def effect(self, caller: int) -> Effect:
        """The effect of the caller's last successful operation."""
        row = self.state.doms[caller]
        return Effect(row.effect, row.effect_a, row.effect_b, row.effect_c)

    def is_live(self, domain: int, slot: int) -> bool:
        """Whether that slot holds a live capability."""
        return live(self.state, domain, slot)

    def digest(self) -> str:
        """Hash of the whole state, for comparing with a replay."""
        return state_digest(self.state)


def state_digest(state: State) -> str:
    """SHA-256 over the tables of a state, in hex."""
    summary = hashlib.sha256()
    for table in (state.doms, state.caps, state.objs, state.maps, state.rmap, state.boot):
        summary.update(repr(table).encode())
    return summary.hexdigest()


class _Tables(msgspec.Struct):
    """A line with the sizes of the tables."""

    sizes: tuple[Annotated[int, msgspec.Meta(ge=1, le=CELLS_LIMIT)], ...]


class _Decision(msgspec.Struct):
    """A line with an operation of the core and its result."""

    domain: int
    op: str
    args: tuple[int, ...]
    result: str


def _tables(entry: Mapping[str, Any]) -> State:
    sizes = Sizes(*msgspec.convert(entry, _Tables).sizes)
    if sizes.domains * (sizes.slots + sizes.mappings + sizes.objects * sizes.reverse) > CELLS_LIMIT:
        raise ValueError("tables of such sizes are not the nucleus's")
    return operations.initial(measurement_hash, *sizes)


def _decide(state: State, entry: Mapping[str, Any]) -> None:
    logged = msgspec.convert(entry, _Decision)
    if not 0 <= logged.domain < state.ndom:
        raise ValueError(f"there is no domain {logged.domain}")
    result = refusal.name(operations.call(state, logged.domain, logged.op, *logged.args))
    if result != logged.result:
        raise ValueError(f"{logged.op} was {logged.result}, the core says {result}")


def replay(entries: Iterable[Mapping[str, Any]]) -> int:
    """Run the decisions of an audit log through the core again.

    Args:
        entries: what audit.read yields.

    Returns:
        How many decisions were replayed, all with the logged result.

    Raises:
        ReplayError: a decision comes out differently, the final state is another one, or a line is none of
            the nucleus's.
    """
    state: State | None = None
    count = 0
    for entry in entries:
        try:
            if entry["kind"] == "tables":
                if state is not None:
                    raise ValueError("the tables a second time")
                state = _tables(entry)
            elif entry["kind"] == "decision":
                if state is None:
                    raise ValueError("a decision before the tables")
                _decide(state, entry)
                count += 1
            elif entry["kind"] == "end" and (state is None or state_digest(state) != entry.get("state")):
                raise ValueError("the state at the end is not the logged one")
        except (ValueError, TypeError, msgspec.ValidationError) as error:
            raise ReplayError(f"line {entry.get('n')}: {printable(str(error))}") from None
    return count


class ReplayError(Exception):
    """The log's decisions are not the core's; names the line."""
