from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable

import click
import pytest
from click.testing import Result

from exclave.cli.main import COMMANDS

Run = Callable[..., Result]


def test_help_lists_every_command(run: Run) -> None:
    result = run("--help")
    assert result.exit_code == 0
    for name, text in COMMANDS.items():
        assert f"  {name}" in result.stdout
        assert text.split()[0] in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_help_imports_no_command() -> None:
    code = "import sys; from exclave.cli.main import main; sys.argv[1:] = ['--help']\ntry:\n    main()\n"
    code += "finally:\n    print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1].split()
    assert not {"rich", "asyncio", "ctypes"} & set(loaded)
    assert not {f"exclave.cli.{name}" for name in COMMANDS} & set(loaded)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_exists(name: str, run: Run) -> None:
    assert isinstance(importlib.import_module(f"exclave.cli.{name}").command, click.Command)
    assert run(name, "--help").exit_code == 0


def test_unknown_command_gets_a_suggestion(run: Run) -> None:
    result = run("chek")
    assert result.exit_code == 2
    assert 'did you mean "check"?' in result.stderr
    assert run("zzzzz").exit_code == 2


def test_version_is_printed(run: Run) -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("exclave ")
