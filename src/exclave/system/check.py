"""Trust: reviewed. Decides whether a description is one that may be booted.

Rules:
1. An error stops the boot, a warning does not; both carry their line.
2. The order is fixed: what the tables say of each other, then components, then the file system.
   All errors of all three are reported together.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from exclave.system import command, components, devices, paths, references
from exclave.system.description import Source, read
from exclave.system.errors import Problem
from exclave.system.model import Description
from exclave.system.table import Report


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A description that passed every check, and what is still worth a look."""

    source: Source
    description: Description
    warnings: tuple[Problem, ...] = ()


def check(path: str | Path, environment: Mapping[str, str] | None = None) -> Checked:
    """Read and check a description.

    Args:
        path: the file.
        environment: where the default places of secrets come from; the process's own by default.

    Raises:
        DescriptionError: it may not be booted (the description's fault).
    """
    source = read(path)
    warnings = check_source(source, environment)
    return Checked(source=source, description=source.description, warnings=warnings)


def check_source(source: Source, environment: Mapping[str, str] | None = None) -> tuple[Problem, ...]:
    """Check a description that was read, and return the warnings; raises as `check`."""
    report = Report(source.name, source.places)
    references.check(report, source.description)
    components.check(report, source.description)
    paths.check(report, source, os.environ if environment is None else environment)
    devices.check(report, source.description)
    command.check(report, source.description)
    report.settle()
    return tuple(sorted(report.warnings, key=lambda problem: (problem.line, problem.column)))
