"""What a server tells its fault handler.

Trust: reviewed.
Purpose: describe a fault without opening a file, importing a module or trusting what was raised.
Rules: 1. an exclave cannot open source files, so a traceback names lines and does not quote them.
2. the text of an exception is the component's own: it goes to the fault handler, never to a caller.
"""

from __future__ import annotations

from enum import StrEnum
from types import TracebackType
from typing import Final, NamedTuple

_DEPTH: Final = 24
_TEXT: Final = 1024
_CAUSES: Final = 4


class ReportKind(StrEnum):
    """What a report is about."""

    FAULT = "fault"
    BUDGET = "budget"
    DROPPED = "dropped"


class Report(NamedTuple):
    """One report.

    FAULT and BUDGET: `text` is the class of what was raised and `detail` the traceback. DROPPED: `text` is
    why the connection is gone; `method` and `detail` are empty.
    """

    kind: ReportKind
    connection: int
    caller: str
    method: str
    text: str
    detail: str


def describe(error: BaseException) -> str:
    """Return the traceback of an exception and of what caused it, as at most a few KiB of text."""
    parts: list[str] = []
    current: BaseException | None = error
    while current is not None and len(parts) < _CAUSES:
        parts.append(f"{_frames(current.__traceback__)}{type(current).__name__}: {_message(current)}")
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    # Lone surrogates, as in undecodable file names, would keep the report from being sent.
    return "\ncaused by:\n".join(parts).encode("utf-8", "backslashreplace").decode("utf-8")


def _frames(trace: TracebackType | None) -> str:
    lines: list[str] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        lines.append(f'  File "{code.co_filename}", line {trace.tb_lineno}, in {code.co_qualname}\n')
        trace = trace.tb_next
    if len(lines) > _DEPTH:
        half = _DEPTH // 2
        lines[half:-half] = [f"  ... {len(lines) - _DEPTH} more\n"]
    return "".join(lines)


def _message(error: BaseException) -> str:
    try:
        return str(error)[:_TEXT]
    except Exception as other:
        return f"(its text cannot be made: {type(other).__name__})"
