"""The house rules hold in every file, and each rule's judge is seen to find what breaks it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from architecture import house

ROOT = Path(__file__).resolve().parents[2]
FILES = list(house.project_files(ROOT))
Judge = Callable[[str], list[str]]


def faults(judge: Judge, files: list[Path]) -> list[str]:
    """What the judge finds in the files, each line with the file's name."""
    assert files, "nothing to judge: looking in the wrong place"
    return [f"{path.relative_to(ROOT)}: {fault}" for path in files for fault in judge(path.read_text())]


def python_below(*directories: str) -> list[Path]:
    return [path for path in FILES if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in directories]


def test_no_source_file_is_too_long() -> None:
    assert (
        faults(house.too_long, [path for path in FILES if path.suffix in house.SOURCE_SUFFIXES - {""}]) == []
    )


def test_every_source_module_states_its_trust() -> None:
    assert faults(house.bad_header, python_below("src")) == []


def test_no_machine_path_and_nothing_unfinished() -> None:
    assert faults(house.unfit_words, FILES) == []


def test_every_raw_call_is_explained() -> None:
    calls = ROOT / "src/exclave/linux/calls.py"
    assert faults(house.unexplained_calls, [calls]) == []
    # Without its comments the same file must be full of faults, or the judge knows no raw call.
    bare = calls.read_text().replace("# SAFETY:", "#")
    assert len(house.unexplained_calls(bare)) >= 20


def test_no_test_is_weak() -> None:
    assert faults(house.weak_tests, python_below("tests", "proofs")) == []


def test_changelog_fragments_are_well_formed() -> None:
    fragments = [path for path in (ROOT / "changes.d").iterdir() if path.name != "README.md"]
    assert [
        f"{path.name}: {fault}"
        for path in fragments
        for fault in house.bad_fragment(path.name, path.read_text())
    ] == []


HEADER = '"""One sentence.\n\nTrust: reviewed.\n"""\n\nfrom __future__ import annotations\n'
CALL = "def f():\n    # SAFETY: no pointer.\n    return _call(1)\n"


@pytest.mark.parametrize(
    ("judge", "good", "bad"),
    [
        (house.too_long, "x\n" * 400, "x\n" * 401),
        (house.bad_header, HEADER, HEADER.replace("Trust: reviewed.", "Trusted.")),
        (house.bad_header, HEADER, HEADER.replace("reviewed", "reviewedly")),
        (house.bad_header, HEADER, HEADER.replace("One sentence.", "One sentence.\n" * 12)),
        (house.bad_header, HEADER, HEADER.replace("from __future__ import annotations", "import os")),
        (house.bad_header, "", "from __future__ import annotations\n"),
        (house.unfit_words, "/rooted /network/x ~/root {x}/root, not below /root", "open('/" + "root/.ssh')"),
        (house.unfit_words, "a/" + "work/b, /" + "workload", "cd /" + "work/main"),
        (house.unfit_words, "/home is closed, HOME=/home/user", "/" + "home/alice/x"),
        (house.unfit_words, "to do", "# TO" + "DO: later"),
        (house.unfit_words, "a@b.org", "@" + "@OUTPUT@@"),
        (house.unexplained_calls, CALL, CALL.replace("SAFETY", "safe")),
        (house.unexplained_calls, CALL, CALL.replace("    return", "    x = 1\n    return")),
        (house.unexplained_calls, CALL, CALL + "    y = _SYSCALL(2)\n"),
        (house.weak_tests, "assert x\n", "assert True\n"),
        (house.weak_tests, "wait()\n", "time.sleep(1)\n"),
        (house.weak_tests, "@pytest.mark.root\ndef f(): ...\n", "@pytest.mark.skipif(1)\ndef f(): ...\n"),
        (house.weak_tests, "x.skip()\n", "pytest.skip('no')\n"),
    ],
)
def test_judge_tells_good_from_bad(judge: Judge, good: str, bad: str) -> None:
    assert judge(good) == []
    assert len(judge(bad)) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [("run.md", "Text.\n"), ("run.news.md", "Text.\n"), ("run.fix.md", "\n"), ("run.fix.md", "# Run\n")],
)
def test_bad_fragment_is_found(name: str, text: str) -> None:
    assert house.bad_fragment("run-twice.fix.md", "Text.\n") == []
    assert len(house.bad_fragment(name, text)) == 1


def test_project_files_leaves_out_what_is_generated(tmp_path: Path) -> None:
    for name in (".venv/a.py", "src/a.py", "src/__pycache__/b.py", "image.png", "dev"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in house.project_files(tmp_path)] == ["dev", "src/a.py"]
