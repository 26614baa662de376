"""Trust: reviewed. Checks what the monolith runs and which variables it is given."""

from __future__ import annotations

import os
import shutil

from exclave.system.containment import holds
from exclave.system.errors import quote
from exclave.system.grants import grants, implicit_reads
from exclave.system.locate import KeyPath
from exclave.system.model import Description
from exclave.system.table import Report

SECRET_WORDS = ("TOKEN", "KEY", "PASSWORD", "PASSWD", "SECRET", "CREDENTIAL", "PRIVATE")


def check(report: Report, description: Description) -> None:
    """Report variables that cannot be set; warn of secrets in them and of a command that will not start."""
    _command(report, description)
    _environment(report, description)


def _command(report: Report, description: Description) -> None:
    """Warn of a command that will not start; it is run in the description's directory."""
    words = description.monolith.command
    if "/" in words[0]:
        _script(report, description, 0)
    elif words[0] not in ("python", "python3") and shutil.which(words[0]) is None:
        cause = f"the command {quote(words[0])} is not on PATH"
        report.warning(("monolith", "command", 0), cause, "install it, or write its path", value=True)
    if "python" in words[0] and len(words) > 1 and words[1].endswith(".py"):
        _script(report, description, 1)


def _script(report: Report, description: Description, index: int) -> None:
    word = description.monolith.command[index]
    key: KeyPath = ("monolith", "command", index)
    path = os.path.join(description.directory, word)  # noqa: PTH118 - as the command's own open(2) sees it
    readable = (*(grant.path for grant in grants(description)), *implicit_reads(description))
    if not os.path.exists(path):  # noqa: PTH110
        report.warning(
            key,
            f"there is no {quote(word)} in the description's directory",
            "correct the command, or create it",
            value=True,
        )
    elif not any(holds(place, path) for place in readable):
        cause = f"the monolith is not given {quote(word)}, which its command needs"
        report.warning(key, cause, 'name its directory as program, or add it to "read"', value=True)


def _environment(report: Report, description: Description) -> None:
    monolith = description.monolith
    table: KeyPath = ("monolith", "environment")
    for name in monolith.environment:
        if name.startswith("EXCLAVE_"):
            fix = "remove it; the names that start with EXCLAVE_ are set by the nucleus"
            report.error((*table, name), f'"environment" cannot set {name}', fix)
        elif _looks_secret(name):
            _secret_variable(report, (*table, name), name)
    for index, name in enumerate(monolith.pass_environment):
        key: KeyPath = ("monolith", "pass_environment", index)
        if name in monolith.environment:
            line = report.line((*table, name))
            cause = f'{name} is in "environment" and in "pass_environment"'
            report.error(key, cause, f"remove one; it is set on line {line}", value=True)
        elif name.startswith("EXCLAVE_"):
            report.error(
                key, f'"pass_environment" cannot pass {name}', "remove it; the nucleus sets it", value=True
            )
        elif _looks_secret(name):
            _secret_variable(report, key, name)


def _secret_variable(report: Report, key: KeyPath, name: str) -> None:
    cause = f"{name} looks like a secret, and the monolith will know it"
    report.warning(key, cause, "make it a secret of an exclave, and let the monolith call that", value=True)


def _looks_secret(name: str) -> bool:
    return any(word in name.upper() for word in SECRET_WORDS)
