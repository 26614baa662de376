from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from exclave.cli import prove

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_one_operation_as_a_table(run: Run) -> None:
    result = run("prove", "--op", "seal")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0].split()[:3] == ["operation", "paths", "safety"]
    assert result.stdout.splitlines()[1].startswith("seal")
    assert "all proved" in result.stdout
    assert "\x1b" not in result.output


def test_json_has_the_form_that_programs_read(run: Run) -> None:
    result = run("prove", "--op", "seal", "--theorem", "stage_never_goes_back", "--json")
    report = json.loads(result.stdout)
    assert {"source_sha256", "theorems", "mutants", "seconds"} <= report.keys()
    (one,) = report["theorems"]
    assert (one["operation"], one["theorem"], one["result"]) == ("seal", "stage_never_goes_back", "proved")


def test_list_names_every_theorem_with_its_sentence(run: Run) -> None:
    text = run("prove", "--list").stdout
    assert "stage_never_goes_back: The seal is never undone." in text
    assert "noninterference:" in text


@pytest.mark.parametrize("arguments", [("--op", "nothing"), ("--theorem", "nothing")])
def test_unknown_names_are_errors_of_usage(run: Run, arguments: tuple[str, str]) -> None:
    assert run("prove", *arguments).exit_code == 2


def test_without_the_solver_it_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prove, "solver_is_there", lambda: False)
    result = run("prove")
    assert result.exit_code == 125
    assert "pip install 'exclave[prove]'" in result.stderr
