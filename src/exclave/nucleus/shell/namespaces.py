"""Namespaces and uid maps.

Trust: reviewed. Purpose: make the namespaces of a domain, and say who its uids are on the host.

1. Maps are written from outside, by the nucleus: a domain never chooses who it is.
2. As root the map is one uid, not 0. An ordinary user maps his own uid, or through newuidmap a subordinate
   one beside his own, which only the set-up phase uses.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Final

from exclave.linux import calls
from exclave.linux.calls import CLONE_NEWUSER as CLONE_NEWUSER
from exclave.nucleus.shell.identity import INSIDE, Identity
from exclave.nucleus.shell.plan import Plan

LINKS: Final = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")


def flags_for(plan: Plan) -> int:
    """Give the namespaces besides the user one; a granted network means the host's."""
    flags = (
        calls.CLONE_NEWNS
        | calls.CLONE_NEWPID
        | calls.CLONE_NEWIPC
        | calls.CLONE_NEWUTS
        | calls.CLONE_NEWCGROUP
    )
    return flags | (calls.CLONE_NEWNET if plan.network.mode == "none" else 0)


def enter_alone() -> None:
    """Enter the namespaces that a domain's set-up enters, for a probe; root needs no user one."""
    uid, gid = os.geteuid(), os.getegid()
    everything = calls.CLONE_NEWNS | calls.CLONE_NEWPID | calls.CLONE_NEWIPC | calls.CLONE_NEWUTS
    everything |= calls.CLONE_NEWCGROUP | calls.CLONE_NEWNET
    if uid == 0:
        calls.unshare(everything)
        return
    # The map files of a process that is not dumpable belong to root (proc(5)).
    calls.set_dumpable(True)
    calls.unshare(calls.CLONE_NEWUSER | everything)
    Path("/proc/self/setgroups").write_text("deny", "ascii")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1", "ascii")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1", "ascii")


def write_map(pid: int, name: str, text: str) -> None:
    """Write uid_map or gid_map of a process that has just entered a user namespace."""
    try:
        descriptor = os.open(f"/proc/{pid}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise OSError(error.errno, f"write {name} {text!r}: {os.strerror(error.errno or 0)}") from error


def write_single_map(pid: int, identity: Identity) -> None:
    """Map one uid and one gid: inside 1000, outside the identity's."""
    write_map(pid, "setgroups", "deny")
    write_map(pid, "uid_map", f"{INSIDE} {identity.uid} 1")
    write_map(pid, "gid_map", f"{INSIDE} {identity.gid} 1")


def write_subordinate_maps(pid: int, uid: int, gid: int, sub_uid: int, sub_gid: int) -> None:
    """Map an ordinary user's own ids to 0 and subordinate ones to 1000, through newuidmap and newgidmap."""
    for tool, own, sub in (("newuidmap", uid, sub_uid), ("newgidmap", gid, sub_gid)):
        path = shutil.which(tool, path="/usr/bin:/bin:/usr/sbin:/sbin")
        if path is None:
            raise OSError(errno.ENOENT, f"{tool} is not installed")
        words = [path, str(pid), "0", str(own), "1", str(INSIDE), str(sub), "1"]
        done = subprocess.run(words, capture_output=True, check=False, timeout=5, env={})
        if done.returncode:
            raise OSError(errno.EPERM, done.stderr.decode("utf-8", "replace").strip()[:200] or tool)


def paused_child(flags: int) -> tuple[int, int]:
    """Fork a child that enters namespaces and waits; it ends when the returned descriptor is closed."""
    ready_read, ready_write = os.pipe()
    release_read, release_write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 255
        try:
            os.close(release_write)
            os.close(ready_read)
            calls.set_dumpable(True)
            calls.set_parent_death_signal(signal.SIGKILL)
            calls.unshare(flags)
            os.write(ready_write, b"+")
            os.read(release_read, 1)
            code = 0
        except OSError as error:
            os.write(ready_write, bytes([min(error.errno or 255, 255)]))
        finally:
            os._exit(code)
    os.close(ready_write)
    os.close(release_read)
    answer = os.read(ready_read, 1)
    os.close(ready_read)
    if answer != b"+":
        os.close(release_write)
        os.waitpid(child, 0)
        raise OSError(answer[0] if answer else errno.ECHILD, "unshare")
    return child, release_write


def idmap_namespace(owner_uid: int, owner_gid: int, uid: int, gid: int) -> int:
    """Make a user namespace for an idmapped mount: files of `owner` on disk belong to `uid` in the mount.

    Returns:
        The namespace's descriptor; the namespace lives as long as it or a mount made with it.
    """
    child, release = paused_child(calls.CLONE_NEWUSER)
    try:
        write_map(child, "uid_map", f"{owner_uid} {uid} 1")
        write_map(child, "gid_map", f"{owner_gid} {gid} 1")
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(release)
        os.waitpid(child, 0)
