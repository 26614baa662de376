"""A directory with the files that descriptions of these tests name, and a writer of descriptions in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Writer = Callable[[str], Path]

SIGNER = """\
from exclave import Component, protected


class Signer(Component):
    @protected
    def sign(self, message: bytes) -> bytes:
        return message

    @protected(raises=[ValueError])
    def pay(self, amount: int) -> str:
        return str(amount)

    def helper(self) -> None:
        return
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The description's directory: components, an app, data and var; no secrets in it."""
    (tmp_path / "signer.py").write_text(SIGNER)
    for name in ("ledger", "clock", "nic"):
        (tmp_path / f"{name}.py").write_text(f"class {name.capitalize()}:\n    pass\n")
    (tmp_path / "app.py").write_text("")
    (tmp_path / "data").mkdir()
    (tmp_path / "var").mkdir()
    monkeypatch.setenv("HOME", "/nonexistent")
    for name in ("CREDENTIALS_DIRECTORY", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "SSH_AUTH_SOCK"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def write(shop: Path) -> Writer:
    """Write exclave.toml and return its path."""

    def writer(text: str) -> Path:
        path = shop / "exclave.toml"
        path.write_text(text)
        return path

    return writer
