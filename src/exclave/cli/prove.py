"""Trust: outside. `exclave prove`: the theorems about the core, proved over the source that is installed."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from exclave.cli import output

if TYPE_CHECKING:
    from rich.console import Console

    from exclave.proofs.report import Report
    from exclave.proofs.tasks import Outcome

MISSING = "The proofs need the solver z3, which is not installed. Run:  pip install 'exclave[prove]'"
NO_SECOND = "--cvc5 needs cvc5, which is not installed. Run:  pip install cvc5"


def solver_is_there() -> bool:
    """Say whether z3 is installed."""
    return importlib.util.find_spec("z3") is not None


@click.command(short_help="Prove the theorems about the core of the nucleus.")
@click.option("--op", "operation", metavar="X", help="Only this operation of the core.")
@click.option("--theorem", metavar="X", help="Only this theorem.")
@click.option("--mutants", is_flag=True, help="Also refute the core with single faults in it.")
@click.option("--noninterference", "flow", is_flag=True, help="Also prove noninterference.")
@click.option(
    "--filters", is_flag=True, help="Prove the seccomp programs instead: their bytes are their policy."
)
@click.option("--list", "listing", is_flag=True, help="List the theorems, and prove nothing.")
@click.option("--no-cache", is_flag=True, help="Prove again what was proved of this source before.")
@click.option("--cvc5", "twice", is_flag=True, help="Let cvc5 confirm each answer (slow).")
@output.json_option
def command(
    operation: str | None,
    theorem: str | None,
    mutants: bool,
    flow: bool,
    filters: bool,
    listing: bool,
    no_cache: bool,
    twice: bool,
    as_json: bool,
) -> None:
    """Prove the theorems about the core of the nucleus, for all states and all arguments.

    The source that is installed is executed symbolically. Exits 0 when all is proved and every mutant is
    refuted, 1 when not, 125 when the solver is not installed.
    """
    if not solver_is_there():
        click.echo(MISSING, err=True)
        raise click.exceptions.Exit(output.EXIT_RUNTIME)
    from exclave.proofs import second
    from exclave.proofs.pool import WorkerDied
    from exclave.proofs.report import Wanted, all_theorems, prove
    from exclave.proofs.source import home_of

    if operation is not None and operation not in home_of():
        raise click.BadParameter(f"there is no operation {operation}", param_hint="--op")
    if theorem is not None and theorem not in all_theorems():
        raise click.BadParameter(f"there is no theorem {theorem}; see --list", param_hint="--theorem")
    if twice and not second.available():
        click.echo(NO_SECOND, err=True)
        raise click.exceptions.Exit(output.EXIT_RUNTIME)
    if listing:
        _list(as_json)
        return
    if filters:
        _filters(as_json)
        return
    wanted = Wanted(
        operations=() if operation is None else (operation,),
        theorem=theorem,
        mutants=mutants,
        flow=flow,
        cached=not no_cache,
        twice=twice,
    )
    progress = _Progress(output.console(stderr=True))
    try:
        report = prove(wanted, progress.show)
    except WorkerDied as error:
        click.echo(f"the proof was not finished: {error}", err=True)
        raise click.exceptions.Exit(output.EXIT_RUNTIME) from None
    finally:
        progress.clear()
    if as_json:
        output.print_json(report.as_json())
    else:
        _print(output.console(), report)
    if not report.good:
        raise click.exceptions.Exit(1)


def _filters(as_json: bool) -> None:
    """Prove every seccomp program.

    Raises:
        click.exceptions.Exit: one is not its policy, with exit code 1.
    """
    from exclave.proofs.seccomp import prove_all

    verdicts = []
    for verdict in prove_all():
        verdicts.append(verdict)
        if not as_json:
            answer = "proved" if verdict.proved else f"FAILED: {verdict.counterexample}"
            click.echo(f"{verdict.title}, {verdict.instructions} instructions: {answer}")
    if as_json:
        output.print_json({"programs": verdicts})
    else:
        click.echo(
            f"{sum(verdict.proved for verdict in verdicts)} of {len(verdicts)} programs are their policy"
        )
    if not all(verdict.proved for verdict in verdicts):
        raise click.exceptions.Exit(1)


def _list(as_json: bool) -> None:
    from exclave.proofs.report import all_theorems

    found = all_theorems()
    if as_json:
        output.print_json([{"theorem": n, "group": g, "sentence": s} for n, (g, s) in found.items()])
        return
    group = ""
    for name, (own, sentence) in found.items():
        if own != group:
            group = own
            click.echo(f"{group}:")
        click.echo(f"  {name}: {sentence}")


class _Progress:
    """One line on a terminal that says what is done; nothing elsewhere."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._active = out.is_terminal

    def show(self, outcome: Outcome, done: int, total: int) -> None:
        """Say that a task is done."""
        if self._active:
            line = f"{done} of {total}: {outcome['kind']} {outcome['task']}"
            self._out.file.write(f"\r\x1b[K{line[: self._out.width - 1]}")
            self._out.file.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._active:
            self._out.file.write("\r\x1b[K")
            self._out.file.flush()


def _print(out: Console, report: Report) -> None:
    rows = _rows(report)
    if out.is_terminal:
        table = Table(*rows[0], box=None, pad_edge=False, header_style="bold")
        for row in rows[1:]:
            table.add_row(*(Text(one, "red" if "FAILED" in one else "") for one in row))
        out.print(table)
    else:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            padded = (one.ljust(width) for one, width in zip(row, widths, strict=True))
            click.echo("  ".join(padded).rstrip())
    _print_failures(out, report)
    _print_mutants(out, report)
    _print_summary(out, report)


def _rows(report: Report) -> list[tuple[str, ...]]:
    from exclave.proofs.report import COLUMNS, cell

    shown = [column for column in COLUMNS if any(one["group"] == column for one in report.proofs)]
    rows: list[tuple[str, ...]] = [("operation", "paths", *shown)]
    paths = {
        one["task"]: str(one["paths"]) for one in report.outcomes if one["kind"] in ("base", "operation")
    }
    for name in dict.fromkeys(one["operation"] for one in report.proofs):
        own = [one for one in report.proofs if one["operation"] == name]
        cells = [cell([one for one in own if one["group"] == column])[0] for column in shown]
        rows.append((name, paths.get(name, ""), *cells))
    return rows


def _print_failures(out: Console, report: Report) -> None:
    for one in report.proofs:
        if one["result"] != "proved":
            line = f"{one['result']}: {one['operation']} does not keep {one['theorem']}"
            out.print(Text(line, "red"))
    for outcome in report.outcomes:
        if outcome["kind"] == "mutant":
            continue
        for name, lines in outcome["counterexamples"].items():
            out.print(Text(f"counterexample to {name}:", "bold"))
            for line in lines:
                out.print(Text(f"  {line}"))


def _print_mutants(out: Console, report: Report) -> None:
    if not report.mutants:
        return
    for one in report.mutants:
        by = ", ".join(one["killed_by"][:3]) or "NOTHING"
        out.print(
            Text(
                f"{one['task']}: refuted in {one['operation'] or '-'} by {by}",
                "" if by != "NOTHING" else "red",
            )
        )
    killed = sum(bool(one["killed_by"]) for one in report.mutants)
    out.print(f"{killed} of {len(report.mutants)} mutants refuted")
    idle = report.unkilled_theorems()
    if idle:
        out.print(f"theorems that no mutant breaks: {', '.join(idle)}")


def _print_summary(out: Console, report: Report) -> None:
    total = len(report.proofs)
    bad = sum(one["result"] != "proved" for one in report.proofs)
    kept = f", {report.taken} of {len(report.outcomes)} results from the cache" if report.taken else ""
    out.print(f"source {report.source_sha256}")
    verdict = "all proved" if not bad else f"{bad} NOT proved"
    out.print(
        Text(f"{total} theorems: {verdict}, in {report.seconds:.1f}s{kept}", "green" if not bad else "red")
    )
