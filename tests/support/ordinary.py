"""Run commands as an ordinary user: a real one, also when the tests run as root.

As root, "ordinary" is the system user `exclave-test`, made on first use. Its commands start
through `support.launcher`, which opens the way to an interpreter or checkout that lies below
a closed directory. Anyone else already is an ordinary user, and commands run directly.

Rules: 1. whatever cannot be done raises; nothing is skipped. 2. only what is made here is removed.
"""

from __future__ import annotations

import functools
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import pytest

__all__ = [
    "IS_ROOT",
    "USERS",
    "OrdinaryUserUnavailable",
    "User",
    "both_users",
    "fresh_directory",
    "opened",
    "ordinary_user",
    "popen_as",
    "popen_as_ordinary",
    "run_as",
    "run_as_ordinary",
]

User = Literal["root", "ordinary"]
Stream = int | IO[bytes] | IO[str] | None

NAME = "exclave-test"
HOME = Path("/var/lib/exclave-test")
CHECKOUT = Path(__file__).resolve().parents[2]
LAUNCHER = Path(__file__).with_name("launcher.py")
IS_ROOT = os.geteuid() == 0
USERS: tuple[User, ...] = ("root", "ordinary") if IS_ROOT else ("ordinary",)
"""The users this run can test as: an ordinary user has no way to test as root."""
both_users = pytest.mark.parametrize("user", USERS)
"""Runs a test once as each user; it takes the argument `user`."""

PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
SUBORDINATE_COUNT = 65536
TIMEOUT = 120.0


class OrdinaryUserUnavailable(RuntimeError):
    """This machine cannot run a command as an ordinary user; the text says why."""


@dataclass(frozen=True, slots=True)
class Account:
    """The ordinary user: its name, ids and home."""

    name: str
    uid: int
    gid: int
    home: Path


@functools.cache
def ordinary_user() -> Account:
    """Return the ordinary user, making the system user on first use when running as root.

    Raises: OrdinaryUserUnavailable when the user cannot be made (this machine's fault).
    """
    if not IS_ROOT:
        entry = pwd.getpwuid(os.getuid())
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, Path(entry.pw_dir))
    try:
        entry = pwd.getpwnam(NAME)
    except KeyError:
        _administer(
            "useradd",
            "--system",
            "--user-group",
            "--create-home",
            f"--home-dir={HOME}",
            "--shell=/bin/sh",
            NAME,
        )
        entry = pwd.getpwnam(NAME)
    if entry.pw_uid == 0:
        raise OrdinaryUserUnavailable(f"the user {NAME} has uid 0")
    _give_subordinate_ids()
    home = Path(entry.pw_dir)
    runtime = home / "run"
    runtime.mkdir(mode=0o700, exist_ok=True)
    os.chown(runtime, entry.pw_uid, entry.pw_gid)
    return Account(NAME, entry.pw_uid, entry.pw_gid, home)


def _administer(*argv: str) -> None:
    program = shutil.which(argv[0], path=PATH)
    if program is None:
        raise OrdinaryUserUnavailable(f"{argv[0]} is not installed")
    done = subprocess.run([program, *argv[1:]], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode != 0:
        raise OrdinaryUserUnavailable(f"{' '.join(argv)} failed: {done.stderr.strip()}")


def _give_subordinate_ids() -> None:
    """Give the user subordinate ids, which a login user has and a system user lacks (subuid(5))."""
    lines: list[str] = []
    for path in (Path("/etc/subuid"), Path("/etc/subgid")):
        lines += path.read_text().splitlines() if path.exists() else []
    if sum(line.startswith(f"{NAME}:") for line in lines) >= 2:
        return
    ends = [
        int(start) + int(count) for _, start, count in (line.split(":") for line in lines if line.strip())
    ]
    first = max([100_000, *ends])
    span = f"{first}-{first + SUBORDINATE_COUNT - 1}"
    _administer("usermod", "--add-subuids", span, "--add-subgids", span, NAME)


def _environment(account: Account, extra: Mapping[str, str] | None) -> dict[str, str]:
    """The environment of a login of that user; from this process only the language is taken over."""
    environment = {
        "HOME": str(account.home),
        "USER": account.name,
        "LOGNAME": account.name,
        "SHELL": "/bin/sh",
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "PATH": f"{Path(sys.executable).parent}:{PATH}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    runtime = account.home / "run" if IS_ROOT else os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        environment["XDG_RUNTIME_DIR"] = str(runtime)
    return environment | dict(extra or {})


def _needed() -> list[Path]:
    """What a command must reach: checkout, virtual environment, interpreter."""
    return [
        CHECKOUT,
        Path(sys.prefix),
        Path(sysconfig.get_config_var("installed_base")),
        Path(sys.executable),
    ]


def opened(argv: Sequence[str | Path], uid: int = 0, gid: int = 0, cwd: Path = CHECKOUT) -> list[str]:
    """The command by which root runs argv, as any user, where nothing it needs lies in a closed directory.

    For root itself this serves domains with uids of their own and no view: nothing can be opened to them.

    Raises: OrdinaryUserUnavailable when a tool is missing (this machine's fault).
    """
    tools = {name: shutil.which(name, path=PATH) for name in ("unshare", "mount", "setpriv")}
    missing = [name for name, path in tools.items() if path is None]
    if missing:
        raise OrdinaryUserUnavailable(f"not installed (package util-linux): {', '.join(missing)}")
    return [
        str(tools["unshare"]),
        "--mount",
        "--propagation=private",
        sys.executable,
        "-I",
        str(LAUNCHER),
        str(uid),
        str(gid),
        str(cwd),
        *(str(path) for path in _needed()),
        "--",
        *(str(word) for word in argv),
    ]


def popen_as(
    user: User,
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: Stream = subprocess.DEVNULL,
    stdout: Stream = None,
    stderr: Stream = None,
    start_new_session: bool = False,
) -> subprocess.Popen[str]:
    """Start argv as that user; its pid is the command's own, so signals reach it.

    Args: env is added to the environment of a fresh login; cwd defaults to the checkout.
    Raises: OrdinaryUserUnavailable; ValueError when asked for root without being root.
    """
    directory = cwd or CHECKOUT
    words = [str(word) for word in argv]
    if user == "root":
        if not IS_ROOT:
            raise ValueError("only root can run a command as root")
        root = pwd.getpwuid(0)
        environment = _environment(Account(root.pw_name, 0, root.pw_gid, Path(root.pw_dir)), env)
        environment.pop("XDG_RUNTIME_DIR", None)
    else:
        account = ordinary_user()
        environment = _environment(account, env)
        words = opened(argv, account.uid, account.gid, directory) if IS_ROOT else words
    return subprocess.Popen(
        words,
        cwd=directory,
        env=environment,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        text=True,
        start_new_session=start_new_session,
    )


def run_as(
    user: User,
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    input: str | None = None,
    timeout: float = TIMEOUT,
) -> subprocess.CompletedProcess[str]:
    """Run argv as that user to its end and return its output and exit code.

    Raises: what popen_as raises; TimeoutExpired, after killing the command, past `timeout` seconds.
    """
    with popen_as(
        user,
        argv,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            out, err = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
        return subprocess.CompletedProcess(list(argv), process.returncode, out, err)


popen_as_ordinary = functools.partial(popen_as, "ordinary")
run_as_ordinary = functools.partial(run_as, "ordinary")


@contextmanager
def fresh_directory(user: User) -> Iterator[Path]:
    """A new empty directory that belongs to that user, mode 0700, removed with all it holds."""
    if user == "ordinary" and IS_ROOT:
        account = ordinary_user()
        path = Path(tempfile.mkdtemp(prefix="test-", dir=account.home))
        os.chown(path, account.uid, account.gid)
    else:
        path = Path(tempfile.mkdtemp(prefix="exclave-test-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)
