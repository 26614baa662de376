"""Trust: reviewed. What a bad system description says: file, line, cause and fix.

Rules:
1. Every problem inside a file carries the line it is on; line 0 means the file itself (missing, too large).
2. Text taken from a description is quoted with `quote`, so it cannot write control characters to a terminal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence

import msgspec

QUOTE_LIMIT = 64
PATH_LIMIT = 256


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One error or warning of a description, with the place it is at.

    `line` and `column` count from 1 in characters; line 0 stands for the file as a whole.
    """

    file: str
    line: int
    column: int = 1
    cause: str
    fix: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.cause}\n  fix: {self.fix}"


class DescriptionError(Exception):
    """A system description that cannot be used; it holds every problem that was found.

    Args:
        problems: at least one, in the order of their lines.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        if not self.problems:
            raise ValueError("a DescriptionError needs at least one problem")
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @property
    def file(self) -> str:
        """The file of the first problem, as the user named it."""
        return self.problems[0].file

    @property
    def line(self) -> int:
        """The line of the first problem."""
        return self.problems[0].line

    @property
    def cause(self) -> str:
        """What is wrong first."""
        return self.problems[0].cause

    @property
    def fix(self) -> str:
        """What to write instead of the first problem."""
        return self.problems[0].fix


def quote(text: str, limit: int = QUOTE_LIMIT) -> str:
    """Quote text of a description for a message: printable, at most `limit` characters of it."""
    shown = text if len(text) <= limit else text[: limit - 1] + "…"
    if shown.isprintable():
        return json.dumps(shown, ensure_ascii=False)
    return json.dumps(shown, ensure_ascii=True).replace("\x7f", "\\u007f")


def shown_path(path: str, directory: str = "") -> str:
    """Write a path for a person: relative when it lies inside `directory`, always printable."""
    if directory and path == directory:
        shown = "."
    elif directory and path.startswith(f"{directory.rstrip('/')}/"):
        shown = f"./{os.path.relpath(path, directory)}"
    else:
        shown = path
    return shown if shown.isprintable() else quote(shown)


def quoted_path(path: str, directory: str = "") -> str:
    """Quote a path for a message, relative when it lies inside `directory`."""
    return quote(shown_path(path, directory), PATH_LIMIT)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like `word`, or None when none is."""
    import difflib  # only when something is already wrong

    found = difflib.get_close_matches(word[:QUOTE_LIMIT], sorted(set(known)), n=1, cutoff=0.6)
    return found[0] if found else None


def listing(names: Sequence[str], limit: int = 8) -> str:
    """Join names for a sentence: `a, b and c`, cut to `limit` names."""
    shown = list(names[:limit])
    if len(names) > limit:
        return f"{', '.join(shown)} and {len(names) - limit} more"
    if len(shown) < 2:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} and {shown[-1]}"
