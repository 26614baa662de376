from __future__ import annotations

from pathlib import Path

import pytest

from exclave.monolith import run as subject
from exclave.monolith.run import LOGS_KEPT, RunError, look_up_command
from exclave.system.description import Monolith
from support.descriptions import describe


def test_missing_command_has_the_shells_code(tmp_path: Path) -> None:
    described = describe(directory=str(tmp_path), monolith=Monolith(command=("./x",), program=str(tmp_path)))
    with pytest.raises(RunError, match=r"\./x: not found") as caught:
        look_up_command(described, "")
    assert caught.value.code == 127


def test_command_is_looked_up(tmp_path: Path) -> None:
    described = describe(monolith=Monolith(command=("sh", "-c", "x"), program=str(tmp_path)))
    assert look_up_command(described, "/bin") == ["/bin/sh", "-c", "x"]


def test_new_log_has_a_name_of_its_own_and_only_the_newest_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    directory = tmp_path / "exclave" / "shop"
    first = subject._log_file(describe())
    assert first.parent == directory
    old = [directory / f"20200101T0000{number:02}Z-1.jsonl" for number in range(25)]
    for path in (*old, directory / "notes.txt"):
        path.write_text("")
    new = subject._log_file(describe())
    assert not new.exists()
    left = sorted(directory.iterdir())
    assert left == [*old[-LOGS_KEPT + 1 :], directory / "notes.txt"]
    assert new.name > old[-1].name


def test_run_directory_is_private_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    made = subject._run_directory(describe())
    assert made.parent == tmp_path / "exclave"
    assert made.name.startswith("shop-")
    (made / "status").write_text("")
    subject._remove(made)
    assert not made.exists()
    subject._remove(made)
    subject._remove(Path())
    assert Path().exists()
