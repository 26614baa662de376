"""Trust: outside. `exclave pin`: approve what the components consist of now."""

from __future__ import annotations

from pathlib import Path

import click

from exclave.cli import output
from exclave.nucleus.shell import pins
from exclave.nucleus.shell.measure import MeasureError, measure
from exclave.system.check import check


@click.command()
@output.description_argument
@output.json_option
def command(file: str, as_json: bool) -> None:
    """Measure the components that FILE describes and write exclave.lock beside it.

    From then on `exclave run` refuses a component with a file that is new, gone or changed.
    """
    description = check(file).description
    measured: dict[str, dict[str, str]] = {}
    try:
        for name, entry in description.components.items():
            content = measure(Path(description.directory), entry.component.module, entry.packages)
            measured[name] = content.hashes()
    except MeasureError as error:
        output.console(stderr=True).print(f"exclave: {error}")
        raise click.exceptions.Exit(output.EXIT_DESCRIPTION) from None
    pins.save(Path(description.lock), measured)
    if as_json:
        output.print_json({"lock": description.lock, "components": measured})
        return
    for name, files in measured.items():
        click.echo(f"{name}: {len(files)} files")
    click.echo(f"pinned in {description.lock}")
