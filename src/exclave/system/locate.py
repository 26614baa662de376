"""Trust: reviewed. Finds the line and column of every key path in TOML text.

Rules:
1. Total: any text gives a map, never an exception. What is not TOML gives what was found before it.
2. Bounded: one pass over the text, nesting at most DEPTH_LIMIT.
3. It decides nothing. tomllib says what the file means; this only says where.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

KeyPath = tuple[str | int, ...]

DEPTH_LIMIT = 32

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"[ \t]*")
_SPACE = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_REST_OF_LINE = re.compile(r"[^\n]*")
_BASIC_STRING = re.compile(r'"((?:[^"\\\n]|\\[^\n])*)"')
_LITERAL_STRING = re.compile(r"'([^'\n]*)'")
_LONG_BASIC = re.compile(r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}', re.DOTALL)
_LONG_LITERAL = re.compile(r"'''(?:[^']|'(?!''))*'{3,5}")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_SHORT_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b", '"': '"', "\\": "\\"}


class Position(NamedTuple):
    """A place in a text: line and column, both from 1, in characters."""

    line: int
    column: int


class Places:
    """Where each key path of a TOML text stands.

    A path names keys by str and array elements by int, as in ("exclave", "signer", "use", 0).
    """

    def __init__(self, text: str) -> None:
        scanner = _Scanner(text)
        scanner.scan()
        self._keys = scanner.keys
        self._values = scanner.values
        self._deep = scanner.deep
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def find(self, path: KeyPath, *, value: bool = False) -> Position:
        """Return the position of the key at `path`, or of its value; of the nearest known parent."""
        for length in range(len(path), 0, -1):
            part = path[:length]
            offset = self._values.get(part) if value else None
            if offset is None:
                offset = self._keys.get(part)
            if offset is not None:
                return self._position(offset)
        return Position(1, 1)

    @property
    def too_deep(self) -> Position | None:
        """Where the text is nested deeper than DEPTH_LIMIT, tables, arrays and dotted keys alike."""
        return None if self._deep is None else self._position(self._deep)

    def _position(self, offset: int) -> Position:
        line = bisect_right(self._starts, offset)
        return Position(line, offset - self._starts[line - 1] + 1)

    def __contains__(self, path: object) -> bool:
        return path in self._keys


class _LostError(Exception):
    """The text stopped being TOML at this point."""


class _DeepError(_LostError):
    """The text is nested too deep at this point."""


class _Scanner:
    """One pass over the text; `keys` and `values` map paths to character offsets."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.deep: int | None = None
        self.keys: dict[KeyPath, int] = {}
        self.values: dict[KeyPath, int] = {}
        self._lengths: dict[KeyPath, int] = {}
        self._opened: set[KeyPath] = set()

    def scan(self) -> None:
        """Fill `keys` and `values` as far as the text is TOML."""
        table: KeyPath = ()
        try:
            while True:
                self._skip(_SPACE)
                if self.at >= len(self.text):
                    return
                if self.text[self.at] == "[":
                    table = self._header()
                else:
                    self._key_value(table, 0)
                self._skip(_REST_OF_LINE)
        except _DeepError:
            self.deep = self.at
        except _LostError:
            return

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.at)
        if match is not None:
            self.at = match.end()

    def _expect(self, token: str) -> None:
        if not self.text.startswith(token, self.at):
            raise _LostError
        self.at += len(token)

    def _header(self) -> KeyPath:
        """Read `[a.b]` or `[[a.b]]` and return the path of the table that it opens."""
        brackets = "[[" if self.text.startswith("[[", self.at) else "["
        self.at += len(brackets)
        parts = self._dotted_key()
        self._expect("]" * len(brackets))
        path: KeyPath = ()
        for index, (name, offset) in enumerate(parts):
            last = index == len(parts) - 1
            path = (*path, name)
            self.keys.setdefault(path, offset)
            if last and len(brackets) == 2:
                length = self._lengths.get(path, 0)
                self._lengths[path] = length + 1
                path = (*path, length)
                self.keys[path] = offset
            elif path in self._lengths:
                path = (*path, self._lengths[path] - 1)
        if path not in self._opened:
            self._opened.add(path)
            self.keys[path] = parts[-1][1]
        return path

    def _dotted_key(self) -> list[tuple[str, int]]:
        """Read `a."b".c` and return each part with its offset; surrounding blanks are consumed."""
        parts: list[tuple[str, int]] = []
        while True:
            self._skip(_BLANK)
            start = self.at
            parts.append((self._key_part(), start))
            self._skip(_BLANK)
            if not self.text.startswith(".", self.at):
                return parts
            if len(parts) >= DEPTH_LIMIT:
                raise _DeepError
            self.at += 1

    def _key_part(self) -> str:
        if (match := _BASIC_STRING.match(self.text, self.at)) is not None:
            self.at = match.end()
            return _ESCAPE.sub(_unescape, match[1])
        for pattern, group in ((_LITERAL_STRING, 1), (_BARE_KEY, 0)):
            if (match := pattern.match(self.text, self.at)) is not None:
                self.at = match.end()
                return match[group]
        raise _LostError

    def _key_value(self, table: KeyPath, depth: int) -> None:
        path = table
        for name, offset in self._dotted_key():
            path = (*path, name)
            self.keys.setdefault(path, offset)
        self._expect("=")
        self._skip(_BLANK)
        self._value(path, depth)

    def _value(self, path: KeyPath, depth: int) -> None:
        self.values.setdefault(path, self.at)
        if depth > DEPTH_LIMIT:
            raise _DeepError
        opening = self.text[self.at : self.at + 1]
        if opening == "[":
            self._array(path, depth)
        elif opening == "{":
            self._inline_table(path, depth)
        elif opening in ('"', "'"):
            self._string()
        else:
            self._skip(_SCALAR)

    def _string(self) -> None:
        for prefix, pattern in (
            ('"""', _LONG_BASIC),
            ("'''", _LONG_LITERAL),
            ('"', _BASIC_STRING),
            ("'", _LITERAL_STRING),
        ):
            if self.text.startswith(prefix, self.at):
                match = pattern.match(self.text, self.at)
                if match is None:
                    raise _LostError
                self.at = match.end()
                return

    def _array(self, path: KeyPath, depth: int) -> None:
        self.at += 1
        index = 0
        while True:
            self._skip(_SPACE)
            if self.text.startswith("]", self.at):
                self.at += 1
                return
            item = (*path, index)
            self.keys.setdefault(item, self.at)
            self._value(item, depth + 1)
            index += 1
            self._skip(_SPACE)
            if not self.text.startswith("]", self.at):
                self._expect(",")

    def _inline_table(self, path: KeyPath, depth: int) -> None:
        self.at += 1
        while True:
            self._skip(_SPACE)
            if self.text.startswith("}", self.at):
                self.at += 1
                return
            self._key_value(path, depth + 1)
            self._skip(_SPACE)
            if not self.text.startswith("}", self.at):
                self._expect(",")


def _unescape(match: re.Match[str]) -> str:
    for group in (1, 2, 3):
        digits = match[group]
        if digits is not None:
            number = int(digits, 16)
            return chr(number) if number <= 0x10FFFF else match[0]
    return _SHORT_ESCAPES.get(match[4], match[0])
