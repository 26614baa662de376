"""Trust: reviewed. The paths that a monolith has: those granted, and those any program needs."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator

from exclave.system.errors import quoted_path
from exclave.system.locate import KeyPath
from exclave.system.model import SYSTEM_PATHS, Description


class Grant:
    """One path that the monolith is given: where that is said, as what, and how messages show it."""

    def __init__(self, description: Description, key: KeyPath, path: str) -> None:
        self.key = key
        self.word = str(key[1])
        self.path = path
        self.shown = quoted_path(path, description.directory)


def grants(description: Description) -> Iterator[Grant]:
    """Give each path of the monolith, in the order program, read, write."""
    monolith = description.monolith
    yield Grant(description, ("monolith", "program"), monolith.program)
    for index, path in enumerate(monolith.read):
        yield Grant(description, ("monolith", "read", index), path)
    for index, path in enumerate(monolith.write):
        yield Grant(description, ("monolith", "write", index), path)


def python_directories() -> tuple[str, ...]:
    """Return the directories of the Python that runs exclave, and of exclave itself."""
    package = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120
    return tuple(dict.fromkeys((os.path.realpath(sys.prefix), os.path.realpath(sys.base_prefix), package)))


def implicit_reads(description: Description) -> tuple[str, ...]:
    """Return what the monolith can read without a grant: system, Python, its command's own."""
    word = description.monolith.command[0]
    if "/" in word:
        command = os.path.join(description.directory, word)  # noqa: PTH118 - the command is run there
    else:
        command = shutil.which(word) or sys.executable
    reads = [*SYSTEM_PATHS, *python_directories()]
    for program in (command, _interpreter(command)):
        if program is not None and "python" in os.path.basename(os.path.realpath(program)):  # noqa: PTH119
            # bin/python: two levels up is the installation, or the virtual environment (PEP 405).
            roots = (_two_up(os.path.abspath(program)), _two_up(os.path.realpath(program)))  # noqa: PTH100
            reads += [root for root in roots if root != "/"]
    return tuple(dict.fromkeys(reads))


def _interpreter(command: str) -> str | None:
    """Return the program that the first line of a script names."""
    try:
        with open(command, "rb") as file:
            line = file.readline(512)
    except (OSError, ValueError):
        return None
    words = line[2:].split() if line.startswith(b"#!") else []
    return os.fsdecode(words[0]) if words else None


def _two_up(path: str) -> str:
    return os.path.dirname(os.path.dirname(path))  # noqa: PTH120
