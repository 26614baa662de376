"""Trust: outside.

Deadlines: nested ones never lengthen each other, and each context has its own.
"""

from __future__ import annotations

import contextvars
from time import monotonic_ns

import pytest

from exclave.runtime.deadline import current, deadline


def test_deadline_is_in_force_inside_the_block_only() -> None:
    assert current.get() == 0
    before = monotonic_ns()
    with deadline(5):
        assert before + 5 * 10**9 <= current.get() <= monotonic_ns() + 5 * 10**9
    assert current.get() == 0


@pytest.mark.parametrize(("outer", "inner"), [(1, 1000), (1000, 1)])
def test_nested_deadlines_give_the_earlier_one(outer: float, inner: float) -> None:
    with deadline(outer):
        before = current.get()
        with deadline(inner):
            assert current.get() <= monotonic_ns() + 10**9
            assert current.get() <= before
        assert current.get() == before


def test_deadline_is_restored_when_the_block_raises() -> None:
    with pytest.raises(KeyError), deadline(1):
        raise KeyError
    assert current.get() == 0


def test_a_deadline_that_passed_is_still_a_deadline() -> None:
    with deadline(-5):
        assert 0 < current.get() < monotonic_ns()


def test_one_object_can_be_entered_again_inside_itself() -> None:
    limit = deadline(100)
    with limit:
        outer = current.get()
        with limit:
            assert current.get() == outer
        assert current.get() == outer
    assert current.get() == 0


def test_another_context_does_not_see_it() -> None:
    with deadline(1):
        assert contextvars.Context().run(current.get) == 0
        assert contextvars.copy_context().run(current.get) == current.get()


def test_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="give a number"):
        deadline(float("nan"))
