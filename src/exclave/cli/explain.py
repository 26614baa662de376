"""Trust: outside. `exclave explain`: the route from A to B, hop by hop, or why there is none."""

from __future__ import annotations

import os

import click
from rich.text import Text

from exclave.cli import output
from exclave.system.check import check
from exclave.system.explain import Explanation, Step, UnknownName, explain

_ANSWERS = {
    "direct": ("yes", "bold red"),
    "through": ("only by asking others", "bold yellow"),
    "none": ("no route", "bold green"),
}


@click.command(short_help="Explain how A reaches B, or why it cannot.")
@click.argument("words", nargs=-1, required=True, metavar="[FILE] A B")
@output.json_option
def command(words: tuple[str, ...], as_json: bool) -> None:
    """Explain how domain A reaches B, hop by hop, or why it cannot.

    A is a domain. B is "signer" (may A call it), "signer.secrets.NAME", "region.NAME", "notification.NAME",
    "network" or "path:/DIR". FILE is $EXCLAVE_DESCRIPTION or ./exclave.toml unless given.
    """
    if len(words) not in (2, 3):
        raise click.UsageError("give A and B, with the description before them if it is not ./exclave.toml")
    file = words[0] if len(words) == 3 else os.environ.get("EXCLAVE_DESCRIPTION", "exclave.toml")
    source = check(file).source
    try:
        explanation = explain(source, words[-2], words[-1])
    except UnknownName as error:
        raise click.UsageError(f"{error.cause}\n  fix: {error.fix}") from None
    if as_json:
        output.print_json(explanation)
    else:
        _print(explanation, source.name)


def _print(explanation: Explanation, file: str) -> None:
    out = output.console()
    answer, style = _ANSWERS[explanation.route]
    out.print(Text.assemble((f"{explanation.source} -> {explanation.target}: ", "bold"), (answer, style)))
    for number, step in enumerate(explanation.steps, 1):
        out.print(Text.assemble(f"  {number}. ", describe(step), (f"  {file}:{step.line}", "dim")))
    for note in explanation.notes:
        out.print(Text(f"  {note}"))


def describe(step: Step) -> str:
    """Write one hop as a sentence."""
    rights = ", ".join(step.rights)
    match step.kind:
        case "call":
            return f"{step.source} calls {step.target} ({rights}; badge {step.badge})"
        case "keep":
            return f"{step.source} keeps {step.target} in its secret memory"
        case "map":
            return f"{step.source} maps {step.target} ({rights})"
        case "signal":
            return f"{step.source} signals {step.target}"
        case "wait":
            return f"{step.source} waits for {step.target}"
        case "network":
            return f"{step.source} has the network ({rights})"
        case _:
            return f"{step.source} opens {step.target} ({rights})"
