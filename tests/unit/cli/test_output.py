from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from exclave.cli.output import console, excerpt
from exclave.system.errors import Problem


class Terminal(io.StringIO):
    """A standard output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def problem(file: Path, line: int, column: int) -> Problem:
    return Problem(file=str(file), line=line, column=column, cause="c", fix="f")


def test_caret_is_below_the_column(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text("a = 1\nkey = [1, 2]\n")
    assert excerpt(problem(file, 2, 11)) == ["  2 | key = [1, 2]", "    |           ^"]


def test_caret_counts_cells_not_characters(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text('"日本" = x\n')
    assert excerpt(problem(file, 1, 8)) == ['  1 | "日本" = x', "    |          ^"]


def test_long_line_is_cut_around_the_column(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text("a" * 500 + "X" + "b" * 500)
    shown, caret = excerpt(problem(file, 1, 501))
    assert len(shown) <= 80
    assert shown[caret.index("^")] == "X"


def test_control_characters_are_not_printed(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_bytes(b"\x1b[31m = \xff\t\x9b1\r\n")
    assert all(line.isprintable() for line in excerpt(problem(file, 1, 1)))


@pytest.mark.parametrize("line", [0, 99])
def test_no_excerpt_without_a_line(tmp_path: Path, line: int) -> None:
    file = tmp_path / "x.toml"
    file.write_text("a = 1\n")
    assert excerpt(problem(file, line, 1)) == []
    assert excerpt(problem(tmp_path / "none", 1, 1)) == []


def test_terminal_gets_colours_unless_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    for refused in (False, True):
        if refused:
            monkeypatch.setenv("NO_COLOR", "1")
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        console().print("text", style="red")
        assert ("\x1b[31m" in terminal.getvalue()) is not refused


def test_markup_of_a_description_is_not_interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = io.StringIO()
    monkeypatch.setattr(sys, "stdout", plain)
    console().print("[bold]:smile:[/bold] " + "x" * 200)
    assert plain.getvalue() == "[bold]:smile:[/bold] " + "x" * 200 + "\n"
