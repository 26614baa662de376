"""Where the paths of a view are when there is no view.

Trust: reviewed. Purpose: run a plan in a tier without a mount namespace, on the host's own paths.

1. Files, tmpfs and listener of the plan lie below its private directory. A bind is where its source is; one
   with another target has a link to the source there.
2. argv, cwd and the values of env are rewritten: each part between ":" that is a path of the view, or lies
   below one, becomes the path on the host. Nothing else of the plan changes.
3. Landlock grants exactly these paths; without Landlock (seccomp-only) the user's files stay reachable.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from dataclasses import replace
from pathlib import Path

from exclave.nucleus.shell import landlock, mounts
from exclave.nucleus.shell.identity import Identity
from exclave.nucleus.shell.landlock import Grant
from exclave.nucleus.shell.plan import Plan


def _moves(plan: Plan) -> dict[str, str]:
    """Map each path of the view that moves to its place on the host."""
    private = plan.directory or ""
    moved = [bind.target for bind in plan.binds if bind.target != bind.source]
    moves = {bind.target: bind.target for bind in plan.binds if bind.target == bind.source}
    moves |= {path: private + path for path in moved}
    moves |= {path: private + path for path in plan.files}
    moves |= {item.target: private + item.target for item in plan.tmpfs}
    if plan.listener:
        moves[plan.listener] = private + plan.listener
    for path in (*plan.files, *moved):
        # A directory of files is named too, as an entry of PYTHONPATH for example.
        for parent in _parents(path):
            if not any(path == bind.source == bind.target for bind in plan.binds):
                moves.setdefault(parent, private + parent)
    return moves


def _parents(path: str) -> list[str]:
    parts = path.split("/")[1:-1]
    return ["/" + "/".join(parts[:count]) for count in range(2, len(parts) + 1)]


def _moved(word: str, moves: dict[str, str]) -> str:
    if not word.startswith("/"):
        return word
    for target in sorted(moves, key=len, reverse=True):
        if word == target or word.startswith(target + "/"):
            return moves[target] + word[len(target) :]
    return word


def relocate(plan: Plan) -> Plan:
    """Rewrite a plan's argv, cwd and env from paths of the view to paths of the host.

    Raises:
        OSError: ENOTDIR, the plan needs a private directory and names none (the caller's fault).
    """
    if plan.directory is None:
        raise OSError(
            errno.ENOTDIR, f"{plan.name}: a tier without a mount namespace needs a private directory"
        )
    moves = _moves(plan)

    def all_parts(value: str) -> str:
        return ":".join(_moved(part, moves) for part in value.split(":"))

    return replace(
        plan,
        argv=tuple(all_parts(word) for word in plan.argv),
        env={key: all_parts(value) for key, value in plan.env.items()},
        cwd=_moved(plan.cwd, moves) if plan.cwd != "/" else plan.directory,
        listener=_moved(plan.listener, moves) if plan.listener else None,
    )


def check_reachable(path: str, *, writable: bool = False) -> None:
    """Make sure that users other than the owner may use a path; raises OSError(EACCES) if not."""
    for parent in Path(path).parents:
        if not parent.stat().st_mode & 0o1:
            raise OSError(
                errno.EACCES,
                f"{path}: {parent} is closed to other users, which no mapping can change in this tier",
            )
    if not mounts.usable_by_others(path, writable):
        raise OSError(errno.EACCES, f"{path}: other users may not {'change' if writable else 'read'} it")


def enter(plan: Plan, owner: Identity | None) -> tuple[list[str], socket.socket | None, list[Grant]]:
    """Write the files of a relocated plan, and say what may be reached.

    Args:
        plan: relocated.
        owner: the domain's identity when it will get another uid than this process has.

    Returns:
        Notes, the listener, and the Landlock rights.

    Raises:
        OSError: the directory is not private, or a file cannot be written.
    """
    private = plan.directory or ""
    found = os.lstat(private)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise OSError(errno.EACCES, f"{private}: not a directory of this user's own that only he may write")
    if owner is not None:
        # The domain's group may pass and read; only the nucleus's uid may change anything.
        for bind in plan.binds:
            check_reachable(bind.source, writable=bind.writable)
        for device in plan.devices:
            check_reachable(device, writable=True)
        for parent in Path(private).parents:
            if not parent.stat().st_mode & 0o1:
                raise OSError(errno.EACCES, f"{private}: the domain's uid may not pass {parent}")
        os.chown(private, -1, owner.gid)
        Path(private).chmod(0o750)
    for path, content in plan.files.items():
        Path(private + path).parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(private + path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o444)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
    listener = None
    if plan.listener:
        Path(plan.listener).parent.mkdir(parents=True, exist_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(plan.listener)
        listener.listen(64)
    grants = [Grant(private, landlock.READ)]
    for item in plan.tmpfs:
        Path(private + item.target).mkdir(mode=0o700, parents=True, exist_ok=True)
        if owner is not None:
            os.chown(private + item.target, owner.uid, owner.gid)
        grants.append(Grant(private + item.target, landlock.READ | landlock.CHANGE))
    for bind in plan.binds:
        if bind.target != bind.source:
            Path(private + bind.target).parent.mkdir(parents=True, exist_ok=True)
            Path(private + bind.target).symlink_to(bind.source)
        change = landlock.CHANGE if bind.writable else 0
        grants.append(Grant(bind.source, landlock.READ | landlock.EXECUTE | change))
    grants += [Grant(path, landlock.DEVICE) for path in plan.devices]
    notes = ["tmpfs sizes are not limited: no mount namespace"] if plan.tmpfs else []
    shown = [f"{b.source}/{name}" for b in plan.binds for name in b.hidden if Path(b.source, name).is_dir()]
    if shown:
        notes.append(f"not hidden, no mount namespace: {', '.join(shown)}")
    return notes, listener, grants
