"""Trust: outside. `exclave check`: is the description good, are its never rules true, who may reach whom."""

from __future__ import annotations

import click
import msgspec

from exclave.cli import output, overview
from exclave.system.check import Checked, check
from exclave.system.errors import DescriptionError, Problem, nearest
from exclave.system.graph import Graph, build
from exclave.system.reach import Verdict, decide
from exclave.system.render import to_mermaid, to_text


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """What --json prints."""

    ok: bool
    file: str
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    graph: Graph | None = None
    rules: tuple[Verdict, ...] = ()


@click.command(short_help="Check a description, decide its never rules, print who may reach whom.")
@output.description_argument
@click.option(
    "--graph", "graph_form", type=click.Choice(["text", "mermaid"]), help="Print only the capability graph."
)
@click.option(
    "--compromised",
    metavar="A,B",
    help="Decide the never rules as if these domains were compromised, besides each rule's own.",
)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a description, and check nothing.")
@output.json_option
def command(file: str, graph_form: str | None, compromised: str | None, schema: bool, as_json: bool) -> None:
    """Check a description, decide its never rules, and print who may reach whom.

    FILE is $EXCLAVE_DESCRIPTION or ./exclave.toml unless given. A never rule is decided for compromised
    domains that act together: by default the monolith and all drivers. Exits 0 when all is well, 78 when
    the description is bad, 77 when a never rule is false.
    """
    if schema:
        from exclave.system.schema import json_schema

        output.print_json(json_schema())
        return
    try:
        checked = check(file)
    except DescriptionError as error:
        if as_json:
            output.print_json(Report(ok=False, file=file, errors=error.problems))
            raise click.exceptions.Exit(output.EXIT_DESCRIPTION) from None
        raise
    verdicts = decide(checked.description, _domains(checked, compromised))
    _print(checked, verdicts, graph_form, as_json)
    if not all(verdict.holds for verdict in verdicts):
        raise click.exceptions.Exit(output.EXIT_DENIED)


def _domains(checked: Checked, compromised: str | None) -> tuple[str, ...] | None:
    """Return the domains that --compromised names."""
    if compromised is None:
        return None
    names = tuple(name.strip() for name in compromised.split(",") if name.strip())
    for name in names:
        if name not in checked.description.domains:
            near = nearest(name, checked.description.domains)
            hint = f'; did you mean "{near}"?' if near else ""
            raise click.BadParameter(f'there is no domain "{name}"{hint}', param_hint="--compromised")
    return names


def _print(checked: Checked, verdicts: tuple[Verdict, ...], graph_form: str | None, as_json: bool) -> None:
    graph = build(checked.description)
    directory = checked.description.directory
    if as_json:
        ok = all(verdict.holds for verdict in verdicts)
        name = checked.source.name
        output.print_json(Report(ok=ok, file=name, warnings=checked.warnings, graph=graph, rules=verdicts))
        return
    output.print_problems(checked.warnings, warning=True)
    if graph_form is not None:
        text = to_mermaid(graph, directory) if graph_form == "mermaid" else to_text(graph, directory)
        click.echo(text, nl=False)
        overview.print_rules(output.console(stderr=True), checked.source, verdicts, only_false=True)
        return
    overview.print_system(output.console(), checked.source, graph)
    overview.print_rules(output.console(), checked.source, verdicts)
    overview.print_summary(output.console(), checked.description, verdicts)
