"""Start a domain, and check from outside that it is confined.

Trust: reviewed. Purpose: turn a plan into a running, confined process, or into an error and nothing.

1. The nucleus has one thread: the parent-death signal is tied to the thread that forked.
2. A domain is executed, never just forked: it inherits no memory, address layout or hash seed of the nucleus.
3. Any failed step stops the start: the process is killed and reaped, and SpawnFailed says which step and why.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from exclave.linux import calls
from exclave.nucleus.shell import confine, landlock, mounts, namespaces, relocate
from exclave.nucleus.shell.identity import Identities, Identity
from exclave.nucleus.shell.plan import Bind, Kind, Plan
from exclave.nucleus.shell.tier import Host

_SECONDS: Final = 20
_FIXES: Final = {
    "namespaces": "run `exclave doctor`: it names the policy that forbids namespaces and its fix",
    "user namespace": "run `exclave doctor`: it names the policy that forbids namespaces and its fix",
    "view": "check that the path exists and that the nucleus's user may read it",
    "directory": "let other users reach what the domain needs, or run as an ordinary user",
    "execve": "check that the program exists in the domain's view, and its interpreter and libraries with it",
    "network": "grant network = true, or use Linux 6.7 or later at a tier with Landlock",
    "limits": "raise the limit in the description, or the nucleus's own (ulimit)",
    "maps": "install uidmap and allot ids in /etc/subuid and /etc/subgid",
}


class SpawnFailed(Exception):
    """A domain could not be started as its plan says; nothing of it is left."""

    def __init__(self, name: str, step: str, code: int, detail: str, fix: str = "") -> None:
        self.name, self.step, self.errno, self.detail = name, step, code, detail
        self.fix = fix or _FIXES.get(step, "")
        label = errno.errorcode.get(code, "")
        super().__init__(f"{name}: {step} failed{f' with {label}' if label else ''}: {detail}")


@dataclass(slots=True)
class Process:
    """A running domain."""

    name: str
    pid: int
    pidfd: int
    """Readable when the process has ended."""
    control: socket.socket
    listener: socket.socket | None
    identity: Identity
    layers: tuple[str, ...]
    notes: tuple[str, ...]
    """What this host made impossible; to be reported."""
    code: int | None = field(default=None)

    @property
    def uid(self) -> int:
        """The domain's uid on the host."""
        return self.identity.uid

    def kill(self) -> None:
        """End the domain and everything in its pid namespace."""
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def wait(self) -> int:
        """Wait for the end, and give the exit code, or the negative number of the signal."""
        if self.code is None:
            found = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
            status = found.si_status if found else 0
            self.code = status if found and found.si_code == os.CLD_EXITED else -status
        return self.code

    def close(self) -> None:
        """Close the nucleus's descriptors of this domain."""
        self.control.close()
        if self.listener is not None:
            self.listener.close()
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1


def layers_of(host: Host, identity: Identity) -> tuple[str, ...]:
    """Name the layers that a domain gets at a host's tier."""
    names = ["no-new-privs", "no-capabilities", "limits", "not-dumpable"]
    names += ["namespaces", "view"] if host.namespaces else []
    names += [f"landlock-{host.landlock_abi}"] if host.landlock_abi else []
    names += ["seccomp"] if host.seccomp else []
    names += ["distinct-uid"] if identity.distinct else []
    return tuple(names)


class _Start:
    """One start under way: what exists so far, so that a failure can undo it."""

    def __init__(self, plan: Plan, host: Host, identity: Identity) -> None:
        self.plan, self.host, self.identity = plan, host, identity
        self.intermediate = 0
        self.child = 0
        self.pidfd = -1
        self.ready = False
        self.notes: tuple[str, ...] = ()
        self.listener: socket.socket | None = None
        self.owners: dict[Bind, int] = {}

    def _reap_intermediate(self) -> None:
        if self.intermediate:
            os.waitpid(self.intermediate, 0)
            self.intermediate = 0

    def undo(self) -> None:
        """Kill and reap whatever was started."""
        for pid in (self.intermediate, self.child):
            if pid:
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
        if self.listener is not None:
            self.listener.close()
        if self.pidfd >= 0:
            os.close(self.pidfd)

    def map_owners(self) -> None:
        """Make the user namespaces for binds that are seen as their owner; only root needs them."""
        if self.host.uid != 0 or not self.host.namespaces:
            return
        made: dict[tuple[int, int], int] = {}
        for bind in self.plan.binds:
            if bind.as_owner:
                found = Path(bind.source).stat()
                key = (found.st_uid, found.st_gid)
                if key not in made:
                    made[key] = namespaces.idmap_namespace(*key, self.identity.uid, self.identity.gid)
                self.owners[bind] = made[key]

    def close_owners(self) -> None:
        for descriptor in set(self.owners.values()):
            os.close(descriptor)

    def _write_maps(self, pid: int) -> None:
        host, identity = self.host, self.identity
        try:
            if host.uid != 0 and identity.distinct:
                namespaces.write_subordinate_maps(pid, host.uid, host.gid, identity.uid, identity.gid)
            else:
                namespaces.write_single_map(pid, identity)
        except OSError as error:
            raise SpawnFailed(self.plan.name, "maps", error.errno or 0, error.strerror or "") from error

    def talk(self, sync: socket.socket) -> None:
        """Answer the child until it becomes its program."""
        waiting = False
        while True:
            message, descriptors, _, _ = socket.recv_fds(sync, 1024, 1)
            if descriptors:
                self.listener = socket.socket(fileno=descriptors[0])
            verb, _, rest = message.partition(b" ")
            if not message:
                if not self.ready:
                    raise SpawnFailed(
                        self.plan.name, "start", errno.ECHILD, "killed while it was being confined"
                    )
                return
            if message.startswith(b"!"):
                step, code, reason = message[1:].decode("utf-8", "replace").split("\0", 2)
                raise SpawnFailed(self.plan.name, step, int(code), reason)
            if message == b"maps":
                self._write_maps(self.child or self.intermediate)
                sync.send(b"done")
            elif message == b"wait":
                waiting = True
            elif verb == b"child":
                self.child = int(rest)
                self.pidfd = os.pidfd_open(self.child)
                self._reap_intermediate()
            elif message.startswith(b"ready"):
                self.ready = True
                self.notes = tuple(message.decode("utf-8", "replace").split("\0")[1:])
                sync.send(b"done")
            else:
                raise SpawnFailed(self.plan.name, "start", errno.EPROTO, f"unexpected {message[:40]!r}")
            if waiting and self.child and not self.intermediate:
                waiting = False
                sync.send(b"done")


def _identity(plan: Plan, host: Host, identities: Identities) -> tuple[Identity, tuple[str, ...]]:
    """Choose who a domain is on the host; say so when it must share the user's uid."""
    identity = identities.of(plan.name, own=plan.kind is Kind.MONOLITH)
    if host.uid == 0:
        return identity, ()
    if not host.namespaces:
        return identities.own, ("uid: shared with the user, no user namespace",)
    if not identity.distinct:
        reason = (
            "the monolith works on the user's files" if plan.kind is Kind.MONOLITH else "no subordinate ids"
        )
        return identity, (f"uid: shared with the user, {reason}",)
    private = [bind.source for bind in plan.binds if not mounts.usable_by_others(bind.source, bind.writable)]
    if private:
        return identities.own, (f"uid: shared with the user, others may not read {private[0]}",)
    return identity, ()


def spawn(plan: Plan, host: Host, identities: Identities) -> Process:
    """Start a domain.

    Args:
        plan: everything about it.
        host: the machine at the tier in use (`Host.at`).
        identities: the running system's host ids.

    Returns:
        The process, executing the plan's program under every layer but the filters, which it installs itself.

    Raises:
        SpawnFailed: a step failed; nothing is left running.
        RuntimeError: the nucleus has more than one thread, or the host has no tier yet (a nucleus bug).
    """
    if threading.active_count() != 1:
        raise RuntimeError("the nucleus must have one thread when it starts a domain")
    if host.tier is None:
        raise RuntimeError("choose a tier first: host.at()")
    calls.set_child_subreaper()
    for bind in plan.binds:
        if not Path(bind.source).exists():
            raise SpawnFailed(plan.name, "view", errno.ENOENT, f"{bind.source}: does not exist")
    try:
        identity, notes = _identity(plan, host, identities)
        if not host.namespaces:
            plan = relocate.relocate(plan)
    except OSError as error:
        raise SpawnFailed(plan.name, "identity", error.errno or 0, error.strerror or str(error)) from error
    if plan.network.mode == "tcp" and host.landlock_abi < landlock.PORTS_SINCE:
        raise SpawnFailed(plan.name, "network", errno.ENOTSUP, "nothing here can check TCP ports one by one")
    if plan.network.mode != "none" and host.landlock_abi < landlock.SCOPES_SINCE:
        notes += ("network: abstract sockets of the host are reachable, Landlock here does not check them",)
    if host.landlock_abi and not host.namespaces:
        notes += tuple(f"landlock: does not check {what}" for what in landlock.missing(host.landlock_abi))
    start = _Start(plan, host, identity)
    kind = socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC
    control, theirs = socket.socketpair(socket.AF_UNIX, kind)
    sync, their_sync = socket.socketpair(socket.AF_UNIX, kind)
    sync.settimeout(_SECONDS)
    try:
        start.map_owners()
        start.intermediate = os.fork()
        if start.intermediate == 0:
            control.close()
            sync.close()
            confine.intermediate(confine.Order(plan, host, identity, theirs, their_sync, start.owners))
        theirs.close()
        their_sync.close()
        start.talk(sync)
    except OSError as error:
        start.undo()
        control.close()
        raise SpawnFailed(plan.name, "start", error.errno or 0, str(error)) from error
    except BaseException:
        start.undo()
        control.close()
        raise
    finally:
        theirs.close()
        their_sync.close()
        sync.close()
        start.close_owners()
    return Process(
        name=plan.name,
        pid=start.child,
        pidfd=start.pidfd,
        control=control,
        listener=start.listener,
        identity=identity,
        layers=layers_of(host, identity),
        notes=(*notes, *start.notes),
    )


def _status(pid: int) -> dict[str, str]:
    """Read what the kernel says about a process."""
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as stream:
        return {key: value.strip() for key, _, value in (line.partition(":") for line in stream)}


def verify_confined(process: Process, plan: Plan, host: Host, *, seccomp: bool = True) -> None:
    """Check from outside, by what the kernel says, that a domain has the layers of its tier.

    Args:
        process: a started domain.
        plan: what it was started from.
        host: the machine at the tier in use.
        seccomp: the domain has said that its filter is installed.

    Raises:
        SpawnFailed: step "verify", a layer is missing; the caller must kill the domain.
    """
    try:
        said = _status(process.pid)
        wanted = {"NoNewPrivs": "1", "Uid": "\t".join((str(process.uid),) * 4)}
        wanted["Gid"] = "\t".join((str(process.identity.gid),) * 4)
        if process.identity.distinct:
            wanted["Groups"] = ""
        wanted |= dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapAmb"), "0" * 16)
        if host.namespaces or host.uid == 0:
            wanted["CapBnd"] = "0" * 16
        if host.seccomp and seccomp:
            wanted["Seccomp"] = "2"
        if host.namespaces:
            wanted["NSpid"] = f"{process.pid}\t1"
        wrong = [
            f"{key} is {said.get(key)}, not {value}"
            for key, value in wanted.items()
            if said.get(key) != value
        ]
        if host.namespaces:
            shared = {"net"} if plan.network.mode != "none" else set()
            for link in set(namespaces.LINKS) - shared:
                theirs = namespace_of(process.pid, link)
                if theirs is not None and theirs == namespace_of(os.getpid(), link):
                    wrong.append(f"the {link} namespace is the nucleus's own")
    except OSError as error:
        raise SpawnFailed(process.name, "verify", error.errno or 0, error.strerror or str(error)) from error
    if wrong:
        raise SpawnFailed(process.name, "verify", errno.EPROTO, "; ".join(wrong))


def namespace_of(pid: int, name: str) -> str | None:
    """Name a process's namespace; None when the kernel does not tell this user (not dumpable)."""
    try:
        return str(Path(f"/proc/{pid}/ns/{name}").readlink())
    except PermissionError:
        return None
