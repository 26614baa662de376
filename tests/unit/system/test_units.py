from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exclave.system.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("17", 17), ("4K", 4096), ("256M", 256 << 20), ("1G", 1 << 30), ("2T", 2 << 40)],
)
def test_size_is_parsed(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "1.5M", "256MB", " 1M", "1M ", "-1", "1k", "٣M", "9" * 16, "1M\n"])
def test_other_text_is_no_size(text: str) -> None:
    assert parse_size(text) is None


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0.0), ("250ms", 0.25), ("5s", 5.0), ("1.5m", 90.0), ("2h", 7200.0)]
)
def test_duration_is_parsed(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", ".5s", "5 s", "5S", "-1s", "1e3s", "infs", "1.s", "5s\n"])
def test_other_text_is_no_duration(text: str) -> None:
    assert parse_duration(text) is None


@given(st.integers(0, 1 << 49))
def test_formatted_size_reads_back(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.integers(1, 86_400_000))
def test_formatted_duration_reads_back(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    read = parse_duration(format_duration(seconds))
    assert read is not None
    assert read == pytest.approx(seconds, rel=1e-9)
