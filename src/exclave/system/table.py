"""Trust: reviewed. Reads the tables of a parsed description and reports what is wrong, with places.

Rules:
1. A wrong value is reported once and replaced by a harmless stand-in, so that the rest is still read.
   A description with any report is never used.
2. Every key is asked for by name; `finish` reports the keys that nobody asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from exclave.system.errors import DescriptionError, Problem, nearest, quote
from exclave.system.locate import KeyPath, Places

PROBLEM_LIMIT = 20
ARRAY_LIMIT = 256
TABLE_LIMIT = 256
TEXT_LIMIT = 4096


class Report:
    """Collects the problems of one description.

    Args:
        file: the description's name as the user gave it.
        places: where its keys are.
    """

    def __init__(self, file: str, places: Places) -> None:
        self.file = file
        self.places = places
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []

    def problem(self, path: KeyPath, cause: str, fix: str, *, value: bool = False) -> Problem:
        """Make a problem at a key path; `value` points at the value instead of at the key."""
        line, column = self.places.find(path, value=value)
        return Problem(file=self.file, line=line, column=column, cause=cause, fix=fix)

    def error(self, path: KeyPath, cause: str, fix: str, *, value: bool = False) -> None:
        """Note an error."""
        self.errors.append(self.problem(path, cause, fix, value=value))

    def warning(self, path: KeyPath, cause: str, fix: str, *, value: bool = False) -> None:
        """Note a warning."""
        self.warnings.append(self.problem(path, cause, fix, value=value))

    def line(self, path: KeyPath) -> int:
        """Return the line of a key path."""
        return self.places.find(path).line

    def settle(self) -> None:
        """End the reading.

        Raises:
            DescriptionError: there were errors; the first PROBLEM_LIMIT in the order of the file.
        """
        if self.errors:
            ordered = sorted(self.errors, key=lambda problem: (problem.line, problem.column))
            raise DescriptionError(ordered[:PROBLEM_LIMIT])


def describe(value: object) -> str:
    """Say what a parsed TOML value is, for a message."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return quote(value)
        case int():
            return f"the number {value}" if abs(value) < 10**18 else "a huge number"
        case float():
            return f"the number {value}"
        case list():
            return "an array"
        case dict():
            return "a table"
    return "a date or time"


def is_text(value: object) -> bool:
    """Tell whether a value is usable text: a string, not empty, not huge, without control characters."""
    return isinstance(value, str) and 0 < len(value) <= TEXT_LIMIT and not _CONTROL.search(value)


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Table:
    """One table of the description.

    Args:
        report: collects what is wrong.
        path: the table's key path.
        title: the table as messages name it, for instance "[exclave.signer]".
        data: the parsed table.
    """

    def __init__(self, report: Report, path: KeyPath, title: str, data: Mapping[str, object]) -> None:
        self.report = report
        self.path = path
        self.title = title
        self._data = data
        self._asked: set[str] = set()

    def get(self, key: str) -> object | None:
        """Return the raw value of a key, or None; the key counts as known from here on."""
        self._asked.add(key)
        return self._data.get(key)

    def wrong(self, key: str, cause: str, fix: str, *, index: int | None = None) -> None:
        """Report the value of a key, or element `index` of it."""
        path = (*self.path, key) if index is None else (*self.path, key, index)
        self.report.error(path, cause, fix, value=True)

    def mismatch(
        self, key: str, wanted: str, value: object, example: str, *, index: int | None = None
    ) -> None:
        """Report a value of the wrong kind."""
        each = f'"{key}"' if index is None else f'each of "{key}"'
        self.wrong(
            key, f"{each} in {self.title} must be {wanted}, not {describe(value)}", example, index=index
        )

    def missing(self, key: str, example: str) -> None:
        """Report a key that must be there and is not."""
        self.report.error(self.path, f'{self.title} needs the key "{key}"', f"add {example}")

    def string(
        self,
        key: str,
        *,
        wanted: str,
        example: str,
        pattern: re.Pattern[str] | None = None,
        needed: bool = False,
    ) -> str | None:
        """Read a string; None when it is absent or wrong.

        Args:
            key: its name.
            wanted: what the value must be, for the message.
            example: a whole assignment that would be right.
            pattern: what the whole value must match; without it, any usable text.
            needed: report its absence.
        """
        value = self.get(key)
        if value is None:
            if needed:
                self.missing(key, example)
            return None
        if isinstance(value, str) and is_text(value) and (pattern is None or pattern.fullmatch(value)):
            return value
        self.mismatch(key, wanted, value, f"write, for instance, {example}")
        return None

    def strings(
        self,
        key: str,
        *,
        wanted: str,
        example: str,
        pattern: re.Pattern[str] | None = None,
        needed: bool = False,
        distinct: bool = True,
    ) -> tuple[str, ...]:
        """Read an array of strings; wrong elements are reported and left out. Arguments as for `string`."""
        values = self.array(key, wanted=f"an array of {wanted}s", example=example, needed=needed)
        seen: dict[str, int] = {}
        found: list[str] = []
        for index, value in enumerate(values):
            if not isinstance(value, str) or not is_text(value) or (pattern and not pattern.fullmatch(value)):
                article = "an" if wanted[0] in "aeiou" else "a"
                self.mismatch(
                    key, f"{article} {wanted}", value, f"write, for instance, {example}", index=index
                )
            elif distinct and value in seen:
                self.repeated(key, quote(value), index, seen[value])
            else:
                seen[value] = index
                found.append(value)
        return tuple(found)

    def repeated(self, key: str, shown: str, index: int, first: int) -> None:
        """Report an element that an array already has."""
        line = self.report.line((*self.path, key, first))
        self.wrong(
            key,
            f'{shown} is twice in "{key}" of {self.title}',
            f"remove one; the other is on line {line}",
            index=index,
        )

    def array(self, key: str, *, wanted: str, example: str, needed: bool = False) -> Sequence[object]:
        """Read an array of anything; empty when it is absent or wrong."""
        value = self.get(key)
        if value is None:
            if needed:
                self.missing(key, example)
            return ()
        if not isinstance(value, list):
            self.mismatch(key, wanted, value, f"write, for instance, {example}")
            return ()
        if len(value) > ARRAY_LIMIT:
            self.wrong(
                key,
                f'"{key}" in {self.title} has {len(value)} elements',
                f"at most {ARRAY_LIMIT} are allowed",
            )
            return ()
        return value

    def finish(self, advice: Mapping[str, str] | None = None) -> None:
        """Report every key that was not asked for.

        Args:
            advice: fixes for keys that people often mean by something else.
        """
        for key in self._data:
            if key in self._asked:
                continue
            near = nearest(key, self._asked)
            if advice and key in advice:
                fix = advice[key]
            elif near is not None:
                fix = f'did you mean "{near}"?'
            else:
                fix = f"the keys of {self.title} are {', '.join(sorted(self._asked))}"
            self.report.error((*self.path, key), f"unknown key {quote(key)} in {self.title}", fix)


def tables(report: Report, kind: str, value: object | None) -> Iterable[tuple[str, dict[str, object]]]:
    """Give each NAME and table of [kind.NAME]; what is not a table is reported."""
    if value is None:
        return
    if not isinstance(value, dict):
        report.error((kind,), f'"{kind}" must be a table, not {describe(value)}', f"write [{kind}.NAME]")
        return
    if len(value) > TABLE_LIMIT:
        cause = f"there are {len(value)} tables [{kind}.NAME]"
        report.error((kind,), cause, f"at most {TABLE_LIMIT} are allowed: split the system")
        return
    for name, data in value.items():
        if isinstance(data, dict):
            yield name, data
        else:
            cause = f"{quote(name)} in [{kind}] must be a table, not {describe(data)}"
            report.error((kind, name), cause, f"name the {kind}: write it below [{kind}.NAME]")
