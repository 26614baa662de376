"""The ordinary user is one: not root, no capabilities, no view into what was closed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import SystemWriter
from support.launcher import first_closed, outermost, resolve
from support.ordinary import (
    LAUNCHER,
    User,
    both_users,
    fresh_directory,
    ordinary_user,
    popen_as,
    run_as,
    run_as_ordinary,
)


def test_ordinary_command_has_no_root_ids_and_no_capabilities() -> None:
    done = run_as_ordinary(["cat", "/proc/self/status"])
    fields = dict(line.split(":", 1) for line in done.stdout.splitlines())
    assert "0" not in fields["Uid"].split()
    assert "0" not in fields["Gid"].split()
    assert {int(fields[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
    assert int(fields["CapBnd"], 16) != 0, "set-user-id programs such as newuidmap would get nothing"


@both_users
def test_command_reaches_interpreter_and_package(user: User) -> None:
    done = run_as(user, [sys.executable, "-c", "import exclave, os; print(os.getuid())"])
    assert (done.returncode, done.stderr) == (0, "")
    assert (done.stdout == "0\n") == (user == "root")


@both_users
def test_written_system_belongs_to_the_user(user: User, write_system: SystemWriter) -> None:
    root = write_system({"a.txt": "one", "deep/er/b.txt": "two"})
    done = run_as(user, ["sh", "-c", "cat a.txt deep/er/b.txt && rm -r deep a.txt && ls -A"], cwd=root)
    assert (done.returncode, done.stdout, done.stderr) == (0, "onetwo", "")


@both_users
def test_input_environment_and_exit_code_pass(user: User) -> None:
    done = run_as(user, ["sh", "-c", 'cat; echo "$WORD"; exit 7'], env={"WORD": "w"}, input="in ")
    assert (done.returncode, done.stdout) == (7, "in w\n")


@both_users
def test_signal_reaches_the_command_itself(user: User) -> None:
    with popen_as(
        user, ["sh", "-c", "echo up; read forever"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.terminate()
        assert process.wait(timeout=60) == -15


def test_timeout_kills_and_raises() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_as_ordinary(["cat", "/dev/zero"], timeout=0.2)


@pytest.mark.root
def test_ordinary_command_cannot_read_roots_files() -> None:
    assert run_as_ordinary(["cat", "/etc/shadow"]).returncode != 0
    assert run_as("root", ["cat", "/etc/shadow"]).returncode == 0


@pytest.mark.root
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_closed_ancestor_hides_all_but_what_is_needed(mode: int) -> None:
    """The launcher alone opens the way: without it the same file is out of the user's reach."""
    account = ordinary_user()
    with fresh_directory("root") as closed:
        for name in ("needed/deep", "other"):
            (closed / name).mkdir(parents=True)
            (closed / name / "file").write_text(name)
        (closed / "link").symlink_to("needed")
        (closed / "needed/inner").symlink_to("deep/file")
        (closed / "needed").chmod(mode)
        script = f"cat {closed}/link/inner; ls -A {closed}; ls {closed}/other 2>/dev/null || echo hidden"
        ids = [str(account.uid), str(account.gid)]
        launch = [
            "unshare",
            "--mount",
            "--propagation=private",
            sys.executable,
            "-I",
            str(LAUNCHER),
            *ids,
            "/",
        ]
        launch += [str(closed / "link"), "--", "sh", "-c", script]
        launched = subprocess.run(launch, capture_output=True, text=True, check=False)
        assert (launched.stdout, launched.stderr) == ("needed/deeplink\nneeded\nhidden\n", "")
        drop = ["setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups"]
        direct = subprocess.run(
            [*drop, "cat", str(closed / "needed/deep/file")], capture_output=True, check=False
        )
        assert direct.returncode != 0
        assert {path.name for path in closed.iterdir()} == {"link", "needed", "other"}, "no private namespace"


def test_first_closed_names_the_topmost() -> None:
    with fresh_directory("ordinary") as root:
        for directory in (root / "a", root / "a/b", root / "a/b/c"):
            directory.mkdir(mode=0o755)
        closed_above = first_closed(root)
        assert closed_above is not None
        root.chmod(0o755)
        if closed_above == root:
            assert first_closed(root / "a/b/c") is None
            (root / "a/b").chmod(0o711)
            assert first_closed(root / "a/b/c") is None
            assert first_closed(root / "a/b") == root / "a/b"
            (root / "a").chmod(0o750)
            assert first_closed(root / "a/b/c") == root / "a"
        else:
            assert first_closed(root / "a/b/c") == closed_above


def test_resolve_records_links_and_refuses_loops(tmp_path: Path) -> None:
    (tmp_path / "real/x").mkdir(parents=True)
    (tmp_path / "one").symlink_to("real")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    place, links = resolve(tmp_path / "two/x")
    assert place == (tmp_path / "real/x").resolve()
    assert {tmp_path / "one", tmp_path / "two"} <= links.keys()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ValueError, match="leads back to itself"):
        resolve(tmp_path / "loop/x")


def test_outermost_drops_nested_paths() -> None:
    paths = [Path("/b/c"), Path("/a"), Path("/a/x"), Path("/ab")]
    assert outermost(paths) == [Path("/a"), Path("/ab"), Path("/b/c")]
