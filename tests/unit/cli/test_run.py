from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click
import pytest
from click.testing import Result

from exclave.cli.run import Reporter, parse_secrets
from exclave.monolith import run as system
from exclave.nucleus.shell.dispatch import NucleusBug
from exclave.nucleus.shell.nucleus import Options
from exclave.system.check import check

Run = Callable[..., Result]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--tier", "none"), "Invalid value for '--tier'"),
        (("--secret", "signer.signing-key"), "expected EXCLAVE.SECRET=FILE with one of: signer.signing-key"),
        (("--secret", "signer.other=/x"), "expected EXCLAVE.SECRET=FILE"),
        (("--secret", "=x"), "expected EXCLAVE.SECRET=FILE"),
        (("--no-such-option",), "No such option"),
        (("exclave.toml", "more"), "unexpected extra argument"),
        (("--inline", "--secret", "signer.signing-key=-"), "standard input is the command's"),
    ],
)
def test_wrong_use_exits_2_and_says_what_is_expected(
    shop: Path, run: Run, arguments: tuple[str, ...], text: str
) -> None:
    result = run("run", *arguments)
    assert result.exit_code == 2
    assert text in result.stderr
    assert result.stdout == ""


def test_two_secrets_from_standard_input_are_refused(shop: Path) -> None:
    shop.write_text(shop.read_text().replace('["signing-key"]', '["signing-key", "pepper"]'))
    description = check(str(shop)).description
    with pytest.raises(click.UsageError, match="only one secret can come from standard input"):
        parse_secrets(("signer.signing-key=-", "signer.pepper=-"), None, description)


def test_secrets_are_given_one_by_one_or_by_directory(shop: Path, tmp_path: Path) -> None:
    description = check(str(shop)).description
    assert parse_secrets((), None, description) == {}
    assert parse_secrets(("signer.signing-key=a=b",), None, description) == {"signer.signing-key": "a=b"}
    found = parse_secrets((), "keys", description)
    assert found == {"signer.signing-key": str(tmp_path / "keys" / "signer" / "signing-key")}
    found = parse_secrets(("signer.signing-key=/other",), "keys", description)
    assert found == {"signer.signing-key": "/other"}


def test_bad_description_exits_78(shop: Path, run: Run) -> None:
    shop.write_text(shop.read_text().replace("use =", "usee ="))
    result = run("run")
    assert result.exit_code == 78
    assert 'exclave.toml:15: unknown key "usee"' in result.stderr
    assert run("run", "missing.toml").exit_code == 78


def test_false_rule_exits_77_before_anything_is_started(shop: Path, run: Run) -> None:
    shop.write_text(shop.read_text() + '\n[[never]]\nfrom = "monolith"\nreach = "signer"\n')
    result = run("run")
    assert result.exit_code == 77
    assert "never monolith -> signer: FALSE" in result.stderr
    assert "never monolith -> signer.secrets.signing-key" not in result.stderr


def raising(error: Exception) -> Callable[..., NoReturn]:
    def fail(*_arguments: object) -> NoReturn:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (system.Denied("not as pinned"), 77, "exclave: not as pinned"),
        (system.RunError("signer exited with 1"), 125, "exclave: signer exited with 1"),
        (system.RunError("x: not found", 127), 127, "exclave: x: not found"),
        (NucleusBug("contradiction"), 125, "exclave: a bug of the nucleus, please report it:"),
    ],
)
def test_what_stops_a_run_has_its_exit_code(
    shop: Path, run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, text: str
) -> None:
    monkeypatch.setattr(system, "run", raising(error))
    result = run("run")
    assert result.exit_code == code
    assert text in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("code", [0, 1, 42, 143])
def test_code_of_the_monolith_passes_through(
    shop: Path, run: Run, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    given: list[Any] = []

    def running(*arguments: object) -> int:
        given.extend(arguments)
        return code

    monkeypatch.setattr(system, "run", running)
    result = run("run", "--tier", "no-landlock", "--secret", "signer.signing-key=/k")
    assert result.exit_code == code
    assert given[0] == check(str(shop)).description
    assert given[1].value == "no-landlock"
    assert isinstance(given[2], Options)
    assert given[2].secrets == {"signer.signing-key": "/k"}
    assert given[2].environment == dict(os.environ)


def test_json_prints_one_object_for_each_message(
    shop: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "run", raising(system.RunError("one\ntwo")))
    result = run("run", "--json")
    (entry,) = [json.loads(line) for line in result.stderr.splitlines()]
    assert entry["level"] == "warning"
    assert entry["text"] == "one\ntwo"
    assert entry["seconds"] >= 0


def test_warnings_of_the_description_are_printed_unless_quiet(
    shop: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.write_text(shop.read_text().replace('read = ["./data"]', 'pass_environment = ["API_TOKEN"]'))
    monkeypatch.setattr(system, "run", lambda *_: 0)
    assert "API_TOKEN looks like a secret" in run("run").stderr
    assert run("run", "--quiet").stderr == ""


@pytest.mark.parametrize(
    ("quiet", "shown"),
    [(False, "exclave: p\nexclave: n\nexclave: w\n[signer] o\n"), (True, "exclave: w\n[signer] o\n")],
)
def test_quiet_leaves_warnings_and_output(
    capsys: pytest.CaptureFixture[str], quiet: bool, shown: str
) -> None:
    report = Reporter(quiet, as_json=False)
    for level, text in (("progress", "p"), ("notice", "n"), ("warning", "w"), ("output", "[signer] o")):
        report(level, text)
    assert capsys.readouterr().err == shown


def test_text_of_an_exclave_is_never_markup(capsys: pytest.CaptureFixture[str]) -> None:
    Reporter(quiet=False, as_json=False)("output", "[signer] [bold red]x[/] :smile: https://x " + "y" * 200)
    expected = "[signer] [bold red]x[/] :smile: https://x " + "y" * 200 + "\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("as_json", [False, True])
def test_reader_of_standard_error_that_is_gone_does_not_stop_the_run(as_json: bool) -> None:
    text = f"""
import sys
from exclave.cli.run import Reporter
report = Reporter(quiet=False, as_json={as_json})
for _ in range(3):
    report("warning", "x" * 100)
print("still here")
sys.exit(42)
"""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=writing, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stdout) == (42, "still here\n")


def test_inline_runs_the_command_with_the_system_in_its_environment(
    shop: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path.parent / f"{tmp_path.name}-key"
    key.write_text("x")
    started: list[Any] = []

    def execute(*arguments: object) -> NoReturn:
        started.extend(arguments)
        raise SystemExit(0)

    monkeypatch.setattr("os.execve", execute)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    result = run("run", "--inline", "--secret", f"signer.signing-key={key}")
    key.unlink()
    assert result.exit_code == 0
    assert "INLINE: nothing is isolated" in result.stderr
    program, words, environment = started
    assert words[0] == program
    assert words[1:] == ["app.py"]
    assert json.loads(environment["EXCLAVE_INLINE"]) == {
        "exclaves": {
            "signer": {
                "component": "signer:Signer",
                "secrets": {"signing-key": str(key)},
                "use": {},
            },
            "nic": {"component": "nic:Nic", "secrets": {}, "use": {}},
        },
        "monolith": {"signer": 6},
        "path": str(tmp_path),
    }


def test_inline_with_a_missing_command_exits_127(shop: Path, run: Run, tmp_path: Path) -> None:
    text = shop.read_text().replace('["python", "app.py"]', '["./no-such"]')
    shop.write_text(text.replace('secrets = ["signing-key"]', "").split("[[never]]")[0])
    result = run("run", "--inline")
    assert result.exit_code == 127
    assert "./no-such: not found" in result.stderr
