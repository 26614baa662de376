"""Trust: outside. `exclave log`: decisions and events, checked against the chain, replayed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from exclave.abi.exceptions import printable
from exclave.cli import output
from exclave.nucleus.shell import audit, dispatch
from exclave.nucleus.shell.places import PlaceError, state_directory


def newest(system: str | None) -> Path:
    """The newest log of a system, or of all.

    Raises:
        audit.AuditError: there is none.
    """
    logs = sorted(state_directory().glob(f"{system or '*'}/*.jsonl"), key=lambda path: path.name)
    if not logs:
        raise audit.AuditError(f"no log{f' of {system}' if system else ''} in {state_directory()}")
    return logs[-1]


def sentence(entry: dict[str, Any]) -> str:
    """One line of text for an entry."""
    moment = time.strftime("%H:%M:%S", time.gmtime(entry["time"]))
    skipped = ("n", "time", "kind", "chain", "domain", "op", "args", "result", "meaning")
    rest = {key: value for key, value in entry.items() if key not in skipped}
    if entry["kind"] == "decision":
        words = entry.get("meaning") or f"{entry.get('op')}({', '.join(map(str, arguments(entry)))})"
        text = f"domain {entry.get('domain')}: {words}: {entry.get('result')}"
    else:
        details = ", ".join(f"{key}={value}" for key, value in rest.items())
        text = f"{entry['kind']} {entry.get('domain', '')} {details}".rstrip()
    # Whoever wrote the file chose these words; a terminal must not obey them (CWE-150).
    return f"{entry['n']:6} {moment} {printable(text)}"


def arguments(entry: dict[str, Any]) -> list[Any]:
    """The arguments of a decision."""
    found = entry.get("args")
    return found if isinstance(found, list) else []


def entries(path: Path) -> Iterator[dict[str, Any]]:
    """The checked entries of a log."""
    yield from audit.read(path)


@click.command()
@click.argument("what", required=False, metavar="[SYSTEM|FILE]")
@click.option("--replay", is_flag=True, help="Run every decision through the core again and compare.")
@output.json_option
def command(what: str | None, replay: bool, as_json: bool) -> None:
    """Show the newest log of SYSTEM (or of any), or the log FILE, after checking its hash chain."""
    try:
        path = Path(what) if what and ("/" in what or Path(what).is_file()) else newest(what)
        if replay:
            count = dispatch.replay(audit.read(path))
            if as_json:
                output.print_json({"log": str(path), "decisions": count, "same": True})
            else:
                click.echo(f"{path}: {count} decisions replayed, all the same")
            return
        for entry in entries(path):
            click.echo(msgspec.json.encode(entry).decode() if as_json else sentence(entry))
    except (audit.AuditError, dispatch.ReplayError, PlaceError, OSError) as error:
        output.console(stderr=True).print(f"exclave: {error}")
        raise click.exceptions.Exit(output.EXIT_RUNTIME) from None
