"""Probes: try each layer in a throwaway child.

Trust: reviewed. Purpose: find out by doing what this machine's kernel and policies allow.

1. A probe runs in its own child, which the kernel kills after two seconds.
2. Nothing on the host changes: what a probe makes dies with its child.
3. Each failed probe says what is lost and the exact fix.
"""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exclave.linux import bpf, calls
from exclave.nucleus.shell import namespaces
from exclave.nucleus.shell.identity import Identity, mapped_range, subordinate_ids

SO_PASSRIGHTS: Final = 83
_SECONDS: Final = 2
_APPARMOR: Final = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"


@dataclass(frozen=True, slots=True)
class Probe:
    """What one attempt found."""

    name: str
    ok: bool
    detail: str
    """A version or fact when it worked, else the errno's name and the step."""
    lost: str
    """What does not hold without it; empty when it worked."""
    fix: str
    """What the operator can do; empty when it worked."""


def attempt(action: Callable[[], str]) -> tuple[bool, str]:
    """Run an action in a throwaway child; give (worked, what it said or which errno)."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        text = "no answer"
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(_SECONDS)
            text = "+" + action()
        except OSError as error:
            text = f"{errno.errorcode.get(error.errno or 0, str(error.errno))} ({error.strerror})"
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
        finally:
            os.write(writer, text.encode()[:400])
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        answer = stream.read(400).decode("utf-8", "replace")
    os.waitpid(child, 0)
    return answer.startswith("+"), answer.removeprefix("+") or "killed"


def _namespaces() -> str:
    """Go through what a domain needs: maps, a mount, a host name; a bare unshare proves nothing."""
    privileged = os.geteuid() == 0
    namespaces.enter_alone()
    calls.mount(None, "/", None, calls.MS_REC | calls.MS_PRIVATE)
    calls.mount("none", "/tmp", "tmpfs", calls.MS_NOSUID | calls.MS_NODEV, "size=64k")
    Path("/tmp/usr").mkdir()
    tree = calls.open_tree(calls.AT_FDCWD, "/usr", calls.OPEN_TREE_CLONE | calls.AT_RECURSIVE)
    calls.mount_setattr(tree, calls.MOUNT_ATTR_RDONLY | calls.MOUNT_ATTR_NOSUID)
    place = os.open("/tmp/usr", os.O_PATH | os.O_CLOEXEC)
    calls.move_mount(tree, place)
    socket.sethostname("exclave")
    if privileged:
        first = mapped_range(_read("/proc/self/uid_map")).first
        child, release = namespaces.paused_child(calls.CLONE_NEWUSER)
        try:
            namespaces.write_single_map(child, Identity(first, first, distinct=True))
        finally:
            os.close(release)
            os.waitpid(child, 0)
    return "user, mount, pid, net, ipc, uts, cgroup"


def _landlock() -> str:
    return str(calls.landlock_abi())


def _seccomp() -> str:
    calls.set_no_new_privs()
    rules = {"sethostname": bpf.Rule(then=bpf.fail(errno.EXDEV))}
    calls.install_seccomp(bpf.assemble(rules, bpf.ALLOW, calls.arch()))
    try:
        socket.sethostname("exclave")
    except OSError as error:
        if error.errno == errno.EXDEV:
            return "filter"
    raise OSError(errno.EPROTO, "the filter was installed but had no effect")


def _secret_memory() -> str:
    descriptor = calls.memfd_secret()
    os.ftruncate(descriptor, mmap.PAGESIZE)
    with mmap.mmap(descriptor, mmap.PAGESIZE) as mapping:
        mapping[0] = 1
    return "memfd_secret"


def _pass_rights() -> str:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with left, right:
        right.setsockopt(socket.SOL_SOCKET, SO_PASSRIGHTS, 0)
    return "SO_PASSRIGHTS"


def _idmap() -> str:
    """Map the interpreter's own directory, since support is a property of the file system."""
    source = Path(sys.base_prefix).stat()
    users = namespaces.idmap_namespace(source.st_uid, source.st_gid, 1, 1)
    flags = calls.OPEN_TREE_CLONE | calls.AT_RECURSIVE
    calls.mount_setattr(calls.open_tree(calls.AT_FDCWD, sys.base_prefix, flags), 0, users)
    return f"on {sys.base_prefix}"


def _newuidmap() -> str:
    for tool in ("newuidmap", "newgidmap"):
        if shutil.which(tool) is None:
            raise OSError(errno.ENOENT, f"{tool} is not installed")
    subordinate = subordinate_ids()
    if subordinate is None:
        raise OSError(errno.ENOENT, "no allotment of 256 ids in /etc/subuid and /etc/subgid")
    uid, gid = os.getuid(), os.getgid()
    child, release = namespaces.paused_child(namespaces.CLONE_NEWUSER)
    try:
        namespaces.write_subordinate_maps(child, uid, gid, subordinate.uids.first, subordinate.gids.first)
    finally:
        os.close(release)
        os.waitpid(child, 0)
    return f"uids from {subordinate.uids.first}, {subordinate.uids.count}"


def _proc() -> str:
    """Mount /proc as pid 1 of a new pid namespace, which a container that hides parts of its own refuses."""
    namespaces.enter_alone()
    child = os.fork()
    if child == 0:
        code = 0
        try:
            calls.mount("proc", "/proc", "proc", calls.MS_NOSUID | calls.MS_NODEV | calls.MS_NOEXEC)
        except OSError as error:
            code = error.errno or 255
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise OSError(code, "mount proc")
    return "own /proc"


def _keyring() -> str:
    calls.join_session_keyring()
    return "own session keyring"


def _yama() -> str:
    return "ptrace_scope " + Path("/proc/sys/kernel/yama/ptrace_scope").read_text("ascii").strip()


def _cgroup() -> str:
    for line in Path("/proc/self/cgroup").read_text("utf-8").splitlines():
        if line.startswith("0::"):
            for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
                directory = root + line[3:]
                controllers = Path(directory, "cgroup.controllers")
                if controllers.exists():
                    offered = controllers.read_text("ascii").split()
                    if not {"memory", "pids"} <= set(offered):
                        raise OSError(errno.ENOENT, "the memory and pids controllers are not offered here")
                    if not os.access(f"{directory}/cgroup.subtree_control", os.W_OK):
                        raise OSError(errno.EACCES, "the control group is not delegated")
                    return directory
    raise OSError(errno.ENOENT, "no cgroup v2")


def _userns_fix() -> str:
    """Tell which of the known policies forbids user namespaces here."""
    if _read(_APPARMOR) == "1":
        return (
            "install an AppArmor profile for this interpreter with the rule `userns,` "
            f"(/etc/apparmor.d/exclave: `profile exclave {os.path.realpath(sys.executable)} "
            "flags=(unconfined) { userns, }`, then apparmor_parser -r /etc/apparmor.d/exclave)"
        )
    if _read("/proc/sys/user/max_user_namespaces") == "0":
        return "sysctl user.max_user_namespaces=15000"
    if _read("/proc/sys/kernel/unprivileged_userns_clone") == "0":
        return "sysctl kernel.unprivileged_userns_clone=1"
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
        return (
            "start the container with --security-opt seccomp=PROFILE, where PROFILE is the engine's default "
            "plus unshare, mount, umount2, pivot_root, open_tree, move_mount, mount_setattr, sethostname "
            "and, with Docker, --security-opt apparmor=unconfined --security-opt systempaths=unconfined"
        )
    return "allow user namespaces and Linux 5.12 or later"


def _read(path: str) -> str:
    try:
        return Path(path).read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def all_probes() -> tuple[Probe, ...]:
    """Run every probe that makes sense for this user."""
    kernel = "Linux {} or later, with {}"
    table: list[tuple[str, Callable[[], str], str, str]] = [
        ("namespaces", _namespaces, "the domain's own view, pids, network and ipc", _userns_fix()),
        (
            "landlock",
            _landlock,
            "the second check on files and ports",
            kernel.format("5.13", "lsm=landlock,… at boot"),
        ),
        (
            "seccomp",
            _seccomp,
            "the limit on what of the kernel is reachable",
            kernel.format("4.8", "CONFIG_SECCOMP_FILTER"),
        ),
        (
            "memfd_secret",
            _secret_memory,
            "keys outside of the kernel's direct map (mlock is used)",
            kernel.format("6.5", "CONFIG_SECRETMEM; before 6.5 secretmem.enable=1 at boot"),
        ),
        (
            "pass-rights",
            _pass_rights,
            "descriptors refused at the sender (receivers drop them)",
            kernel.format("6.16", "CONFIG_UNIX"),
        ),
        ("keyring", _keyring, "nothing where an outer filter denies keyctl for all", "none needed"),
        ("proc", _proc, "/proc in the monolith", "with Docker: --security-opt systempaths=unconfined"),
        (
            "cgroup",
            _cgroup,
            "one total limit on memory and processes of a domain",
            "run under systemd-run --user --scope -p Delegate=yes, on cgroup v2",
        ),
        (
            "yama",
            _yama,
            "a further check on ptrace (domains are not dumpable anyhow)",
            kernel.format("3.4", "CONFIG_SECURITY_YAMA"),
        ),
    ]
    if os.geteuid() == 0:
        table.append(
            (
                "idmap",
                _idmap,
                "private files of root in the views of domains",
                kernel.format("5.12", "a file system that supports idmapped mounts"),
            )
        )
        table.append(("newuidmap", _not_needed, "nothing: root maps uids itself", ""))
    else:
        table.append(
            (
                "newuidmap",
                _newuidmap,
                "a host uid of its own per exclave",
                "install uidmap; usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER",
            )
        )
    found = []
    for name, action, lost, fix in table:
        ok, detail = attempt(action)
        found.append(Probe(name, ok, detail, "" if ok else lost, "" if ok else fix))
    kernel_version = os.uname().release
    found.append(Probe("kernel", True, kernel_version, "", ""))
    return tuple(found)


def _not_needed() -> str:
    raise OSError(errno.ENOENT, "not needed as root")
