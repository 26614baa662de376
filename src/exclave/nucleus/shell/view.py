"""Pieces of views: what an interpreter needs, what a monolith sees of the system, what a grant shows.

Trust: reviewed. Purpose: turn "may run Python", "may use the system" and "may read this" into binds.

1. An interpreter brings its standard library and the loader's libraries; no site-packages, no /etc but
   ld.so.cache, no /dev, no /proc.
2. Of /etc a monolith sees only what is listed, and none of it is secret: no private keys, no shadow file.
3. A grant shows one path, at the same place; a grant below a writable grant may not pass through a link,
   because the domain could have put that there in an earlier run.
"""

from __future__ import annotations

import errno
import os
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exclave.linux import calls
from exclave.nucleus.shell.identity import INSIDE
from exclave.nucleus.shell.plan import Bind, Tmpfs

# Other people's packages, and parts of the standard library that no component needs.
_LEFT_OUT: Final = tuple(
    "site-packages dist-packages ensurepip idlelib lib2to3 test tkinter turtledemo venv".split()
)
_SYSTEM_PREFIXES: Final = ("/usr", "/")
_SHOWN_OF_ETC: Final = (
    "ld.so.cache ld.so.conf ld.so.conf.d localtime timezone nsswitch.conf hosts resolv.conf "
    "host.conf gai.conf ssl/certs ssl/openssl.cnf ca-certificates pki/tls/certs pki/ca-trust/extracted "
    "mime.types protocols services locale.alias locale.conf default/locale terminfo inputrc alternatives "
    "debian_version os-release bash.bashrc profile"
).split()
_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")
_TOP: Final = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_LINKS: Final = 40
_SHM_SIZE: Final = 256 << 20
_TMP_SIZE: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class PythonView:
    """What one interpreter needs to run."""

    executable: str
    """Its path in the view."""
    binds: tuple[Bind, ...]
    symlinks: dict[str, str]


@dataclass(frozen=True, slots=True)
class SystemView:
    """What a monolith sees of the system."""

    binds: tuple[Bind, ...]
    files: dict[str, bytes]
    tmpfs: tuple[Tmpfs, ...]
    devices: tuple[str, ...]
    symlinks: dict[str, str]


def _multiarch() -> str:
    return f"{calls.arch()}-linux-gnu"


def shared_libraries() -> tuple[list[str], dict[str, str]]:
    """List the directories in which the loader and the C library live, and the links that lead there."""
    names = [f"/lib/{_multiarch()}", f"/usr/lib/{_multiarch()}", "/lib64", "/usr/lib64", "/etc/ld.so.cache"]
    if not Path(names[1]).is_dir():
        # A system without multiarch directories keeps its libraries in /lib64 or /usr/lib itself.
        names += ["/usr/lib"] if not Path("/usr/lib64").is_dir() else []
    directories, links = [], {}
    for name in names:
        if not Path(name).exists():
            continue
        real = os.path.realpath(name)
        for parent in (*reversed(Path(name).parents), Path(name)):
            if parent.is_symlink():
                links[str(parent)] = str(parent.readlink())
        if real not in directories:
            directories.append(real)
    return directories, links


def python_view(executable: str) -> PythonView:
    """Say which paths an interpreter needs, and only those.

    Args:
        executable: path of a Python interpreter; one in a virtual environment stands for its base.

    Returns:
        Binds (its binary, its standard library, the system's shared libraries) and links.

    Raises:
        OSError: the interpreter or its standard library is not where it says (the installation's fault).
    """
    binary = os.path.realpath(executable)
    Path(binary).stat()
    library = os.path.realpath(sysconfig.get_path("stdlib"))
    dynamic = os.path.realpath(sysconfig.get_config_var("DESTSHARED") or f"{library}/lib-dynload")
    shared, links = shared_libraries()
    wanted = [binary, library, *shared]
    if not any(dynamic == path or dynamic.startswith(path + "/") for path in wanted):
        wanted.append(dynamic)
    prefix = str(Path(binary).parent.parent)
    if prefix not in _SYSTEM_PREFIXES:
        # A shared build keeps libpython beside the standard library.
        for path in sorted(Path(prefix, "lib").glob("libpython*.so*")):
            if path.is_symlink():
                links[str(path)] = str(path.readlink())
            else:
                wanted.append(str(path))
    kept = [path for path in wanted if not any(path.startswith(other + "/") for other in wanted)]
    left_out = (*_LEFT_OUT, *(path.name for path in Path(library).glob("config-*") if path.is_dir()))
    binds = tuple(
        Bind(path, path, as_owner=not path.startswith("/etc/"), hidden=left_out if path == library else ())
        for path in dict.fromkeys(kept)
    )
    return PythonView(binary, binds, outside(links, binds))


def outside(links: dict[str, str], binds: tuple[Bind, ...]) -> dict[str, str]:
    """Leave out links that a bind already shows."""
    return {
        path: to
        for path, to in links.items()
        if not any(path == bind.target or path.startswith(bind.target + "/") for bind in binds)
    }


def _accounts(home: str) -> dict[str, bytes]:
    """Make the account files of a view: one user."""
    return {
        "/etc/passwd": f"user:x:{INSIDE}:{INSIDE}::{home}:/bin/sh\nnobody:x:65534:65534::/:/\n".encode(),
        "/etc/group": f"user:x:{INSIDE}:\nnogroup:x:65534:\n".encode(),
    }


def system_view(home: str = "/home/user") -> SystemView:
    """Say what a monolith sees: the system's programs, parts of /etc, devices, its own temporary space.

    Args:
        home: where its home directory is, empty and writable.
    """
    binds = [Bind("/usr", "/usr")]
    links = {
        "/dev/fd": "/proc/self/fd",
        "/dev/stdin": "/proc/self/fd/0",
        "/dev/stdout": "/proc/self/fd/1",
        "/dev/stderr": "/proc/self/fd/2",
        "/dev/ptmx": "pts/ptmx",
        "/var/tmp": "/tmp",
        "/run/shm": "/dev/shm",
    }
    for name in _TOP:
        path = Path(name)
        if path.is_symlink():
            links[name] = str(path.readlink())
        elif path.is_dir():
            binds.append(Bind(name, name))
    files = _accounts(home)
    for name in _SHOWN_OF_ETC:
        path = Path("/etc", name)
        target = str(path)
        if not path.exists() or target in files:
            continue
        real = os.path.realpath(path)
        binds.append(Bind(real, target))
    tmpfs = (
        Tmpfs("/tmp", _TMP_SIZE, 0o1777, executable=True),
        Tmpfs("/dev/shm", _SHM_SIZE, 0o1777),
        Tmpfs(home, _TMP_SIZE, 0o700, executable=True),
    )
    devices = tuple(path for path in _DEVICES if Path(path).exists())
    return SystemView(tuple(binds), files, tmpfs, devices, links)


def granted(path: str, *, writable: bool, others: tuple[str, ...] = ()) -> tuple[Bind, dict[str, str]]:
    """Show a granted path at the same place.

    Args:
        path: absolute path of a file or directory that exists.
        writable: whether the domain may change it.
        others: the paths of the writable grants of the same domain.

    Returns:
        The bind of the real path, and a link to it from the path when they differ.

    Raises:
        OSError: it does not exist, or lies below a writable grant and passes through a link (ELOOP).
    """
    plain = os.path.normpath(path)
    real, passed = _resolve(plain)
    Path(real).stat()
    changeable = [_resolve(os.path.normpath(other))[0] for other in others]
    for link in passed:
        if any(Path(link).is_relative_to(below) for below in changeable):
            raise OSError(errno.ELOOP, f"{path}: passes through the link {link}, below a writable grant")
    links = {plain: real} if real != plain else {}
    return Bind(real, real, writable=writable, as_owner=True), links


def _resolve(path: str) -> tuple[str, list[str]]:
    """Resolve a path as the kernel does; give the real one, and where the links lay that it passed."""
    here, pending, passed = Path("/"), list(Path(path).parts[1:]), list[str]()
    while pending:
        part = pending.pop(0)
        step = here.parent if part == ".." else here / part
        if not step.is_symlink():
            here = step
            continue
        passed.append(str(step))
        if len(passed) > _LINKS:
            raise OSError(errno.ELOOP, f"{path}: too many links")
        to = step.readlink()
        pending[:0] = to.parts[1:] if to.is_absolute() else to.parts
        here = Path("/") if to.is_absolute() else here
    return str(here), passed
