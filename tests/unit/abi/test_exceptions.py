"""Trust: outside.

What a call raises: printable, copyable, and built from what crossed.
"""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exclave.abi.exceptions import (
    TEXT_LIMIT,
    ComponentError,
    DeadlineExceeded,
    ExclaveError,
    Fault,
    Refused,
    Revoked,
    printable,
)


@given(st.text(max_size=60))
def test_printable_any_text_has_no_control_characters(text: str) -> None:
    assert printable(text).isprintable()
    if text.isprintable():
        assert printable(text) == text


def test_printable_escapes_what_drives_a_terminal_and_cuts_what_is_long() -> None:
    assert printable("a\x1b[2J\n") == "a\\x1b[2J\\n"
    assert printable("\ud800") == "\\ud800"
    assert len(printable("x" * 5000)) == TEXT_LIMIT


@pytest.mark.parametrize("kind", [Refused, Fault])
def test_text_of_a_peer_is_made_printable(kind: type[Refused | Fault]) -> None:
    error = kind("a\x1bb", "c\x07d")
    assert str(error) == "a\\x1bb: c\\x07d"
    again = copy.copy(error)
    assert type(again) is kind
    assert str(again) == str(error)


def test_a_deadline_is_a_timeout_and_a_revocation_a_lost_connection() -> None:
    assert issubclass(DeadlineExceeded, TimeoutError)
    assert issubclass(Revoked, ConnectionError)
    assert all(issubclass(kind, ExclaveError) for kind in (Refused, Revoked, Fault, DeadlineExceeded))


class _Limit(ComponentError):
    def __init__(self, limit: int) -> None:
        super().__init__(f"the limit is {limit}")
        self.limit = limit


def test_component_error_keeps_the_arguments_of_its_constructor() -> None:
    error = _Limit(5)
    assert error.crossing == (5,)
    assert str(error) == "the limit is 5"
    again = type(error)(*error.crossing)
    assert (again.limit, str(again)) == (5, str(error))


def test_component_error_with_keywords_says_to_pass_by_position() -> None:
    with pytest.raises(TypeError, match="pass them by position"):
        _Limit(limit=5)
