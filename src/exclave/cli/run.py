"""Trust: outside. `exclave run`: boot a system, be its nucleus, end with its monolith's exit code."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from pathlib import Path
from typing import NoReturn

import click
import msgspec

from exclave.cli import output, overview
from exclave.monolith import run as system
from exclave.nucleus.shell import provision
from exclave.nucleus.shell.dispatch import NucleusBug
from exclave.nucleus.shell.nucleus import Options
from exclave.nucleus.shell.tier import Tier
from exclave.system.check import Checked, check
from exclave.system.description import Description
from exclave.system.reach import decide

INLINE_VARIABLE = "EXCLAVE_INLINE"


class Reporter:
    """Shows what the nucleus says on standard error: short lines, or JSON lines."""

    def __init__(self, quiet: bool, as_json: bool) -> None:
        self._quiet = quiet
        self._json = as_json
        self._console = output.console(stderr=True, lasting=True)
        self._started = time.monotonic()

    def __call__(self, level: str, text: str) -> None:
        """Show one message; output of exclaves and warnings are shown even when quiet."""
        if self._quiet and level in ("progress", "notice"):
            return
        try:
            self._print(level, text)
        except OSError:
            # Whoever read standard error is gone; the system runs on, and says the rest to nobody.
            with contextlib.suppress(OSError), open(os.devnull, "wb") as nothing:
                os.dup2(nothing.fileno(), sys.stderr.fileno())

    def _print(self, level: str, text: str) -> None:
        if self._json:
            entry = {"level": level, "text": text, "seconds": round(time.monotonic() - self._started, 3)}
            sys.stderr.write(msgspec.json.encode(entry).decode() + "\n")
            return
        if level == "output":
            self._console.print(text)
            return
        style = {"warning": "yellow", "notice": "cyan"}.get(level, "dim")
        self._console.print(f"exclave: {text}", style=style)


def parse_secrets(values: tuple[str, ...], directory: str | None, description: Description) -> dict[str, str]:
    """`--secret NAME=FILE` and `--secrets DIR` as "EXCLAVE.SECRET" -> file.

    Raises:
        click.UsageError: malformed, or no such secret in the description, or two from standard input.
    """
    known = {f"{name}.{secret}" for name, entry in description.components.items() for secret in entry.secrets}
    result: dict[str, str] = {}
    if directory is not None:
        result = {name: str(Path(directory).absolute().joinpath(*name.split(".", 1))) for name in known}
    for value in values:
        name, equals, path = value.partition("=")
        if not equals or name not in known:
            have = ", ".join(sorted(known)) or "none"
            raise click.UsageError(f"--secret {value}: expected EXCLAVE.SECRET=FILE with one of: {have}")
        result[name] = path
    if list(result.values()).count(provision.STANDARD_INPUT) > 1:
        raise click.UsageError("only one secret can come from standard input")
    return result


def refuse_false_rules(checked: Checked) -> None:
    """End here when a never rule is false: a system that breaks its own rules does not boot.

    Raises:
        click.exceptions.Exit: one is, with exit code 77; each is printed with the way that breaks it.
    """
    verdicts = decide(checked.description)
    if not all(verdict.holds for verdict in verdicts):
        overview.print_rules(output.console(stderr=True), checked.source, verdicts, only_false=True)
        raise click.exceptions.Exit(output.EXIT_DENIED)


def run_inline(description: Description, secrets: dict[str, str]) -> NoReturn:
    """Become the monolith's command with every component inside it: development only."""
    exclaves = {
        name: {
            "component": str(entry.component),
            "secrets": {
                secret: provision.find(description, name, secret, secrets) for secret in entry.secrets
            },
            "use": {use.target: use.rights for use in entry.use},
        }
        for name, entry in description.components.items()
    }
    monolith = description.monolith
    inline = {
        "exclaves": exclaves,
        "monolith": {use.target: use.rights for use in monolith.use},
        "path": description.directory,
    }
    environment = dict(os.environ) | monolith.environment
    environment[INLINE_VARIABLE] = msgspec.json.encode(inline).decode()
    os.chdir(description.directory)
    command = system.look_up_command(description, environment.get("PATH", os.defpath))
    os.execve(command[0], command, environment)


@click.command()
@output.description_argument
@click.option(
    "--secret", "secrets", multiple=True, metavar="EXCLAVE.SECRET=FILE", help="Where a secret is; - is stdin."
)
@click.option("--secrets", "directory", metavar="DIR", help="Look for all secrets in DIR/EXCLAVE/SECRET.")
@click.option(
    "--tier", type=click.Choice([tier.value for tier in Tier]), help="Accept a weaker tier, by its name."
)
@click.option("--inline", is_flag=True, help="DEVELOPMENT ONLY: everything in one process, nothing isolated.")
@click.option("--quiet", "-q", is_flag=True, help="Show warnings and output only.")
@output.json_option
def command(
    file: str,
    secrets: tuple[str, ...],
    directory: str | None,
    tier: str | None,
    inline: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Boot the system that FILE describes, and end with its monolith's exit code.

    The exclaves start first, each in a domain of its own, then the monolith's command, with exactly what the
    description grants it. Standard input and output are the monolith's.
    """
    checked = check(file)
    if not quiet:
        output.print_problems(checked.warnings, warning=True)
    given = parse_secrets(secrets, directory, checked.description)
    report = Reporter(quiet, as_json)
    refuse_false_rules(checked)
    try:
        if inline:
            report("warning", "INLINE: nothing is isolated; for development only")
            if provision.STANDARD_INPUT in given.values():
                raise click.UsageError("with --inline, standard input is the command's; name a file")
            run_inline(checked.description, given)
        options = Options(secrets=given, environment=dict(os.environ))
        code = system.run(checked.description, Tier(tier) if tier else None, options, report)
    except system.Denied as error:
        report("warning", str(error))
        raise click.exceptions.Exit(output.EXIT_DENIED) from None
    except system.RunError as error:
        report("warning", str(error))
        raise click.exceptions.Exit(error.code) from None
    except NucleusBug:
        report("warning", f"a bug of the nucleus, please report it:\n{traceback.format_exc()}")
        raise click.exceptions.Exit(output.EXIT_RUNTIME) from None
    sys.exit(code)
