"""The core that is installed is proved, now, and it is the one whose hash the repository names."""

from __future__ import annotations

from pathlib import Path

import pytest

from exclave.proofs.report import Wanted, prove
from exclave.proofs.source import home_of, source_digest

ROOT = Path(__file__).resolve().parents[2]


def test_everything_is_proved_of_every_operation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    report = prove(Wanted())
    assert [one for one in report.proofs if one["result"] != "proved"] == []
    assert {one["task"] for one in report.outcomes} == {"initial", *home_of()}
    assert report.good


def test_hash_of_the_proved_source_is_committed() -> None:
    text = (ROOT / "proofs/PROVED").read_text().split()
    assert text[0] == source_digest(), (
        "the core changed: run `./dev prove`, then write its hash to proofs/PROVED"
    )
