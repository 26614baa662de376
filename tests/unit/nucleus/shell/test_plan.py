"""A plan that grants something unclear cannot be made."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exclave.nucleus.shell.plan import CONTROL, Bind, Kind, Network, Plan, Tmpfs, view_path

PLAN = Plan(name="signer", kind=Kind.EXCLAVE, argv=("/usr/bin/python3",))


@pytest.mark.parametrize(
    "path", ["", "/", "relative", "/a/../b", "/a/./b", "//a", "/a//b", "/a/", "/a\0b", "/.."]
)
def test_unclear_paths_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"path|contains"):
        view_path(path)


@given(st.lists(st.from_regex(r"[A-Za-z0-9_.-]{1,8}", fullmatch=True), min_size=1, max_size=5))
def test_plain_paths_are_taken(parts: list[str]) -> None:
    path = "/" + "/".join(parts)
    if not {".", ".."} & set(parts):
        assert view_path(path) == path


@given(st.text(max_size=30))
def test_no_path_is_taken_that_leads_elsewhere(path: str) -> None:
    try:
        taken = view_path(path)
    except ValueError:
        return
    assert taken.startswith("/")
    assert all(part not in ("", ".", "..") for part in taken.split("/")[1:])


def test_nothing_is_granted_by_default() -> None:
    for granted in (PLAN.binds, PLAN.files, PLAN.tmpfs, PLAN.devices, PLAN.fds, PLAN.proc, PLAN.pts):
        assert not granted
    assert PLAN.network.mode == "none"
    assert PLAN.stdio is None


@pytest.mark.parametrize(
    "change",
    [
        {"argv": ()},
        {"argv": ("python3",)},
        {"files": {"relative": b""}},
        {"symlinks": {"/a/../b": "/c"}},
        {"devices": ("null",)},
        {"listener": "/"},
        {"cwd": "relative"},
        {"fds": {CONTROL: 5}},
        {"fds": {0: 5}},
        {"network": Network.all()},
        {"env": {"A=B": ""}},
        {"env": {"": ""}},
        {"env": {"A": "\0"}},
    ],
)
def test_a_bad_plan_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        replace(PLAN, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_is_a_port(port: int) -> None:
    with pytest.raises(ValueError, match="port"):
        Network.tcp(listen=(port,))
    with pytest.raises(ValueError, match="port"):
        Network.tcp(connect=(port,))


def test_binds_and_tmpfs_are_checked() -> None:
    with pytest.raises(ValueError, match="path"):
        Bind("/", "/everything")
    with pytest.raises(ValueError, match="path"):
        Bind("/usr", "/")
    with pytest.raises(ValueError, match="contains"):
        Bind("/usr", "/usr", hidden=("../etc",))
    with pytest.raises(ValueError, match="positive"):
        Tmpfs("/tmp", 0)
