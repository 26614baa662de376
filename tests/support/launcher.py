"""Become the ordinary user and run a command; a program, started by root in a mount namespace of its own.

Usage: launcher.py UID GID DIRECTORY NEEDED... -- ARGUMENT...

A needed directory may lie below one that is closed to others (a home of mode 0700). In this
private namespace the first closed directory on the way is covered by an empty tmpfs of mode
0755, and the needed directories, opened beforehand, are bound back at their own paths: the
command sees them and nothing else of what was closed.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

OPEN_TO_OTHERS = stat.S_IROTH | stat.S_IXOTH


def resolve(path: Path) -> tuple[Path, dict[Path, Path]]:
    """Resolve path; return it and each symbolic link passed, with what it holds."""
    here, links, pending = Path("/"), dict[Path, Path](), list(path.absolute().parts)
    while pending:
        part = pending.pop(0)
        step = here.parent if part == ".." else here / part
        if not step.is_symlink():
            here = step
        elif step in links:
            raise ValueError(f"{path}: symbolic link {step} leads back to itself")
        else:
            links[step] = step.readlink()
            pending[:0] = links[step].parts
    return here, links


def is_open(path: Path) -> bool:
    """Whether others may list a directory and pass it; a file is as open as it is."""
    return not path.is_dir() or path.stat().st_mode & OPEN_TO_OTHERS == OPEN_TO_OTHERS


def first_closed(path: Path) -> Path | None:
    """The topmost directory on the way to path, itself included, that others cannot pass."""
    for ancestor in reversed(path.parents):
        if not ancestor.stat().st_mode & stat.S_IXOTH:
            return ancestor
    return None if is_open(path) else path


def outermost(paths: Iterable[Path]) -> list[Path]:
    """The paths without those that lie within another, in order."""
    kept: list[Path] = []
    for path in sorted(set(paths)):
        if not any(path.is_relative_to(other) for other in kept):
            kept.append(path)
    return kept


def mount(*arguments: str, keep: tuple[int, ...] = ()) -> None:
    """Run mount(8); its own message says what failed."""
    subprocess.run(["mount", "--no-canonicalize", *arguments], check=True, pass_fds=keep)


def open_the_way(needed: Iterable[Path]) -> None:
    """Make each needed directory reachable for others, within this mount namespace."""
    links: dict[Path, Path] = {}
    resolved: list[Path] = []
    for path in needed:
        place, passed = resolve(path)
        links |= passed
        resolved.append(place)
    behind: dict[Path, list[Path]] = {}
    for path in outermost(resolved):
        closed = first_closed(path)
        if closed is None:
            continue
        if is_open(path):
            behind.setdefault(closed, []).append(path)
            continue
        # Bound back whole it would still be closed: what it holds is bound back instead.
        entries = list(path.iterdir())
        behind.setdefault(closed, []).extend(entry for entry in entries if not entry.is_symlink())
        links |= {entry: entry.readlink() for entry in entries if entry.is_symlink()}
    for closed, paths in behind.items():
        # Opened first: once the tmpfs covers them there is no path to them any more.
        opened = [(path, os.open(path, os.O_PATH | os.O_CLOEXEC)) for path in paths]
        mount("-t", "tmpfs", "-o", "mode=0755,size=1m,nodev,nosuid", "exclave-test", str(closed))
        for path, descriptor in opened:
            is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            (path if is_directory else path.parent).mkdir(mode=0o755, parents=True, exist_ok=True)
            if not is_directory:
                path.touch()
            mount("--rbind", f"/proc/self/fd/{descriptor}", str(path), keep=(descriptor,))
            os.close(descriptor)
        for link, target in links.items():
            if link.is_relative_to(closed) and not (link.is_symlink() or link.exists()):
                link.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
                link.symlink_to(target)


def main(arguments: list[str]) -> None:
    """Open the way, then become the user and the command."""
    split = arguments.index("--")
    uid, gid, directory, *needed = arguments[:split]
    os.umask(0o022)
    open_the_way(Path(path) for path in needed)
    os.chdir(directory)
    # The bounding set stays whole, as a login has it: newuidmap is set-user-id root and needs it.
    drop = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--inh-caps=-all", "--"]
    os.execvp(drop[0], drop + arguments[split + 1 :])


if __name__ == "__main__":
    main(sys.argv[1:])
