from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from exclave.nucleus.shell.places import PlaceError, passable, private, runtime_directory, state_directory


def test_private_directory_is_made_with_its_parents_and_mode_700(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = private(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert made == tmp_path / "a" / "b"
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert private(made) == made


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o755, 0o777, 0o1777])
def test_directory_that_others_may_enter_is_refused_with_the_fix(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "open"
    path.mkdir()
    path.chmod(mode)
    with pytest.raises(PlaceError, match=f"others may enter it; chmod 700 {path}"):
        private(path)


def test_link_file_and_unreachable_path_are_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "file").write_text("")
    with pytest.raises(PlaceError, match="not a directory of this user"):
        private(tmp_path / "link")
    with pytest.raises(PlaceError, match="File exists"):
        private(tmp_path / "file")
    with pytest.raises(PlaceError, match="Not a directory; set XDG_RUNTIME_DIR"):
        private(tmp_path / "file" / "below")


@pytest.mark.root
def test_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "theirs"
    path.mkdir(mode=0o700)
    os.chown(path, 65534, 65534)
    with pytest.raises(PlaceError, match="not a directory of this user"):
        private(path)


def test_xdg_variables_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert runtime_directory() == tmp_path / "run" / "exclave"
    assert state_directory() == tmp_path / "state" / "exclave"


@pytest.mark.parametrize("value", ["", "relative/path", "./x"])
def test_relative_variable_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "geteuid", os.getuid)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", value)
    assert not state_directory().is_relative_to(tmp_path / "relative")
    assert not (tmp_path / "relative").exists()
    assert not (tmp_path / "x").exists()


def test_passable_directory_can_be_passed_and_not_listed_by_others(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        made = passable(tmp_path / "domains")
    finally:
        os.umask(before)
    assert stat.S_IMODE(made.stat().st_mode) == 0o711
    made.chmod(0o777)
    assert stat.S_IMODE(passable(made).stat().st_mode) == 0o711


def test_passable_directory_is_no_link_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "file").write_text("")
    with pytest.raises(PlaceError, match="not a directory of this user"):
        passable(tmp_path / "link")
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o700
    with pytest.raises(PlaceError, match="File exists"):
        passable(tmp_path / "file")
    with pytest.raises(PlaceError, match="No such file"):
        passable(tmp_path / "missing" / "below")
