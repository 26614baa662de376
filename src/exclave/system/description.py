"""Trust: reviewed. Loads a system description: bounded read, TOML, types, names, defaults.

Rules:
1. Total: whatever the file holds, the answer is a Description or a DescriptionError.
2. The bytes that are decoded are the bytes that are digested; the file is read once.
3. It is loaded by the nucleus, so it imports the standard library and msgspec only.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path

from exclave.system.decode import decode
from exclave.system.errors import DescriptionError, Problem
from exclave.system.locate import Places, Position
from exclave.system.model import (
    MONOLITH,
    Component,
    Conclave,
    Description,
    Driver,
    Exclave,
    Monolith,
    Network,
    Never,
    Notification,
    Only,
    Region,
    System,
    Use,
)
from exclave.system.table import Report

__all__ = [
    "MONOLITH",
    "Component",
    "Conclave",
    "Description",
    "DescriptionError",
    "Driver",
    "Exclave",
    "Monolith",
    "Network",
    "Never",
    "Notification",
    "Only",
    "Region",
    "Source",
    "System",
    "Use",
    "load",
    "read",
    "secret_candidates",
    "secret_directories",
]

FILE_LIMIT = 1 << 20
LINE_LIMIT = 8192

_DECLARED = re.compile(r"Cannot declare (\(.*\)) twice")
_AT = re.compile(r" \((?:at line (\d+), column (\d+)|at end of document)\)$")
_FIXES = (
    (re.compile(r"^Cannot |^Duplicate"), "remove or rename one of the two"),
    (re.compile(r"^Invalid value"), "strings need quotes, booleans are true and false"),
    (re.compile(r"^Expected '='"), 'write key = "value"'),
    (re.compile(r"^Unterminated|^Expected ['\"]|^Illegal character"), "close the string on the same line"),
    (re.compile(r"^Unclosed array"), "close the array with ]"),
    (
        re.compile(r"^Unclosed inline table|^Invalid initial character for a key"),
        "keys are letters, digits, - and _",
    ),
)


class Source:
    """A description together with the text that it came from."""

    def __init__(
        self, name: str, text: str, tables: Mapping[str, object], description: Description, places: Places
    ) -> None:
        self.name = name
        self.text = text
        self.description = description
        self.places = places
        self._tables = tables

    def raw(self, *path: str | int) -> object | None:
        """Return the value at a key path as it was written, or None."""
        value: object = self._tables
        for part in path:
            if isinstance(value, Mapping):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value

    def position(self, *path: str | int) -> Position:
        """Return where a key path stands, for instance ("exclave", "signer", "use", 0)."""
        return self.places.find(path)

    def line(self, *path: str | int) -> int:
        """Return the line a key path stands on."""
        return self.places.find(path).line


def load(path: str | Path) -> Description:
    """Read a description.

    Raises:
        DescriptionError: it cannot be read or anything within a table is wrong (the file's fault).
    """
    return read(path).description


def read(path: str | Path) -> Source:
    """Read a description and keep its text, for places; raises as `load`."""
    name = str(path)
    data = _bytes(name)
    file = os.path.realpath(name)
    return parse(data, name=name, file=file)


def parse(data: bytes, *, name: str, file: str) -> Source:
    """Decode the bytes of a description.

    Args:
        data: the bytes.
        name: what messages call the file.
        file: its real path; relative paths start from its directory.

    Raises:
        DescriptionError: anything within a table is wrong.
    """
    text = _text(name, data)
    places = Places(text)
    if places.too_deep is not None:
        # Before tomllib sees it: its time and memory grow with the square of a dotted key's length.
        cause = "keys, arrays or tables are nested too deep"
        raise _at(name, *places.too_deep, cause, "a description needs four levels")
    raw = _toml(name, text, places)
    report = Report(name, places)
    description = decode(report, raw, file, os.path.dirname(file), hashlib.sha256(data).digest())  # noqa: PTH120
    return Source(name, text, raw, description, places)


def secret_directories(description: Description, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return every directory that secrets of this system may be looked for in, the preferred first.

    The default is exclave/SYSTEM/secrets in $XDG_CONFIG_HOME, which is /etc for root unless it is set.
    """
    if description.system.secrets is not None:
        return (description.system.secrets,)
    found = []
    if credentials := environment.get("CREDENTIALS_DIRECTORY"):
        found.append(os.path.realpath(credentials))
    standard = "/etc" if os.geteuid() == 0 else f"{_home(environment)}/.config"
    config = environment.get("XDG_CONFIG_HOME") or standard
    found.append(os.path.realpath(f"{config}/exclave/{description.system.name}/secrets"))
    return tuple(found)


def secret_candidates(
    description: Description, exclave: str, secret: str, environment: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Return the files that a secret is looked for in, in order.

    Args:
        description: whose secret it is.
        exclave: who keeps it.
        secret: its name.
        environment: the process's own by default.
    """
    surroundings = os.environ if environment is None else environment
    directories = secret_directories(description, surroundings)
    if description.system.secrets is None and surroundings.get("CREDENTIALS_DIRECTORY"):
        return f"{directories[0]}/{exclave}.{secret}", f"{directories[1]}/{exclave}/{secret}"
    return (f"{directories[0]}/{exclave}/{secret}",)


def _home(environment: Mapping[str, str]) -> str:
    return environment.get("HOME") or os.path.expanduser("~")  # noqa: PTH111


def _bytes(name: str) -> bytes:
    """Read a regular file of at most FILE_LIMIT bytes."""
    try:
        # O_NONBLOCK: a FIFO in its place must not hang the reader.
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise _whole(
            name, "the description does not exist", "name the file, or create exclave.toml"
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise _whole(name, f"the description cannot be read: {reason}", "name a readable file") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _whole(name, "the description is not a regular file", "name the TOML file itself")
    with os.fdopen(descriptor, "rb") as file:
        try:
            data = file.read(FILE_LIMIT + 1)
        except OSError as error:
            raise _whole(
                name, f"the description cannot be read: {error.strerror}", "name a readable file"
            ) from None
    if len(data) > FILE_LIMIT:
        raise _whole(name, "the description is larger than 1 MiB", "split the system into several")
    return data


def _text(name: str, data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise _at(name, line, column, "the text is not UTF-8", "save the file as UTF-8") from None
    for line, content in enumerate(text.split("\n"), 1):
        if len(content) > LINE_LIMIT:
            cause = f"the line is longer than {LINE_LIMIT} characters"
            raise _at(name, line, LINE_LIMIT + 1, cause, "break the array over several lines")
    return text


def _toml(name: str, text: str, places: Places) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
    except ValueError:
        # int() refuses more than 4300 digits with a plain ValueError that has no place.
        number = re.search(r"[0-9_]{1000,}", text)
        line = text.count("\n", 0, number.start()) + 1 if number else 1
        raise _at(name, line, 1, "a number is too long", "write a smaller number") from None
    line, column = text.count("\n") + 1, 1
    if (match := _AT.search(message)) is not None:
        message = message[: match.start()]
        if match[1]:
            line, column = int(match[1]), int(match[2])
    if line > 1 and not text.split("\n")[line - 1].strip():
        line, column = _last_written(text, line)
    if (match := _DECLARED.match(message)) is not None:
        path = tuple(re.findall(r"'([^']*)'", match[1]))
        fix = f"merge the two tables; the other is on line {places.find(path).line}"
        raise _at(name, line, column, f"[{'.'.join(path)}] is declared twice", fix) from None
    fix = next(
        (fix for pattern, fix in _FIXES if pattern.search(message)), "see https://toml.io for the syntax"
    )
    raise _at(name, line, column, f"not valid TOML: {message[:1].lower()}{message[1:]}", fix) from None


def _last_written(text: str, line: int) -> tuple[int, int]:
    """Return the end of the last line with anything on it, at or before `line`."""
    lines = text.split("\n")[:line]
    while len(lines) > 1 and not lines[-1].strip():
        lines.pop()
    return len(lines), len(lines[-1].rstrip()) + 1


def _whole(name: str, cause: str, fix: str) -> DescriptionError:
    return _at(name, 0, 1, cause, fix)


def _at(name: str, line: int, column: int, cause: str, fix: str) -> DescriptionError:
    return DescriptionError([Problem(file=name, line=line, column=column, cause=cause, fix=fix)])
