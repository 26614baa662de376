"""Symbolic numbers and truth values: what the core computes with while it is proved.

Trust: reviewed.
Purpose: build terms where production computes integers, and ask the context where it would branch.
Rules:
1. An operation that the provable subset does not have raises `OutsideSubset`; nothing is approximated.
2. `SymInt` is an unbounded integer, as in Python; `SymBits` and `SymWord` are 8 and 64 bits wide.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from exclave.proofs import terms
from exclave.proofs.terms import FALSE, TRUE, Term


class OutsideSubset(Exception):
    """The code under proof did something that cannot be executed symbolically."""


class Context(Protocol):
    """Who decides branches and collects obligations during a symbolic run."""

    def branch(self, term: Term) -> bool:
        """Decide on which side of a condition the run goes on."""

    def oblige(self, term: Term, where: str) -> None:
        """Take note of a condition that must hold at this point, and assume it from here on."""


_contexts: list[Context] = []


def context() -> Context:
    """Return the context of the running symbolic execution."""
    if not _contexts:
        raise OutsideSubset("a symbolic value was used as a truth value outside of a symbolic run")
    return _contexts[-1]


@contextmanager
def using(inner: Context) -> Iterator[None]:
    """Let a context decide for the length of a block."""
    _contexts.append(inner)
    try:
        yield
    finally:
        _contexts.pop()


class SymBool:
    """A truth value; using it as one asks the context."""

    __slots__ = ("term",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, term: Term) -> None:
        self.term = term

    def __bool__(self) -> bool:
        if self.term is TRUE:
            return True
        if self.term is FALSE:
            return False
        return context().branch(self.term)

    def __eq__(self, other: object) -> SymBool:  # type: ignore[override]
        return SymBool(terms.same(self.term, truth(other)))

    def __ne__(self, other: object) -> SymBool:  # type: ignore[override]
        return SymBool(terms.negation(terms.same(self.term, truth(other))))


def truth(value: object) -> Term:
    """Return the term of a truth value, symbolic or not."""
    if isinstance(value, SymBool):
        return value.term
    if isinstance(value, bool):
        return TRUE if value else FALSE
    raise OutsideSubset(f"{value!r} is no truth value")


class SymNumber:
    """What numbers of all sorts can do: be compared for equality."""

    __slots__ = ("term",)
    __hash__ = None  # type: ignore[assignment]
    sort = terms.INT

    def __init__(self, term: Term) -> None:
        self.term = term

    @classmethod
    def literal(cls, value: int) -> Term:
        """Return the term of a Python integer in this sort."""
        return terms.literal(value, terms.INT)

    @classmethod
    def of(cls, value: object) -> Term:
        """Return the term of a value of this sort; a literal takes the sort of its partner."""
        if isinstance(value, SymNumber):
            if value.sort != cls.sort:
                raise OutsideSubset(f"{type(value).__name__} where {cls.__name__} belongs")
            return value.term
        if isinstance(value, bool) or not isinstance(value, int):
            raise OutsideSubset(f"operand {value!r}")
        return cls.literal(value)

    def __eq__(self, other: object) -> SymBool:  # type: ignore[override]
        return SymBool(terms.same(self.term, self.of(other)))

    def __ne__(self, other: object) -> SymBool:  # type: ignore[override]
        return SymBool(terms.negation(terms.same(self.term, self.of(other))))

    def __bool__(self) -> bool:
        raise OutsideSubset("a number used as a truth value")


class SymInt(SymNumber):
    """An unbounded integer: + - and comparisons."""

    __slots__ = ()

    def __lt__(self, other: object) -> SymBool:
        return SymBool(terms.less(self.term, self.of(other)))

    def __le__(self, other: object) -> SymBool:
        return SymBool(terms.at_most(self.term, self.of(other)))

    def __gt__(self, other: object) -> SymBool:
        return SymBool(terms.less(self.of(other), self.term))

    def __ge__(self, other: object) -> SymBool:
        return SymBool(terms.at_most(self.of(other), self.term))

    def __add__(self, other: object) -> SymInt:
        return SymInt(terms.plus(self.term, self.of(other)))

    def __radd__(self, other: object) -> SymInt:
        return SymInt(terms.plus(self.of(other), self.term))

    def __sub__(self, other: object) -> SymInt:
        return SymInt(terms.minus(self.term, self.of(other)))

    def __rsub__(self, other: object) -> SymInt:
        return SymInt(terms.minus(self.of(other), self.term))


class _Set(SymNumber):
    """A set of bits: & and |."""

    __slots__ = ()
    width = 0

    @classmethod
    def literal(cls, value: int) -> Term:
        if not 0 <= value < 1 << cls.width:
            raise OutsideSubset(f"{value} does not fit into {cls.width} bits")
        return terms.literal(value, cls.sort)

    def __and__(self, other: object) -> _Set:
        return type(self)(terms.bits("&", self.term, self.of(other)))

    def __rand__(self, other: object) -> _Set:
        return type(self)(terms.bits("&", self.of(other), self.term))

    def __or__(self, other: object) -> _Set:
        return type(self)(terms.bits("|", self.term, self.of(other)))

    def __ror__(self, other: object) -> _Set:
        return type(self)(terms.bits("|", self.of(other), self.term))


class SymBits(_Set):
    """`Bits`: 8 bits."""

    __slots__ = ()
    width = 8
    sort = terms.BITS


class SymWord(_Set):
    """`Word`: 64 bits."""

    __slots__ = ()
    width = 64
    sort = terms.WORD


SORTS: dict[str, type[SymNumber]] = {"int": SymInt, "Bits": SymBits, "Word": SymWord}
"""The sort of a number by its annotation in the source of the core."""
