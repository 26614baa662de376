"""Trust: outside. The command `exclave`: a table of subcommands, each loaded when it is used.

Rules:
1. `exclave --help` imports no subcommand; the help texts are in the table.
2. A bad description exits 78 from every subcommand, printed in one way.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import click

from exclave.system.errors import DescriptionError, nearest

COMMANDS: Mapping[str, str] = {
    "run": "Boot the system that a description describes.",
    "check": "Check a description and its rules; print who reaches whom.",
    "explain": "Explain how A reaches B, or why it cannot.",
    "doctor": "Probe what this host can confine, and say how to get more.",
    "pin": "Approve what the components consist of now (exclave.lock).",
    "prove": "Prove the theorems about the core of the nucleus.",
    "status": "Show the domains of running systems.",
    "log": "Show the nucleus's log of decisions.",
}
"""Each subcommand NAME is `command` in exclave.cli.NAME; the text is its line in the help."""


class LazyGroup(click.Group):
    """A group that knows its subcommands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a subcommand."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"exclave.cli.{cmd_name}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"exclave.cli.{cmd_name}.command is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand, and suggest one for a name that is none."""
        name = args[0] if args else ""
        near = None if name in COMMANDS or name.startswith("-") else nearest(name, COMMANDS)
        if near is not None:
            ctx.fail(f'No such command "{name}"; did you mean "{near}"?')
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the subcommand; a description that cannot be used ends it."""
        try:
            return super().invoke(ctx)
        except DescriptionError as error:
            from exclave.cli import output

            output.print_problems(error.problems)
            raise click.exceptions.Exit(output.EXIT_DESCRIPTION) from None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 96})
@click.version_option(package_name="exclave", message="%(prog)s %(version)s")
def cli() -> None:
    """Move keys, passcodes and payments out of reach of the program that uses them.

    Every command has --json. Exit codes: 77 denied, 78 bad description, 125 the runtime failed, 126 and
    127 as a shell; `run` passes the monolith's own code through.
    """


def main() -> None:
    """Run the command line; the console script."""
    cli(prog_name="exclave")


if __name__ == "__main__":
    main()
