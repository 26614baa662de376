"""The manual's pages, executed: their files are written, their commands run, their output compared."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass, field

import pytest

from conftest import SystemWriter
from support.ordinary import CHECKOUT, User, both_users, run_as

MANUAL = CHECKOUT / "docs" / "manual"
PAGES = ("first-system.md", "components.md")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"^# ([a-z]+\.(?:py|toml))\n")
ANYTHING = "..."


@dataclass(slots=True)
class Page:
    """A page's files, and its commands with the output they must have."""

    files: dict[str, str] = field(default_factory=dict)
    commands: list[tuple[str, str]] = field(default_factory=list)


def read(text: str) -> Page:
    """The blocks of a page: those that begin with a file's name, and the consoles."""
    page = Page()
    for kind, body in BLOCK.findall(text):
        if kind == "console":
            for command in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                line, _, output = command.partition("\n")
                page.commands.append((line, output))
        elif named := NAMED.match(body):
            page.files[named[1]] = body
    return page


def pattern(output: str) -> re.Pattern[str]:
    """An expected output as a pattern: a line "..." is any lines, and "..." within a line any text."""
    lines = [
        r"(?:.*\n)*" if line == ANYTHING else re.escape(line).replace(re.escape(ANYTHING), ".*") + r"\n"
        for line in output.splitlines()
    ]
    return re.compile("".join(lines))


@both_users
@pytest.mark.parametrize("name", PAGES)
def test_page_prints_what_it_says(name: str, user: User, write_system: SystemWriter) -> None:
    page = read((MANUAL / name).read_text())
    assert page.files
    assert page.commands
    root = write_system({f"app/{file}": text for file, text in page.files.items()})
    environment = {
        "XDG_CONFIG_HOME": str(root / "config"),
        "XDG_STATE_HOME": str(root / "state"),
    }
    for line, expected in page.commands:
        words = shlex.split(line)
        assert words[0] == "exclave"
        command = [sys.executable, "-m", "exclave.cli.main", *words[1:]]
        done = run_as(user, command, cwd=root / "app", env=environment)
        assert done.returncode == 0, done.stderr
        assert pattern(expected).fullmatch(done.stdout), f"$ {line}\n{done.stdout}"


def test_a_page_with_other_output_is_noticed() -> None:
    page = read("```console\n$ exclave run\nsigned: 64\n...\nlast\n```\n")
    assert page.commands == [("exclave run", "signed: 64\n...\nlast\n")]
    wanted = pattern(page.commands[0][1])
    assert wanted.fullmatch("signed: 64\nlast\n")
    assert wanted.fullmatch("signed: 64\na\nb\nlast\n")
    assert not wanted.fullmatch("signed: 65\nlast\n")
    assert not wanted.fullmatch("signed: 64\nlast\nmore\n")
