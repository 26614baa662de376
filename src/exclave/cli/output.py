"""Trust: outside. Printing for all subcommands: plain text when nobody watches, colours on a terminal.

Rules:
1. Without a terminal, or with NO_COLOR, there is no escape sequence and no line is wrapped.
2. Text from a description is printed as rich Text, never as markup.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import click
import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from exclave.system.errors import Problem

EXIT_DENIED = 77
EXIT_DESCRIPTION = 78
EXIT_RUNTIME = 125

LINE_SHOWN = 72
SOURCE_LIMIT = 1 << 20

Function = TypeVar("Function", bound=Callable[..., object])


class _Lasting(Console):
    """A console that leaves it to its user what a reader that is gone means; rich would end the process."""

    def on_broken_pipe(self) -> None:
        """Raise the BrokenPipeError that is being handled."""
        self.quiet = True
        raise BrokenPipeError


def console(*, stderr: bool = False, lasting: bool = False) -> Console:
    """Return a console on standard output or error; NO_COLOR and TERM are honoured.

    Args:
        stderr: on standard error.
        lasting: raise BrokenPipeError when the reader is gone, instead of ending the process.
    """
    stream = sys.stderr if stderr else sys.stdout
    kind = _Lasting if lasting else Console
    return kind(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)


def print_json(value: object) -> None:
    """Print a value (msgspec structs too) as indented JSON."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def description_argument(function: Function) -> Function:
    """Add the argument FILE: the description, by default $EXCLAVE_DESCRIPTION, else ./exclave.toml."""
    return click.argument(
        "file",
        required=False,
        default="exclave.toml",
        envvar="EXCLAVE_DESCRIPTION",
        type=click.Path(path_type=str),
    )(function)


def json_option(function: Function) -> Function:
    """Add the flag --json, as parameter `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def print_problems(problems: Sequence[Problem], *, warning: bool = False) -> None:
    """Print problems on standard error, each with its line of the file and a caret below it."""
    out = console(stderr=True)
    for problem in problems:
        out.print(_headline(problem, warning=warning))
        for line in excerpt(problem):
            out.print(Text(line, style="dim"))
        out.print(Text.assemble(("  fix: ", "green"), problem.fix))


def _headline(problem: Problem, *, warning: bool) -> Text:
    place = f"{problem.file}:{problem.line}: " if problem.line else f"{problem.file}: "
    kind = ("warning: ", "bold yellow") if warning else ("", "")
    return Text.assemble((place, "bold"), kind, (problem.cause, "yellow" if warning else "red"))


def excerpt(problem: Problem) -> list[str]:
    """Return the problem's line of the file and a caret below its column; nothing when it cannot be read."""
    if not problem.line:
        return []
    try:
        with open(problem.file, "rb") as file:
            lines = file.read(SOURCE_LIMIT).split(b"\n")
    except OSError:
        return []
    if problem.line > len(lines):
        return []
    text = "".join(
        character if character.isprintable() else " "
        for character in lines[problem.line - 1].decode("utf-8", "replace").rstrip("\r").replace("\t", " ")
    )
    column = min(problem.column, len(text) + 1)
    # A long line is cut so that the caret stays in view.
    start = max(0, column - LINE_SHOWN + 8)
    shown = text[start : start + LINE_SHOWN]
    indent = cell_len(text[start : column - 1])
    number = str(problem.line)
    return [f"  {number} | {shown}".rstrip(), f"  {' ' * len(number)} | {' ' * indent}^"]
