"""Trust: reviewed.

What exclaves print: read from a pipe, made harmless, and shown line by line under the exclave's name.

Rules:
 1. Nothing an exclave prints reaches the terminal as a control character (CWE-150).
 2. An exclave that prints too much loses lines, and a note says how many; it never slows the nucleus.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final

LINE_LIMIT: Final = 1000
LINES_LIMIT: Final = 200
READ_SIZE: Final = 16 * 1024
BYTES_PER_SECOND: Final = 64 * 1024


def harmless(line: bytes) -> str:
    """Text of a line with everything unprintable escaped, cut at LINE_LIMIT bytes."""
    text = line[:LINE_LIMIT].decode("utf-8", "backslashreplace")
    shown = "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text)
    return shown if len(line) <= LINE_LIMIT else shown + "…"


def harmless_lines(text: str) -> str:
    """A text that a domain chose, such as a traceback: its last LINES_LIMIT lines, each made harmless."""
    lines = text.split("\n")[-LINES_LIMIT:]
    return "\n".join(harmless(line.encode("utf-8", "backslashreplace")) for line in lines)


class Output:
    """The reading end of an exclave's standard output and error.

    Args:
        name: shown before each line.
        descriptor: the pipe's reading end; owned.
        show: takes one finished line.
    """

    def __init__(self, name: str, descriptor: int, show: Callable[[str], None]) -> None:
        self.descriptor = descriptor
        self._name = name
        self._show = show
        self._rest = b""
        self._second = 0
        self._spent = 0
        self._lost = 0
        self._more = True
        os.set_blocking(descriptor, False)

    def read(self) -> bool:
        """Read what is there; False when the exclave closed its end."""
        try:
            data = os.read(self.descriptor, READ_SIZE)
        except BlockingIOError:
            self._more = False
            return True
        self._more = bool(data)
        if not data:
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_LIMIT:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self._line(line)
        return True

    def close(self) -> None:
        """Show what is still in the pipe and close it; closing twice does nothing."""
        if self.descriptor < 0:
            return
        while self.read() and self._more:
            continue
        self._line(self._rest)
        self._tell_lost()
        os.close(self.descriptor)
        self.descriptor = -1

    def _line(self, line: bytes) -> None:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._spent = second, 0
        self._spent += len(line) + 1
        if not line or self._spent > BYTES_PER_SECOND:
            self._lost += bool(line)
            return
        self._tell_lost()
        self._show(f"[{self._name}] {harmless(line)}")

    def _tell_lost(self) -> None:
        if self._lost:
            self._show(
                f"[{self._name}] ({self._lost} lines lost: more than {BYTES_PER_SECOND} bytes a second)"
            )
            self._lost = 0
