"""Trust: reviewed.

Directories of the nucleus on the host: run-time sockets and audit logs.

Rules:
 1. A directory with a socket or a log is the operator's own, mode 0700, and not a symbolic link.
 2. Without XDG variables none is below /tmp, where others can plant names (CWE-379). A variable with a
    relative path is ignored, as the XDG Base Directory specification says.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


class PlaceError(Exception):
    """A directory cannot be used; names it and the fix."""


def runtime_directory() -> Path:
    """Where running systems keep their sockets (XDG Base Directory, XDG_RUNTIME_DIR)."""
    base = _absolute("XDG_RUNTIME_DIR")
    if base is not None:
        return private(base / "exclave")
    return private(Path("/run/exclave")) if os.geteuid() == 0 else private(state_directory() / "run")


def state_directory() -> Path:
    """Where audit logs are kept (XDG Base Directory, XDG_STATE_HOME)."""
    base = _absolute("XDG_STATE_HOME")
    if base is None:
        base = Path("/var/lib") if os.geteuid() == 0 else _home() / ".local" / "state"
    return private(base / "exclave")


def _absolute(variable: str) -> Path | None:
    path = os.environ.get(variable, "")
    return Path(path) if path.startswith("/") else None


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        raise PlaceError("no home directory for this user; set HOME") from None


def domain_directory() -> Path:
    """Where running systems keep the files of domains that have another uid and no view: root's only.

    They pass through it by name and cannot list it; each system, and in it each domain, has its own below.
    """
    return passable(Path("/run/exclave-domains"))


def passable(path: Path) -> Path:
    """Make a directory of the operator's through which others may pass, and no more.

    Raises:
        PlaceError: it cannot be made, or belongs to somebody else.
    """
    try:
        path.mkdir(mode=0o711, exist_ok=True)
        info = path.lstat()
        if stat.S_ISDIR(info.st_mode) and info.st_uid == os.geteuid():
            path.chmod(0o711)
    except OSError as error:
        raise PlaceError(f"{path}: {error.strerror}") from None
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
        raise PlaceError(f"{path}: not a directory of this user")
    return path


def private(path: Path) -> Path:
    """Make a directory that only the operator may enter, and check that it is one.

    Raises:
        PlaceError: it cannot be made, or belongs to somebody else, or others may enter it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = path.lstat()
    except OSError as error:
        raise PlaceError(f"{path}: {error.strerror}; set XDG_RUNTIME_DIR and XDG_STATE_HOME") from None
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
        raise PlaceError(f"{path}: not a directory of this user")
    if info.st_mode & 0o077:
        raise PlaceError(f"{path}: others may enter it; chmod 700 {path}")
    return path
