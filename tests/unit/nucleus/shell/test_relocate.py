"""Paths of a view become paths of the host where there is no view."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exclave.nucleus.shell.plan import Bind, Kind, Plan, Tmpfs
from exclave.nucleus.shell.relocate import check_reachable, enter, relocate

PLAN = Plan(
    name="signer",
    kind=Kind.MONOLITH,
    argv=("/usr/bin/python3", "/exclave/site", "/exclave/component/main.py", "plain", "/usr/lib/x"),
    env={
        "PYTHONPATH": "/exclave/component:/exclave/site:/opt",
        "TMPDIR": "/tmp",
        "EXCLAVE_SOCKET": "/run/exclave/n",
    },
    cwd="/exclave/component",
    binds=(Bind("/usr", "/usr"), Bind("/opt/package", "/exclave/site/package")),
    files={"/exclave/component/main.py": b"code", "/etc/passwd": b"user"},
    tmpfs=(Tmpfs("/tmp", 4096),),
    listener="/run/exclave/n",
    directory="/private",
)


def test_what_moves_and_what_stays() -> None:
    moved = relocate(PLAN)
    assert moved.argv == (
        "/usr/bin/python3",
        "/private/exclave/site",
        "/private/exclave/component/main.py",
        "plain",
        "/usr/lib/x",
    )
    assert moved.env["PYTHONPATH"] == "/private/exclave/component:/private/exclave/site:/opt"
    assert moved.env["TMPDIR"] == "/private/tmp"
    assert moved.env["EXCLAVE_SOCKET"] == moved.listener == "/private/run/exclave/n"
    assert moved.cwd == "/private/exclave/component"


def test_a_directory_is_needed() -> None:
    with pytest.raises(OSError, match="private directory") as caught:
        relocate(replace(PLAN, directory=None))
    assert caught.value.errno == errno.ENOTDIR


@given(st.text(max_size=40).filter(lambda text: "\0" not in text))
def test_words_that_name_nothing_of_the_view_stay(word: str) -> None:
    if not any(
        part.startswith(("/exclave", "/tmp", "/run")) or part == "/etc/passwd" for part in word.split(":")
    ):
        assert relocate(replace(PLAN, env={"WORD": word})).env["WORD"] == word


def test_files_links_and_directories_are_made(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    binds = (Bind(str(tmp_path / "package"), "/exclave/site/package"),)
    plan = relocate(replace(PLAN, directory=str(private), binds=binds))
    _, listener, grants = enter(plan, None)
    assert listener is not None
    listener.close()
    assert (private / "exclave/component/main.py").read_bytes() == b"code"
    assert (private / "exclave/site/package").readlink() == tmp_path / "package"
    assert (private / "tmp").is_dir()
    assert {grant.path for grant in grants} == {str(private), str(private / "tmp"), str(tmp_path / "package")}


def test_a_directory_that_was_used_before_is_refused(tmp_path: Path) -> None:
    plan = replace(PLAN, directory=str(tmp_path), binds=(), listener=None)
    tmp_path.chmod(0o700)
    enter(relocate(plan), None)
    with pytest.raises(FileExistsError):
        enter(relocate(plan), None)


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_directory_that_others_may_change_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(OSError, match="only he may write"):
        enter(relocate(replace(PLAN, directory=str(tmp_path))), None)


def test_a_link_as_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(OSError, match="only he may write"):
        enter(relocate(replace(PLAN, directory=str(tmp_path / "link"))), None)


def test_what_others_may_not_reach_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "below").mkdir(parents=True)
    check_reachable("/usr")
    with pytest.raises(PermissionError, match="may not change"):
        check_reachable("/usr", writable=True)
    closed.chmod(0o700)
    with pytest.raises(PermissionError, match="closed is closed to other users"):
        check_reachable(str(closed / "below"))
    assert os.access("/usr", os.R_OK)
