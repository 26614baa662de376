"""Trust: reviewed. Sizes ("256M") and durations ("5s") of a description, to bytes and seconds and back.

Rules:
1. Total: text that is not exactly a size or a duration gives None.
2. K, M, G and T are powers of 1024.
"""

from __future__ import annotations

import re

_SIZE = re.compile(r"([0-9]{1,15})([KMGT]?)")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h)")
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_size(text: str) -> int | None:
    """Return the bytes that a size such as "256M" stands for, or None if it is not a size."""
    match = _SIZE.fullmatch(text)
    return None if match is None else int(match[1]) * _BYTES[match[2]]


def parse_duration(text: str) -> float | None:
    """Return the seconds that a duration such as "5s" or "250ms" stands for, or None if it is not one."""
    match = _DURATION.fullmatch(text)
    return None if match is None else float(match[1]) * _SECONDS[match[2]]


def format_size(size: int) -> str:
    """Write bytes as the shortest exact size; `parse_size` reads it back."""
    for unit in ("T", "G", "M", "K"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return str(size)


def format_duration(seconds: float) -> str:
    """Write seconds as a short duration, exact to a microsecond; `parse_duration` reads it back."""
    for unit, length in (("h", 3600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds / length:.0f}{unit}"
    number, unit = (seconds, "s") if seconds >= 1 or seconds == 0 else (seconds * 1000, "ms")
    text = f"{number:.6f}" if unit == "s" else f"{number:.3f}"
    return f"{text.rstrip('0').rstrip('.')}{unit}"
