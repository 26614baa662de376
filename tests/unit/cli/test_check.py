from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]


def test_good_system_is_printed_and_exits_0(shop: Path, run: Run) -> None:
    result = run("check")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout == (
        "shop  exclave.toml\n"
        "\n"
        "monolith  python app.py\n"
        "  calls      signer  (call, frame; badge 3)\n"
        "  program    .\n"
        "  reads      ./data\n"
        "\n"
        "signer  exclave  signer:Signer\n"
        "  answers    sign\n"
        "  keeps      signing-key  (secret memory)\n"
        "  limits     memory 512M, budget 10s\n"
        "\n"
        "nic  driver  nic:Nic\n"
        "  device     /dev/null\n"
        "  limits     memory 512M, budget 10s\n"
        "\n"
        "never monolith -> signer.secrets.signing-key: true  exclave.toml:18\n"
        "  compromised: monolith and nic\n"
        "  it rests on\n"
        "    signer keeps signing-key in its secret memory  exclave.toml:7\n"
        "    monolith may call signer (call, frame; badge 3): signer decides what it does  exclave.toml:15\n"
        "\n"
        "ok: 1 exclave, 1 driver, 1 rule\n"
    )


def test_bad_description_exits_78_and_points_at_the_place(shop: Path, run: Run) -> None:
    shop.write_text(shop.read_text().replace("use =", "usee ="))
    result = run("check")
    assert result.exit_code == 78
    assert result.stdout == ""
    assert result.stderr == (
        'exclave.toml:15: unknown key "usee" in [monolith]\n'
        '  15 | usee = ["signer"]\n'
        "     | ^\n"
        '  fix: did you mean "use"?\n'
    )


def test_false_rule_exits_77_with_a_way(shop: Path, run: Run) -> None:
    shop.write_text(shop.read_text() + '\n[[never]]\nfrom = "monolith"\nreach = "signer"\n')
    result = run("check")
    assert result.exit_code == 77
    assert "never monolith -> signer: FALSE  exclave.toml:22\n" in result.stdout
    assert "  1. monolith calls signer (call, frame; badge 3)  exclave.toml:15\n" in result.stdout
    assert result.stdout.endswith("1 of the rules false: 1 exclave, 1 driver, 2 rules\n")


def test_compromised_domains_can_be_named(shop: Path, run: Run) -> None:
    result = run("check", "--compromised", "signer, nic")
    assert result.exit_code == 77
    assert "  compromised: monolith, signer and nic\n" in result.stdout
    assert "  2. signer keeps signer.secrets.signing-key  exclave.toml:7\n" in result.stdout


def test_unknown_compromised_domain_is_a_usage_error(shop: Path, run: Run) -> None:
    result = run("check", "--compromised", "singer")
    assert result.exit_code == 2
    assert 'did you mean "signer"?' in result.stderr


def test_warnings_go_to_standard_error_and_exit_0(shop: Path, run: Run) -> None:
    text = shop.read_text().replace('read = ["./data"]', 'pass_environment = ["API_TOKEN"]')
    shop.write_text(text)
    result = run("check")
    assert result.exit_code == 0
    assert result.stderr.startswith("exclave.toml:16: warning: API_TOKEN looks like a secret")
    assert "warning" not in result.stdout


def test_json_of_a_good_system(shop: Path, run: Run) -> None:
    result = run("check", "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 0
    assert report["ok"] is True
    assert report["errors"] == []
    assert {"id": "signer", "kind": "exclave"} in report["graph"]["nodes"]
    assert [rule["holds"] for rule in report["rules"]] == [True]


def test_json_of_a_false_rule(shop: Path, run: Run) -> None:
    result = run("check", "--json", "--compromised", "signer")
    report = json.loads(result.stdout)
    assert result.exit_code == 77
    assert report["ok"] is False
    assert [hop["how"] for hop in report["rules"][0]["path"]] == ["call", "keep"]


def test_json_of_a_bad_description(shop: Path, run: Run) -> None:
    shop.write_text("[system]\n")
    result = run("check", "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 78
    assert report["ok"] is False
    assert report["errors"][0]["line"] == 1
    assert report["errors"][0]["fix"]


@pytest.mark.parametrize(("form", "first"), [("text", "system shop"), ("mermaid", "flowchart LR")])
def test_graph_alone_is_printed(shop: Path, run: Run, form: str, first: str) -> None:
    result = run("check", "--graph", form)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == first
    assert "never" not in result.stdout


def test_graph_of_a_system_with_a_false_rule_tells_it_on_standard_error(shop: Path, run: Run) -> None:
    result = run("check", "--graph", "mermaid", "--compromised", "signer")
    assert result.exit_code == 77
    assert "FALSE" in result.stderr
    assert "FALSE" not in result.stdout


def test_schema_needs_no_description(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("check", "--schema")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["title"] == "exclave.toml"


def test_description_is_found_by_argument_and_by_environment(
    shop: Path, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert run("check").exit_code == 78
    assert run("check", str(shop)).exit_code == 0
    monkeypatch.setenv("EXCLAVE_DESCRIPTION", str(shop))
    assert run("check").exit_code == 0


def test_output_without_a_terminal_is_plain(shop: Path, run: Run) -> None:
    result = run("check")
    assert "\x1b" not in result.output
    assert result.output.isascii()
