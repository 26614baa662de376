"""Trust: outside.

What the fault handler is told: where it happened and why, bounded, whatever was raised.
"""

from __future__ import annotations

from exclave.runtime.report import describe


class _Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def _raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        if cause is None:
            raise error
        raise error from cause
    except BaseException as caught:
        return caught


def test_describe_names_the_lines_and_the_text() -> None:
    text = describe(_raised(ValueError("what went wrong")))
    assert "test_report.py" in text
    assert "in _raised" in text
    assert text.endswith("ValueError: what went wrong")


def test_describe_follows_causes_and_ends_in_a_circle() -> None:
    one, other = ValueError("one"), KeyError("other")
    one.__cause__, other.__cause__ = other, one
    text = describe(one)
    assert text.count("caused by:") == 3
    assert "KeyError: 'other'" in describe(_raised(ValueError("x"), other))


def test_describe_what_happened_while_handling_something_else() -> None:
    error = _raised(ValueError("second"))
    error.__context__ = _raised(KeyError("first"))
    assert "KeyError: 'first'" in describe(error)
    error.__suppress_context__ = True
    assert "KeyError" not in describe(error)


def test_describe_of_an_exception_without_a_text_says_so() -> None:
    assert "its text cannot be made: RuntimeError" in describe(_raised(_Unprintable()))


def test_describe_can_be_sent_whatever_the_text() -> None:
    text = describe(_raised(ValueError("file \udcff")))
    assert text.encode("utf-8")
    assert text.endswith("file \\udcff")


def test_describe_is_bounded() -> None:
    def deep(left: int) -> None:
        if not left:
            raise ValueError("x" * 10**6)
        deep(left - 1)

    try:
        deep(200)
    except ValueError as error:
        text = describe(error)
    assert len(text) < 16_000
    assert "... 178 more" in text
