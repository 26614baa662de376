"""Terms mean what Python's integers mean, and what the subset lacks is refused."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import cast

import pytest
import z3
from hypothesis import given
from hypothesis import strategies as st

from exclave.proofs import terms
from exclave.proofs.symbolic import OutsideSubset, SymBits, SymBool, SymInt, SymNumber, SymWord
from exclave.proofs.terms import BOOL, INT, Term, constant, literal, solved

X, Y = constant("x", INT), constant("y", INT)
P, Q = constant("p", BOOL), constant("q", BOOL)


@st.composite
def integers(draw: st.DrawFn, depth: int = 1) -> Term:
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from([X, Y]) | st.builds(literal, st.integers(-3, 3), st.just(INT)))
    a, b = draw(integers(depth - 1)), draw(integers(depth - 1))
    return draw(st.sampled_from([terms.plus, terms.minus]))(a, b)


@st.composite
def truths(draw: st.DrawFn, depth: int = 2) -> Term:
    if depth == 0:
        compare = draw(st.sampled_from([terms.same, terms.less, terms.at_most]))
        return compare(draw(integers()), draw(integers()))
    a, b, c = (draw(truths(depth - 1)) for _ in range(3))
    make: Callable[[], Term] = draw(
        st.sampled_from(
            [
                lambda: terms.both([a, b]),
                lambda: terms.either([a, b, c]),
                lambda: terms.negation(a),
                lambda: terms.choice(a, b, c),
                lambda: terms.same(a, b),
            ]
        )
    )
    return make()


def plain(term: Term, x: int, y: int) -> int | bool:
    """The value of a term as Python computes it, without the solver."""
    args = [plain(one, x, y) for one in term.args]
    match term.op:
        case "truth":
            return bool(term.value)
        case "literal":
            return int(term.value)
        case "apply":
            return x if term is X else y
        case "not":
            return not args[0]
        case "and":
            return all(args)
        case "or":
            return any(args)
        case "if":
            return args[1] if args[0] else args[2]
        case "=":
            return args[0] == args[1]
        case "<":
            return args[0] < args[1]
        case "<=":
            return args[0] <= args[1]
        case "+":
            return args[0] + args[1]
        case "-":
            return args[0] - args[1]
    raise AssertionError(term.op)


@given(truths(), st.integers(-4, 4), st.integers(-4, 4))
def test_translation_means_the_same(term: Term, x: int, y: int) -> None:
    value = z3.simplify(z3.substitute(solved(term), (solved(X), z3.IntVal(x)), (solved(Y), z3.IntVal(y))))
    assert z3.is_true(value) == plain(term, x, y)


@given(truths(1), truths(1), st.integers(-4, 4), st.integers(-4, 4))
def test_connectives_mean_the_same(a: Term, b: Term, x: int, y: int) -> None:
    p, q = plain(a, x, y), plain(b, x, y)
    assert plain(terms.both([a, b]), x, y) == (p and q)
    assert plain(terms.either([a, b]), x, y) == (p or q)
    assert plain(terms.negation(a), x, y) == (not p)
    assert plain(terms.choice(a, b, terms.negation(b)), x, y) == (q if p else not q)
    assert plain(terms.same(a, b), x, y) == (p == q)


@given(st.integers(0, 255), st.integers(0, 255))
def test_sets_are_those_of_python(a: int, b: int) -> None:
    x = SymBits(constant("set", terms.BITS))
    place = (solved(x.term), z3.BitVecVal(a, 8))
    for made, value in ((x & b, a & b), (b | x, a | b)):
        assert z3.simplify(z3.substitute(solved(made.term), place)).as_long() == value


def test_equal_terms_are_one_term() -> None:
    assert terms.plus(X, literal(1, INT)) is terms.plus(X, literal(1, INT))
    assert terms.same(X, Y) is terms.same(Y, X)
    assert terms.same(terms.plus(X, literal(1, INT)), X) is terms.FALSE


NUMBER, SET, WORD = SymInt(X), SymBits(constant("s", terms.BITS)), SymWord(constant("w", terms.WORD))


@pytest.mark.parametrize(
    "act",
    [
        lambda: NUMBER == SET,
        lambda: SET == WORD,
        lambda: SET == 256,
        lambda: NUMBER + True,
        lambda: NUMBER == "1",
        lambda: NUMBER + 1.5,
        lambda: bool(NUMBER),
        lambda: bool(SymBool(P)),
        lambda: SymBool(P) == 1,
        lambda: SET & -1,
    ],
)
def test_what_the_subset_lacks_is_refused(act: Callable[[], object]) -> None:
    with pytest.raises(OutsideSubset):
        act()


@pytest.mark.parametrize(
    "act",
    [
        lambda: operator.and_(NUMBER, 1),
        lambda: operator.add(SET, 1),
        lambda: operator.lt(cast("int", SET), 1),
        lambda: operator.mul(NUMBER, 2),
        lambda: operator.neg(cast("int", NUMBER)),
        lambda: hash(NUMBER),
    ],
)
def test_operators_that_a_sort_lacks_are_type_errors(act: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        act()


def test_number_is_an_abstract_of_three_sorts() -> None:
    assert {one.sort for one in (SymInt, SymBits, SymWord)} == {terms.INT, terms.BITS, terms.WORD}
    assert SymNumber.literal(3) is literal(3, INT)
