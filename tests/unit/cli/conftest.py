"""A good system in the current directory, and a runner of the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from exclave.cli.main import cli

Run = Callable[..., Result]

SHOP = """\
[system]
name = "shop"
secrets = "/nonexistent/secrets"

[exclave.signer]
component = "signer:Signer"
secrets = ["signing-key"]

[driver.nic]
component = "nic:Nic"
devices = ["/dev/null"]

[monolith]
command = ["python", "app.py"]
use = ["signer"]
read = ["./data"]

[[never]]
from = "monolith"
reach = "signer.secrets.signing-key"
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with exclave.toml and what it names; returns the description."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EXCLAVE_DESCRIPTION", raising=False)
    (tmp_path / "signer.py").write_text("class Signer:\n    @protected\n    def sign(self): ...\n")
    (tmp_path / "nic.py").write_text("class Nic:\n    pass\n")
    (tmp_path / "app.py").write_text("")
    (tmp_path / "data").mkdir()
    path = tmp_path / "exclave.toml"
    path.write_text(SHOP)
    return path


@pytest.fixture
def run() -> Run:
    """Run `exclave ARGUMENTS`; an exception that click does not expect is raised."""

    def runner(*arguments: str) -> Result:
        return CliRunner().invoke(cli, arguments, prog_name="exclave", catch_exceptions=False)

    return runner
