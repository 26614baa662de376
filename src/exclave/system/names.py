"""Trust: reviewed. The forms that names in a description may have, and the messages for them."""

from __future__ import annotations

import re

from exclave.system.table import Table

NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
SECRET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DISTRIBUTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
COMPONENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
DEVICE = re.compile(r"/dev/[^/\x00]+(?:/[^/\x00]+)*")

RESERVED = frozenset(
    {"monolith", "nucleus", "network", "region", "notification", "conclave", "path", "system"}
)
"""Names no component may have: they mean something else in a target or in a report."""

NAME_FORM = "a name: a lower-case letter, then at most 31 lower-case letters, digits or hyphens"


def normalised(distribution: str) -> str:
    """Return a distribution's name in its one normal form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def check_name(table: Table, kind: str, name: str) -> None:
    """Report the NAME of [kind.NAME] if it is not a name, or a reserved one."""
    if NAME.fullmatch(name) is None:
        better = suggestion(name)
        example = f"rename it, for instance to [{kind}.{better}]"
        table.report.error(table.path, f"the name in {table.title} must be {NAME_FORM}", example)
    elif kind in ("exclave", "driver") and name in RESERVED:
        cause = f'"{name}" is reserved and cannot be the name of {"an" if kind == "exclave" else "a"} {kind}'
        table.report.error(table.path, cause, f"rename it, for instance to [{kind}.{name}-1]")


def suggestion(name: str) -> str:
    """Return the name that is nearest to `name` and has the right form."""
    better = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:32].strip("-")
    if not better:
        return "name"
    return better if better[0].isalpha() else f"x{better}"[:32]
