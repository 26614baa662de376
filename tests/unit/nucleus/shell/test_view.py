"""What views show, and what they do not."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from exclave.nucleus.shell.view import granted, python_view, system_view


def test_an_interpreter_brings_no_packages_and_no_etc() -> None:
    python = python_view(sys.executable)
    targets = [bind.target for bind in python.binds]
    assert python.executable in targets
    assert [path for path in targets if path.startswith("/etc")] in ([], ["/etc/ld.so.cache"])
    assert not any(path in ("/", "/usr", "/usr/lib", "/usr/bin", "/proc", "/dev") for path in targets)
    assert not any(bind.writable for bind in python.binds)
    library = next(bind for bind in python.binds if Path(bind.source, "encodings").is_dir())
    assert {"site-packages", "dist-packages"} <= set(library.hidden)


def test_a_virtual_environment_stands_for_its_base() -> None:
    python = python_view(sys.executable)
    assert Path(python.executable).resolve() == Path(sys.executable).resolve()
    assert not any(
        bind.source.startswith(sys.prefix + "/") for bind in python.binds if sys.prefix != sys.base_prefix
    )


def test_the_libraries_that_the_interpreter_loads_are_shown() -> None:
    python = python_view(sys.executable)
    shown = [Path(bind.source) for bind in python.binds]
    listed = subprocess.run(["ldd", python.executable], capture_output=True, text=True, check=True).stdout
    loaded = [word for line in listed.splitlines() for word in line.split() if word.startswith("/")]
    assert loaded
    for path in loaded:
        assert any(Path(os.path.realpath(path)).is_relative_to(place) for place in shown), path


def test_a_missing_interpreter_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        python_view(str(tmp_path / "python"))


def test_a_monolith_sees_nothing_secret_of_etc() -> None:
    system = system_view("/home/user")
    targets = {bind.target for bind in system.binds}
    assert (
        not {"/etc", "/etc/shadow", "/etc/ssl", "/etc/ssl/private", "/root", "/home", "/var", "/run"}
        & targets
    )
    assert not any(bind.writable or bind.as_owner for bind in system.binds)
    assert system.files["/etc/passwd"].startswith(b"user:x:1000:1000:")
    assert all(item.target in ("/tmp", "/dev/shm", "/home/user") for item in system.tmpfs)
    assert set(system.devices) <= {f"/dev/{name}" for name in "null zero full random urandom tty".split()}


def test_a_grant_shows_one_path(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    bind, links = granted(str(tmp_path / "data"), writable=False)
    assert (bind.source, bind.target, bind.writable, bind.as_owner) == (
        str(tmp_path / "data"), str(tmp_path / "data"), False, True,
    )  # fmt: skip
    assert links == {}


def test_a_grant_through_a_link_shows_the_real_path_and_the_link(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data")
    bind, links = granted(str(tmp_path / "link"), writable=True)
    assert bind.source == bind.target == str(tmp_path / "data")
    assert links == {str(tmp_path / "link"): str(tmp_path / "data")}


@pytest.mark.parametrize("target", ["secret", "../secret", "{root}/secret", "again"])
def test_a_link_that_the_domain_could_have_made_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "again").symlink_to("../secret")
    (tmp_path / "var" / "link").symlink_to(target.format(root=tmp_path))
    alias = tmp_path / "alias"
    alias.symlink_to("var")
    for other in (tmp_path / "var", alias):
        for path in (tmp_path / "var" / "link", alias / "link"):
            with pytest.raises(OSError, match=r"below a writable grant|No such file") as caught:
                granted(str(path), writable=False, others=(str(other),))
            assert caught.value.errno in (errno.ELOOP, errno.ENOENT)
    (tmp_path / "var" / "plain").mkdir()
    assert granted(str(tmp_path / "var" / "plain"), writable=False, others=(str(alias),))[1] == {}


def test_links_in_a_circle_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="too many links") as caught:
        granted(str(tmp_path / "a"), writable=False)
    assert caught.value.errno == errno.ELOOP


def test_a_grant_of_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        granted(str(tmp_path / "missing"), writable=False)
