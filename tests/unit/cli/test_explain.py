from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]


def test_route_is_printed_with_its_line(shop: Path, run: Run) -> None:
    result = run("explain", "monolith", "signer")
    assert result.exit_code == 0
    assert result.stdout == (
        "monolith -> signer: yes\n"
        "  1. monolith calls signer (call, frame; badge 3)  exclave.toml:15\n"
        "  signer answers (sign)\n"
    )


def test_no_route_says_why(shop: Path, run: Run) -> None:
    result = run("explain", "monolith", "signer.secrets.signing-key")
    assert result.exit_code == 0
    assert result.stdout.startswith("monolith -> signer.secrets.signing-key: no route\n")
    assert "  no call hands a secret out: only the compromise of signer itself gives it\n" in result.stdout


def test_json_of_a_route(shop: Path, run: Run) -> None:
    answer = json.loads(run("explain", "monolith", "signer", "--json").stdout)
    assert answer["route"] == "direct"
    assert answer["steps"][0]["line"] == 15


@pytest.mark.parametrize("target", ["signer", "network", "path:data", "path:/dev/null", "monolith"])
@pytest.mark.parametrize("source", ["monolith", "signer", "nic"])
def test_every_answer_is_plain_and_has_a_verdict(shop: Path, run: Run, source: str, target: str) -> None:
    result = run("explain", source, target)
    assert result.exit_code == 0
    head, _, verdict = result.stdout.splitlines()[0].partition(": ")
    assert head.startswith(f"{source} -> ")
    assert verdict.split(": ")[-1] in ("yes", "only by asking others", "no route") or target.startswith(
        "path:"
    )
    assert "\x1b" not in result.output


def test_unknown_name_is_a_usage_error_with_a_suggestion(shop: Path, run: Run) -> None:
    result = run("explain", "monolith", "singer")
    assert result.exit_code == 2
    assert 'there is no exclave or driver "singer"\n  fix: did you mean "signer"?' in result.stderr


@pytest.mark.parametrize("words", [("monolith",), ("a", "b", "c", "d")])
def test_wrong_number_of_words_is_a_usage_error(shop: Path, run: Run, words: tuple[str, ...]) -> None:
    assert run("explain", *words).exit_code == 2


def test_description_may_be_named(
    shop: Path, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert run("explain", str(shop), "monolith", "signer").exit_code == 0
    monkeypatch.setenv("EXCLAVE_DESCRIPTION", str(shop))
    assert run("explain", "monolith", "signer").exit_code == 0


def test_bad_description_exits_78(shop: Path, run: Run) -> None:
    shop.write_text("[system\n")
    result = run("explain", "monolith", "signer")
    assert result.exit_code == 78
    assert result.stderr.startswith("exclave.toml:1: not valid TOML")
