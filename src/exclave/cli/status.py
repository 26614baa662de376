"""Trust: outside. `exclave status`: what a running system looks like from its nucleus."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from exclave.cli import output
from exclave.nucleus.shell import status
from exclave.nucleus.shell.places import PlaceError


def show(answer: dict[str, Any]) -> None:
    """Print a snapshot as two tables."""
    out = output.console()
    out.print(f"{answer['system']}  tier {answer['tier']}  {answer['stage']}  nucleus {answer['pid']}")
    domains = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("domain", "kind", "state", "pid", "uid", "serves", "faults"):
        domains.add_column(column)
    for entry in answer["domains"]:
        domains.add_row(
            entry["name"],
            entry["kind"],
            entry["state"],
            str(entry.get("pid", "-")),
            str(entry.get("uid", "-")),
            ", ".join(entry.get("methods", ())) or "-",
            str(entry.get("faults", "-")),
        )
    capabilities = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("holder", "kind", "target", "rights", "badge", "live"):
        capabilities.add_column(column)
    for entry in answer["capabilities"]:
        capabilities.add_row(
            entry["holder"],
            entry["kind"],
            entry["target"],
            ", ".join(entry["rights"]),
            str(entry["badge"]),
            "yes" if entry["live"] else "no",
        )
    out.print()
    out.print(domains)
    out.print()
    out.print(capabilities)
    for entry in answer["domains"]:
        for note in (*entry.get("notes", ()), *((entry["reason"],) if entry.get("reason") else ())):
            out.print(f"{entry['name']}: {note}")
    out.print(f"log: {answer['log']}")


@click.command()
@click.argument("system", required=False)
@output.json_option
def command(system: str | None, as_json: bool) -> None:
    """Show the domains, capabilities and tier of a running system; SYSTEM is needed when several run."""
    try:
        answer = status.ask(system)
    except (status.StatusError, PlaceError) as error:
        output.console(stderr=True).print(f"exclave: {error}")
        raise click.exceptions.Exit(output.EXIT_RUNTIME) from None
    if as_json:
        output.print_json(answer)
    else:
        show(answer)
