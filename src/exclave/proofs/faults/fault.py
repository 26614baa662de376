"""What a fault is.

Trust: outside.
Purpose: name a mistake by file, function, old text and new text.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One mistake: in `function` of `file`, the first `old` becomes `new`."""

    name: str
    file: str
    function: str
    old: str
    new: str


def fault(name: str, where: str, old: str, new: str) -> Fault:
    """Return the mistake in FILE.FUNCTION."""
    file, _, function = where.partition(".")
    return Fault(name, file, function, old, new)
