"""Trust: reviewed.

Pins: the measurements an operator has approved, in `exclave.lock` beside the description. With a lock file,
a component with a file that is new, gone or changed does not boot.

Rules:
 1. No lock file: nothing is pinned, and the boot says so. A lock file that cannot be read refuses the boot.
 2. Only `exclave pin` writes it; the nucleus only reads.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

LOCK_NAME: Final = "exclave.lock"
LOCK_LIMIT: Final = 16 * 1024 * 1024


class Pins(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Approved content: domain -> file -> SHA-256 in hex."""

    version: int
    components: dict[str, dict[str, str]]


class PinError(Exception):
    """What a domain consists of is not what was pinned; names the file and the fix."""


def lock_path(description: Path) -> Path:
    """Where the pins of a description are kept."""
    return description.with_name(LOCK_NAME)


def load(path: Path) -> Pins | None:
    """The pins of a lock file; None when there is none.

    Raises:
        PinError: the file is unreadable or not a lock file.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LOCK_LIMIT + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PinError(f"{path}: {error.strerror}") from None
    try:
        pins = msgspec.json.decode(data, type=Pins)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise PinError(f"{path}: not a lock file of exclave: {error}\n  fix: exclave pin") from None
    if pins.version != 1:
        raise PinError(f"{path}: version {pins.version} is from a newer exclave")
    return pins


def save(path: Path, components: dict[str, dict[str, str]]) -> None:
    """Write the pins, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    encoded = msgspec.json.format(msgspec.json.encode(Pins(1, components), order="deterministic"))
    temporary.write_bytes(encoded + b"\n")
    temporary.replace(path)


def compare(lock: Path, pins: Pins, domain: str, hashes: dict[str, str]) -> None:
    """Refuse a domain whose content differs from its pins.

    Raises:
        PinError: names the first differing file, both hashes, and the way on.
    """
    pinned = pins.components.get(domain)
    fix = "\n  fix: review the change, then approve it with `exclave pin`"
    if pinned is None:
        raise PinError(f"{lock}: {domain} was never pinned{fix}")
    for name in sorted({*pinned, *hashes}):
        expected, actual = pinned.get(name), hashes.get(name)
        if expected == actual:
            continue
        if actual is None:
            raise PinError(f"{lock}: {domain}: {name} was pinned and is no longer part of it{fix}")
        if expected is None:
            raise PinError(f"{lock}: {domain}: {name} is part of it now and was not pinned{fix}")
        raise PinError(
            f"{lock}: {domain}: {name} changed since it was pinned\n"
            f"  pinned:   {expected}\n  measured: {actual}{fix}"
        )
