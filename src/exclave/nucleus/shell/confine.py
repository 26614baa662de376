"""Confinement: what a domain's process does to itself between fork and execve.

Trust: reviewed. Purpose: take every authority away in an order in which each step is still possible.

1. Any failure ends the process: its step, errno and reason go to the nucleus, and the program never runs.
2. No step is skipped because of an error; a layer that the host lacks was left out by its tier.
3. The parent-death signal comes last: every change of credentials clears it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from exclave.linux import calls
from exclave.nucleus.shell import landlock, mounts, namespaces, relocate
from exclave.nucleus.shell.identity import INSIDE, Identity
from exclave.nucleus.shell.landlock import Grant
from exclave.nucleus.shell.plan import CONTROL, Bind, Kind, Limits, Plan
from exclave.nucleus.shell.tier import Host

_BACKLOG: Final = 64
_HIGH: Final = 100
LOADERS: Final = (
    *("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"),
    *("/lib/ld-musl-x86_64.so.1", "/lib/ld-musl-aarch64.so.1"),
)
"""Where the dynamic loader is; a program cannot start without the right to execute it."""


@dataclass(slots=True)
class Order:
    """All that the process needs to confine itself; made by the nucleus before the fork."""

    plan: Plan
    host: Host
    identity: Identity
    control: socket.socket
    sync: socket.socket
    owners: dict[Bind, int] = field(default_factory=dict)
    step: str = "start"


def report(sync: socket.socket, step: str, error: BaseException) -> None:
    """Tell the nucleus which step failed, and why."""
    code = error.errno or 0 if isinstance(error, OSError) else 0
    reason = (
        (error.strerror or str(error)) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
    )
    sync.send(b"!" + "\0".join((step, str(code), reason)).encode("utf-8", "replace")[:1000])


def ask(sync: socket.socket, question: bytes) -> None:
    """Ask the nucleus for something and wait until it is done; its end means ours."""
    sync.send(question)
    if sync.recv(16) != b"done":
        raise OSError(errno.EPIPE, "the nucleus is gone")


def intermediate(order: Order) -> None:
    """Enter the namespaces and fork the domain's first process, in a fork of the nucleus; never returns."""
    code = 1
    try:
        if order.host.namespaces:
            order.step = "namespaces"
            if order.host.uid != 0:
                # Else /proc/PID/uid_map belongs to root, and the nucleus could not write it.
                calls.set_dumpable(True)
                calls.unshare(calls.CLONE_NEWUSER)
                ask(order.sync, b"maps")
                inside = 0 if order.identity.distinct else INSIDE
                if order.identity.distinct:
                    os.setgroups([])
                os.setresgid(inside, inside, inside)
                os.setresuid(inside, inside, inside)
            calls.unshare(namespaces.flags_for(order.plan))
        order.step = "fork"
        child = os.fork()
        if child == 0:
            ask(order.sync, b"wait")
            domain(order)
        order.sync.send(b"child %d" % child)
        code = 0
    except BaseException as error:
        report(order.sync, order.step, error)
    finally:
        os._exit(code)


def domain(order: Order) -> None:
    """Confine this process and become the plan's program; never returns."""
    try:
        _confine(order)
    except BaseException as error:
        report(order.sync, order.step, error)
    finally:
        os._exit(1)


def _keep_only(order: Order) -> None:
    """Close every descriptor that the plan does not name, and put the named ones at their numbers."""
    plan = order.plan
    stdio = plan.stdio or (os.open("/dev/null", os.O_RDWR),) * 3
    final = {0: stdio[0], 1: stdio[1], 2: stdio[2], CONTROL: order.control.fileno(), **plan.fds}
    above = max(_HIGH, max(final) + 1)

    def lift(descriptor: int) -> int:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, above)

    sync = socket.socket(fileno=lift(order.sync.fileno()))
    order.sync.detach()
    order.control.detach()
    order.sync = sync
    lifted = {number: lift(descriptor) for number, descriptor in final.items()}
    order.owners = {bind: lift(descriptor) for bind, descriptor in order.owners.items()}
    first = 0
    for descriptor in [*sorted({sync.fileno(), *lifted.values(), *order.owners.values()}), 1 << 31]:
        if descriptor > first:
            calls.close_range(first, descriptor - 1)
        first = descriptor + 1
    for number, descriptor in lifted.items():
        os.dup2(descriptor, number, inheritable=True)
        os.close(descriptor)


def _listen(path: str) -> socket.socket:
    """Make the socket that reaches the nucleus; its peer credentials name the domain itself."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    Path(path).chmod(0o666)
    listener.listen(_BACKLOG)
    return listener


def _limit(limits: Limits, count_processes: bool) -> None:
    """Lower the resource limits; none is ever raised."""
    table: list[tuple[int, int | None]] = [
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, limits.files),
        (resource.RLIMIT_FSIZE, limits.file_size),
        (resource.RLIMIT_MEMLOCK, limits.locked),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_NPROC, limits.processes if count_processes else None),
        (resource.RLIMIT_AS, limits.memory),
    ]
    for kind, value in table:
        if value is not None:
            hard = resource.getrlimit(kind)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (value, value))


def grants_of_view(plan: Plan) -> list[Grant]:
    """Give the Landlock rights inside the view: reading all of it, changing what the plan grants."""
    may_run = landlock.EXECUTE if plan.kind is Kind.MONOLITH else 0
    grants = [Grant("/", landlock.READ | may_run)]
    if not may_run:
        grants += [Grant(path, landlock.EXECUTE) for path in (plan.argv[0], *LOADERS) if Path(path).is_file()]
    grants += [Grant(bind.target, landlock.READ | landlock.CHANGE) for bind in plan.binds if bind.writable]
    grants += [Grant(item.target, landlock.READ | landlock.CHANGE) for item in plan.tmpfs]
    grants += [Grant(path, landlock.DEVICE) for path in (*plan.devices, *(("/dev/pts",) if plan.pts else ()))]
    return grants


def _enter_view(order: Order) -> tuple[list[str], socket.socket | None]:
    plan, privileged = order.plan, order.host.uid == 0
    owner = (order.identity.uid, order.identity.gid) if privileged else None
    order.step = "view"
    notes = mounts.build(plan, order.owners, owner or (INSIDE, INSIDE), owner)
    order.step = "hostname"
    socket.sethostname(plan.hostname)
    order.step = "listener"
    listener = _listen(plan.listener) if plan.listener else None
    order.step = "seal"
    mounts.seal_root(plan)
    if privileged:
        # Only now: the mounts above belong to the host's user namespace, and nothing inside can change them.
        order.step = "user namespace"
        calls.unshare(calls.CLONE_NEWUSER)
        ask(order.sync, b"maps")
    return notes, listener


def _become(order: Order) -> None:
    """Give up the set-up uid, and with it every way back."""
    order.step = "bounding set"
    if order.host.namespaces or order.host.uid == 0:
        calls.drop_bounding_set()
        calls.lock_securebits()
    order.step = "identity"
    if order.host.namespaces:
        os.setresgid(INSIDE, INSIDE, INSIDE)
        os.setresuid(INSIDE, INSIDE, INSIDE)
    elif order.host.uid == 0:
        os.setresgid(*(order.identity.gid,) * 3)
        os.setresuid(*(order.identity.uid,) * 3)


def _confine(order: Order) -> None:
    plan, host = order.plan, order.host
    order.step = "descriptors"
    _keep_only(order)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.umask(0o022)
    order.step = "groups"
    if host.uid == 0:
        os.setgroups([])
    order.step = "keyring"
    notes: list[str] = []
    try:
        calls.join_session_keyring()
    except OSError as error:
        # An outer filter denies keyctl to everything below it, so the keyring is out of reach all the same.
        if error.errno not in (errno.EPERM, errno.ENOSYS):
            raise
        notes.append("session keyring: keyctl is denied on this host")
    order.step = "session"
    if plan.setsid:
        os.setsid()
    if host.namespaces:
        more, listener = _enter_view(order)
        grants = grants_of_view(plan) if host.landlock_abi else []
    else:
        order.step = "directory"
        more, listener, grants = relocate.enter(plan, order.identity if host.uid == 0 else None)
    notes += more
    _become(order)
    order.step = "limits"
    counted = host.namespaces or host.uid == 0
    _limit(plan.limits, counted)
    if not counted:
        notes.append("processes: not limited, the user's own uid counts all of the user's processes")
    order.step = "no new privileges"
    calls.set_no_new_privs()
    order.step = "landlock"
    if host.landlock_abi:
        landlock.restrict(host.landlock_abi, grants, plan.network)
    order.step = "capabilities"
    calls.clear_ambient_set()
    calls.drop_capabilities()
    order.step = "parent-death signal"
    calls.set_parent_death_signal(signal.SIGKILL)
    order.step = "ready"
    said = "\0".join(["ready", *notes]).encode()[:1000]
    socket.send_fds(order.sync, [said], [listener.fileno()] if listener else [])
    if order.sync.recv(16) != b"done":
        raise OSError(errno.EPIPE, "the nucleus is gone")
    order.step = "chdir"
    os.chdir(plan.cwd)
    order.step = "execve"
    os.execve(plan.argv[0], plan.argv, dict(plan.env))
