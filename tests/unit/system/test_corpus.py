"""Every description of the corpus has one defect; its sidecar is the exact text of the error."""

from __future__ import annotations

from pathlib import Path

import pytest

from exclave.system.check import check
from exclave.system.errors import DescriptionError

CORPUS = Path(__file__).parents[2] / "corpus" / "description"
DEFECTIVE = sorted(path.stem for path in CORPUS.glob("*.toml"))
GOOD = sorted(path.stem for path in (CORPUS / "good").glob("*.toml"))
NOWHERE = {"HOME": "/nonexistent"}


def test_corpus_is_whole() -> None:
    assert len(DEFECTIVE) >= 60
    assert sorted(path.stem for path in CORPUS.glob("*.txt")) == DEFECTIVE


@pytest.mark.parametrize("name", DEFECTIVE)
def test_defect_gives_its_exact_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CORPUS)
    with pytest.raises(DescriptionError) as caught:
        check(f"{name}.toml", NOWHERE)
    assert f"{caught.value}\n" == Path(f"{name}.txt").read_text()
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("name", DEFECTIVE)
def test_error_is_on_the_marked_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CORPUS)
    lines = Path(f"{name}.toml").read_bytes().split(b"\n")
    marked = [number for number, line in enumerate(lines, 1) if b"# defect" in line]
    with pytest.raises(DescriptionError) as caught:
        check(f"{name}.toml", NOWHERE)
    if marked:
        assert [caught.value.line] == marked
    else:
        # What is missing has no line of its own, and a string that never ends hides its mark.
        assert name in ("missing_system", "missing_monolith", "syntax_open_string")
    assert 1 <= caught.value.problems[0].column <= len(lines[caught.value.line - 1]) + 1


@pytest.mark.parametrize("name", GOOD)
def test_good_description_passes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CORPUS / "good")
    assert check(f"{name}.toml", NOWHERE).warnings == ()
