"""Trust: reviewed.

The audit log: every decision of the core and every event the shell saw, one JSON line each, chained by hash.

Rules:
 1. A decision is written before its effect is performed; a log that cannot be written stops the nucleus.
 2. Line n carries the hash of line n - 1: cutting, changing or reordering lines is evident to whoever
    knows the last hash. It is no defence against whoever may rewrite the whole file.
 3. The log holds names, numbers and reasons, never a payload or a secret.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

LINE_LIMIT: Final = 64 * 1024
TEXT_LIMIT: Final = 1024
ITEMS_LIMIT: Final = 64
SIZE_LIMIT: Final = 1 << 30
"""From this size on the monolith gets no new connections: a flood of them costs it, not the disk."""
GENESIS: Final = "0" * 32
MODE: Final = 0o600


class AuditError(Exception):
    """The log cannot be written or does not hold together; names the file and the line."""


class Audit:
    """An open audit log, appended to by the nucleus only.

    Args:
        path: file to create; its directory must exist. None keeps the chain but writes no file.

    Raises:
        AuditError: it cannot be created.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.count = 0
        self.size = 0
        self.head = GENESIS
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_EXCL | os.O_NOFOLLOW
        try:
            self._descriptor = os.open(path, flags, MODE) if path else -1
        except OSError as error:
            raise AuditError(f"{path}: cannot be created: {error.strerror}") from None

    def write(self, kind: str, **fields: Any) -> None:
        """Append one line.

        Args:
            kind: "decision" for an operation of the core, else the event's name.
            fields: JSON values; what would make the line too long to be read again is cut.

        Raises:
            AuditError: the file cannot be written (disk full, for example); the nucleus stops. It is closed,
                so that whoever cleans up is not stopped by it again.
        """
        self.count += 1
        entry = {"n": self.count, "time": round(time.time(), 6), "kind": kind, **fields, "chain": self.head}
        line = msgspec.json.encode(entry) + b"\n"
        if len(line) > LINE_LIMIT:
            line = msgspec.json.encode(entry | {name: cut(value) for name, value in fields.items()}) + b"\n"
        self.head = chain(line)
        self.size += len(line)
        if self._descriptor < 0:
            return
        try:
            written = os.write(self._descriptor, line)
        except OSError as error:
            self.close()
            raise AuditError(f"{self.path}: cannot write line {self.count}: {error.strerror}") from None
        if written != len(line):
            self.close()
            raise AuditError(f"{self.path}: line {self.count} was cut short: the disk is full")

    def close(self) -> None:
        """Close the file; writing afterwards keeps only the chain."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def cut(value: Any) -> Any:
    """A JSON value of at most a few KiB: long texts and lists are cut, what is in lists becomes text."""
    if isinstance(value, str):
        return value if len(value) <= TEXT_LIMIT else value[:TEXT_LIMIT] + "…"
    if isinstance(value, (list, tuple)):
        short = [item if isinstance(item, int) else str(item)[: TEXT_LIMIT // ITEMS_LIMIT] for item in value]
        return short if len(short) <= ITEMS_LIMIT else [*short[:ITEMS_LIMIT], "…"]
    return value


def chain(line: bytes) -> str:
    """The hash that the next line carries."""
    return hashlib.sha256(line).hexdigest()[:32]


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The entries of a log, each checked against the chain.

    Raises:
        AuditError: a line is malformed, too long, or not the one that was written there.
    """
    head = GENESIS
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LINE_LIMIT + 1):
            number += 1
            if len(line) > LINE_LIMIT or not line.endswith(b"\n"):
                raise AuditError(f"{path}:{number}: the line is cut short or too long")
            try:
                entry = msgspec.json.decode(line, type=dict[str, Any])
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                raise AuditError(f"{path}:{number}: not a line of an audit log") from None
            if entry.get("chain") != head or entry.get("n") != number:
                raise AuditError(f"{path}:{number}: does not follow the line before it: the log was changed")
            if not isinstance(entry.get("kind"), str) or not _is_time(entry.get("time")):
                raise AuditError(f"{path}:{number}: not a line of an audit log")
            head = chain(line)
            yield entry


def _is_time(value: Any) -> bool:
    return isinstance(value, (int, float)) and 0 <= value < 1 << 38
