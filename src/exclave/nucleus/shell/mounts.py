"""The view: a domain's own root directory.

Trust: reviewed. Purpose: build the tree that a plan names, and make everything else cease to exist.

1. Runs in the domain's process, in its mount namespace, before the program.
2. Sources are opened before the new root hides any of them.
3. Places are made component by component without following links, and only on file systems made here:
   nothing is ever created below a bind, so nothing is ever created on the host.
4. What is not writable by the plan is read-only by the mount, and nothing is set-user-id or a device.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from exclave.linux import calls
from exclave.nucleus.shell.plan import Bind, Plan, Tmpfs

_DIRECTORY: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_QUIET: Final = calls.MS_NOSUID | calls.MS_NODEV | calls.MS_NOEXEC
_SLACK: Final = 1 << 18
_INODES: Final = 4096
_PAGE: Final = 4096


def usable_by_others(path: str, writable: bool) -> bool:
    """Tell whether users other than the owner may read (or also write) the top of a tree."""
    mode = Path(path).stat().st_mode
    wanted = 0o4 | (0o2 if writable else 0) | (0o1 if stat.S_ISDIR(mode) else 0)
    return mode & wanted == wanted


def _open_source(bind: Bind, owners: int | None) -> tuple[int, bool]:
    """Copy a source's mount tree as the plan allows; give it, and whether it is a directory."""
    source = os.open(bind.source, os.O_PATH | os.O_CLOEXEC)
    try:
        directory = stat.S_ISDIR(os.fstat(source).st_mode)
        tree = calls.open_tree(source, "", calls.OPEN_TREE_CLONE | calls.AT_RECURSIVE | calls.AT_EMPTY_PATH)
        attributes = calls.MOUNT_ATTR_NOSUID | calls.MOUNT_ATTR_NODEV
        calls.mount_setattr(tree, attributes | (0 if bind.writable else calls.MOUNT_ATTR_RDONLY))
        if owners is not None:
            try:
                calls.mount_setattr(tree, 0, owners)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.EPERM, errno.EOPNOTSUPP):
                    raise
                if not usable_by_others(bind.source, bind.writable):
                    raise OSError(
                        errno.EACCES, "its file system has no idmapped mounts, and others may not use it"
                    ) from error
        return tree, directory
    except OSError as error:
        raise OSError(error.errno, f"{bind.source}: {error.strerror}") from error
    finally:
        os.close(source)


def _exists(directory: int, name: str) -> bool:
    try:
        os.lstat(name, dir_fd=directory)
    except FileNotFoundError:
        return False
    return True


class _Root:
    """The new root while it is being built."""

    def __init__(self, base: str) -> None:
        """Open the new root, which is mounted at `base`."""
        self.base = base
        self.descriptor = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._own = {os.fstat(self.descriptor).st_dev}

    def at(self, path: str, use: Callable[[int, str], None]) -> None:
        """Make the missing directories above a path, and use the last one with the path's name."""
        *parents, last = path.strip("/").split("/")
        here = os.dup(self.descriptor)
        try:
            for name in parents:
                if not _exists(here, name):
                    self._check(here, path)
                    os.mkdir(name, 0o755, dir_fd=here)
                following = os.open(name, _DIRECTORY, dir_fd=here)
                os.close(here)
                here = following
            if not _exists(here, last):
                self._check(here, path)
            use(here, last)
        except OSError as error:
            text = error.strerror or ""
            raise OSError(error.errno, text if text.startswith("/") else f"{path}: {text}") from error
        finally:
            os.close(here)

    def _check(self, directory: int, path: str) -> None:
        if os.fstat(directory).st_dev not in self._own:
            raise OSError(errno.EROFS, f"{path}: does not exist, and nothing is made below a bind")

    def attach(self, path: str, tree: int, directory: bool) -> None:
        """Mount a detached tree."""

        def use(parent: int, name: str) -> None:
            if not _exists(parent, name):
                if directory:
                    os.mkdir(name, 0o755, dir_fd=parent)
                else:
                    os.close(os.open(name, _NEW, 0o444, dir_fd=parent))
            wanted = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_DIRECTORY if directory else 0)
            place = os.open(name, wanted, dir_fd=parent)
            calls.move_mount(tree, place)
            os.close(place)
            os.close(tree)

        self.at(path, use)

    def mount(self, path: str, kind: str, flags: int, options: str) -> None:
        """Mount a new file system."""

        def use(parent: int, name: str) -> None:
            if not _exists(parent, name):
                os.mkdir(name, 0o755, dir_fd=parent)
            os.close(os.open(name, _DIRECTORY, dir_fd=parent))
            calls.mount("none", self.base + path, kind, flags, options)
            if kind == "tmpfs":
                self._own.add(os.stat(name, dir_fd=parent, follow_symlinks=False).st_dev)

        self.at(path, use)

    def directory(self, path: str) -> None:
        """Make a directory if there is none."""

        def use(parent: int, name: str) -> None:
            if not _exists(parent, name):
                os.mkdir(name, 0o755, dir_fd=parent)

        self.at(path, use)

    def file(self, path: str, content: bytes) -> None:
        """Write a read-only file."""

        def use(parent: int, name: str) -> None:
            with os.fdopen(os.open(name, _NEW, 0o444, dir_fd=parent), "wb") as stream:
                stream.write(content)

        self.at(path, use)

    def link(self, path: str, to: str) -> None:
        """Make a symbolic link."""
        self.at(path, lambda parent, name: os.symlink(to, name, dir_fd=parent))

    def device(self, path: str, node: int, owner: tuple[int, int] | None) -> None:
        """Give a device node: the host's own, or where the domain may not use that, a copy that it owns.

        Args:
            path: the node's path, the same on the host and in the view.
            node: the host's node, opened.
            owner: the domain's host uid and gid when this process may make nodes, else None.
        """
        found = os.fstat(node)
        if not (stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode)):
            raise OSError(errno.ENODEV, f"{path}: not a device node")
        if owner is not None and found.st_mode & 0o6 != 0o6:
            uid, gid = owner

            def use(parent: int, name: str) -> None:
                os.mknod(name, stat.S_IFMT(found.st_mode) | 0o600, found.st_rdev, dir_fd=parent)
                os.chown(name, uid, gid, dir_fd=parent, follow_symlinks=False)

            self.at(path, use)
            return
        tree = calls.open_tree(node, "", calls.OPEN_TREE_CLONE | calls.AT_EMPTY_PATH)
        calls.mount_setattr(tree, calls.MOUNT_ATTR_NOSUID | calls.MOUNT_ATTR_NOEXEC | calls.MOUNT_ATTR_RDONLY)
        self.attach(path, tree, directory=False)


def build(
    plan: Plan, owners: dict[Bind, int], inside: tuple[int, int], owner: tuple[int, int] | None
) -> list[str]:
    """Make the plan's view the root of this process, and detach the host's.

    Args:
        plan: the domain.
        owners: for binds seen as their owner, the descriptor of the user namespace that maps them.
        inside: who owns the writable directories in memory: a uid and gid of this process's user namespace.
        owner: the domain's host uid and gid when this process is root on the host, else None.

    Returns:
        What was not possible and is to be reported.

    Raises:
        OSError: a step failed; the process must end.
    """
    notes: list[str] = []
    calls.mount(None, "/", None, calls.MS_REC | calls.MS_PRIVATE)
    trees = {bind: _open_source(bind, owners.get(bind)) for bind in plan.binds}
    devices = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in plan.devices}
    base = next(path for path in ("/tmp", "/run", "/mnt", "/usr") if Path(path).is_dir())
    size = _SLACK + sum(-(-len(content) // _PAGE) * _PAGE for content in plan.files.values())
    # Device nodes may be made on it below; the last remount says what it may not hold.
    options = f"size={size},nr_inodes={_INODES + len(plan.files)},mode=755"
    calls.mount("none", base, "tmpfs", calls.MS_NOSUID, options)
    root = _Root(base)
    items: list[Bind | Tmpfs] = [*plan.binds, *plan.tmpfs]
    for item in sorted(items, key=lambda item: item.target.split("/")):
        if isinstance(item, Tmpfs):
            flags = _QUIET & ~calls.MS_NOEXEC if item.executable else _QUIET
            options = f"size={item.size},mode={item.mode:o},uid={inside[0]},gid={inside[1]}"
            root.mount(item.target, "tmpfs", flags, options)
        else:
            root.attach(item.target, *trees[item])
            for name in item.hidden:
                if Path(base + item.target, name).is_dir():
                    hidden = "size=4k,nr_inodes=1,mode=555"
                    root.mount(f"{item.target}/{name}", "tmpfs", _QUIET | calls.MS_RDONLY, hidden)
    for path, content in plan.files.items():
        root.file(path, content)
    for path, node in devices.items():
        root.device(path, node, owner)
        os.close(node)
    if plan.pts:
        root.mount("/dev/pts", "devpts", _QUIET & ~calls.MS_NODEV, "newinstance,ptmxmode=0666,mode=620")
    if plan.proc:
        # The old /proc must still be in sight: a user namespace may mount only what it already sees.
        try:
            root.mount("/proc", "proc", _QUIET | calls.MS_RDONLY, "")
        except OSError as error:
            if error.errno != errno.EPERM:
                raise
            notes.append("no /proc: this container hides parts of its own (EPERM)")
    for path, to in plan.symlinks.items():
        root.link(path, to)
    if plan.cwd != "/":
        root.directory(plan.cwd)
    if plan.listener:
        root.at(plan.listener, lambda parent, name: None)
    os.fchdir(root.descriptor)
    os.close(root.descriptor)
    calls.pivot_root(".", ".")
    calls.umount(".", calls.MNT_DETACH)
    os.chdir("/")
    return notes


def seal_root(plan: Plan) -> None:
    """Make the new root read-only; what lies on it can no longer be changed by anyone inside.

    Code on it can be mapped only where the plan's own files hold some: extension modules of packages.
    """
    flags = calls.MS_REMOUNT | calls.MS_BIND | calls.MS_RDONLY | calls.MS_NOSUID
    code = any(content.startswith(b"\x7fELF") for content in plan.files.values())
    flags |= (0 if code else calls.MS_NOEXEC) | (0 if plan.devices else calls.MS_NODEV)
    calls.mount(None, "/", None, flags)
