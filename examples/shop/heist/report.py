"""Trust: outside.

The report: what happened in the two acts, judged attempt by attempt, as a table or as JSON.

Rules:
 1. An attempt counts as stopped only when it ended with the very outcome that its declaration names.
 2. An attempt declared to succeed without exclave must do so: otherwise it proves nothing.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from heist.act import Act, group_of, order_of_attempts
from heist.attempts import kit
from heist.thief import Outcome

WIDTH: Final = 100
LOOT: Final = (
    "startup-theft",
    "signing-key-file",
    "pepper-file",
    "ssh-key",
    "pay-a-million",
    "forge-receipt",
    "send-by-tcp",
)
SHOWN_LIMIT: Final = 78
ERRNO_NAMES: Final = frozenset(errno.errorcode.values())


@dataclass(frozen=True)
class Row:
    """One attempt, judged."""

    name: str
    wants: str
    plain: Outcome | None
    exclave: Outcome
    stopped_by: str
    problem: str


def judge(name: str, plain: Outcome | None, exclave: Outcome) -> Row:
    """Compare what happened with what the attempt declares."""
    declared = kit.CATALOGUE[name]
    layer = declared.stopped.get(exclave.code, "")
    problem = ""
    if exclave.through:
        problem = f"{name} got through: {exclave.detail}"
    elif not layer:
        stated = ", ".join(declared.stopped)
        problem = f"{name} was stopped by {exclave.code} ({exclave.detail}), not by {stated} as declared"
    elif declared.plain == kit.MUST and (plain is None or not plain.through):
        how = f"{plain.code} ({plain.detail})" if plain else "not tried"
        problem = f"{name} did not succeed without exclave: {how}"
    shown = f"{layer or '?'}, {exclave.code}" if exclave.code in ERRNO_NAMES or not layer else layer
    return Row(name, declared.wants, plain, exclave, shown, problem)


def rows(plain: Act, exclave: Act) -> list[Row]:
    """Every attempt, judged, in order."""
    return [judge(name, plain.outcomes.get(name), exclave.outcomes[name]) for name in order_of_attempts()]


def problems(judged: list[Row], plain: Act, exclave: Act) -> list[str]:
    """Everything that is not as it should be; the demonstration succeeded when this is empty."""
    found = [row.problem for row in judged if row.problem]
    found += [f"without exclave: {text}" for text in plain.problems]
    found += [f"with exclave: {text}" for text in exclave.problems]
    if not exclave.served:
        found.append("no request was served during the attack")
    return found


def loot(act: Act) -> list[tuple[str, str]]:
    """What the thief brags of after the first act: by which attempt, and what."""
    return [(name, short(act.outcomes[name].detail)) for name in LOOT if act.outcomes[name].through]


def short(text: str) -> str:
    """A text that fits beside the name of an attempt."""
    return text if len(text) <= SHOWN_LIMIT else text[: SHOWN_LIMIT - 1] + "…"


def table(judged: list[Row], width: int) -> Table:
    """The table of all attempts; what each wants is left out where the terminal is narrow."""
    made = Table(box=None, pad_edge=False, show_edge=False, width=width, header_style="bold")
    made.add_column("attempt", no_wrap=True)
    wide = width >= WIDTH
    if wide:
        made.add_column("wants", ratio=1)
    made.add_column("without", no_wrap=True)
    made.add_column("with", no_wrap=True)
    made.add_column("stopped by", no_wrap=True)
    group = ""
    for row in judged:
        if group_of(row.name) != group:
            group = group_of(row.name)
            made.add_row()
            made.add_row(Text(group, style="bold"))
        by = Text(row.stopped_by, style="red bold" if row.problem else "")
        wants = [row.wants] if wide else []
        made.add_row(row.name, *wants, word(row.plain, wanted=None), word(row.exclave, wanted=False), by)
    return made


def word(outcome: Outcome | None, *, wanted: bool | None) -> Text:
    """An outcome in one word."""
    if outcome is None:
        return Text("-", style="dim")
    if outcome.through:
        return Text("succeeds" if wanted is None else "SUCCEEDS", style="red")
    return Text("fails", style="green" if wanted is False else "dim")


def show(console: Console, plain: Act, exclave: Act, seconds: float) -> bool:
    """Print the table and the verdict; returns whether all was as it should be."""
    judged = rows(plain, exclave)
    wrong = problems(judged, plain, exclave)
    console.print(table(judged, min(WIDTH, console.width)))
    console.print()
    stopped = sum(not row.exclave.through and not row.problem for row in judged)
    succeeded = sum(outcome.through for outcome in plain.outcomes.values())
    console.print(
        f"without exclave  {succeeded} of {len(plain.outcomes)} attempts succeeded", highlight=False
    )
    console.print(
        f"with exclave     {stopped} of {len(judged)} attempts stopped as declared", highlight=False
    )
    console.print(
        f"customers        {exclave.served} of {exclave.sent} requests served during the attack",
        highlight=False,
    )
    for text in wrong:
        console.print(Text(f"problem          {text}", style="red"))
    verdict = "the shop held" if not wrong else "the shop did NOT hold"
    console.print(
        Text(f"verdict          {verdict} ({seconds:.0f} s)", style="bold red" if wrong else "bold green")
    )
    return not wrong


def as_json(plain: Act, exclave: Act, seconds: float) -> dict[str, object]:
    """The whole report as data."""
    judged = rows(plain, exclave)
    wrong = problems(judged, plain, exclave)

    def outcome(told: Outcome | None) -> dict[str, object] | None:
        return {"through": told.through, "code": told.code, "detail": told.detail} if told else None

    return {
        "attempts": [
            {
                "name": row.name,
                "group": group_of(row.name),
                "wants": row.wants,
                "without": outcome(row.plain),
                "with": outcome(row.exclave),
                "stopped_by": row.stopped_by,
                "as_declared": not row.problem,
            }
            for row in judged
        ],
        "requests": {"served": exclave.served, "sent": exclave.sent},
        "problems": wrong,
        "held": not wrong,
        "seconds": round(seconds, 1),
    }
