"""Which system calls each kind of domain may make.

Trust: reviewed; the emitted bytes are tested and proved against the tables of `rules`.
Purpose: give the seccomp programs "monolith", "exclave-import" and "exclave-serve".

1. A call that is not listed fails with EPERM; each group says why it is listed.
2. clone3 fails with ENOSYS, so that the C library falls back to clone, whose flags can be seen.
3. No profile has ptrace, process_vm_*, pidfd_getfd, kcmp, mount and namespace calls, keyrings, io_uring,
   userfaultfd, bpf, perf or module loading: each reaches past the other layers, and programs live without.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from exclave.linux import calls
from exclave.linux.bpf import ALLOW, Match, Rule, assemble, fail
from exclave.nucleus.shell.landlock import SCOPES_SINCE
from exclave.nucleus.shell.plan import Kind, Network, Plan
from exclave.nucleus.shell.syscalls import (
    COMMON,
    CONTROLS,
    EXCLAVE_IMPORT,
    MONOLITH,
    PRCTLS_EXCLAVE,
    PRCTLS_MONOLITH,
    TERMINAL_IOCTLS,
)
from exclave.nucleus.shell.tier import Host

Profile: TypeAlias = Literal["monolith", "exclave-import", "exclave-serve"]

DENIED: Final = fail(errno.EPERM)

# New namespaces would give back capabilities; CLONE_PARENT would make the nucleus a parent of strangers.
_CLONE_FORBIDDEN: Final = (
    calls.CLONE_NEWNS
    | calls.CLONE_NEWCGROUP
    | calls.CLONE_NEWUTS
    | calls.CLONE_NEWIPC
    | calls.CLONE_NEWUSER
    | calls.CLONE_NEWPID
    | calls.CLONE_NEWNET
    | 0x80
    | 0x8000
)
_NO_NETWORK: Final = Network()
_WRITE, _EXEC = 2, 4
_SOCK_TYPE: Final = 0xF
_MSG_FASTOPEN: Final = 0x2000_0000
_AF_NETLINK: Final = 16
# O_CREAT, O_TRUNC and the bit of O_TMPFILE that O_DIRECTORY lacks, equal on both machines.
_OPEN_MAKES: Final = 0o100 | 0o1000 | 0o20000000
_ACCESS_MODE: Final = 3
_AT_EMPTY_PATH: Final = 0x1000
# SO_ATTACH_FILTER, _BPF, _REUSEPORT_CBPF, _REUSEPORT_EBPF put programs into the kernel; SO_PASSPIDFD and
# SO_PEERPIDFD name the process at the other end, which on an endpoint is the nucleus.
_SOCKET_OPTIONS_FORBIDDEN: Final = (26, 50, 51, 52, 76, 77)


@dataclass(frozen=True, slots=True)
class Options:
    """What a filter depends on besides its profile."""

    network: Network = _NO_NETWORK
    """Which sockets the monolith may make."""
    namespaces: bool = True
    """Own mount, pid, ipc and net namespaces hold: path sockets and pids name only what is inside."""
    signals: bool = True
    """Signals cannot leave the domain by other layers, so kill is allowed."""
    ioctls: tuple[int, ...] = ()
    """Further ioctl requests a driver may make."""
    devices: bool = False
    """Files may be opened for writing (device nodes of a driver; the view is read-only otherwise)."""


def _only(argument: int, *values: int, mask: int = 0xFFFF_FFFF) -> Rule:
    return Rule(((Match(argument, values, mask),),), ALLOW, DENIED)


def _sockets(options: Options) -> dict[str, Rule]:
    """Rule the socket families: path sockets only where the view hides the host's, the network as granted."""
    unix, stream = socket.AF_UNIX, socket.SOCK_STREAM
    kinds: list[tuple[Match, ...]] = [(Match(0, (unix,)),)] if options.namespaces else []
    if options.network.mode != "none":
        internet = Match(0, (socket.AF_INET, socket.AF_INET6))
        kinds.append((internet, Match(1, (stream,), _SOCK_TYPE), Match(2, (0, socket.IPPROTO_TCP))))
        if options.network.mode == "all":
            kinds.append(
                (internet, Match(1, (socket.SOCK_DGRAM,), _SOCK_TYPE), Match(2, (0, socket.IPPROTO_UDP)))
            )
            kinds.append((Match(0, (_AF_NETLINK,)), Match(2, (0,))))
    rules: dict[str, Rule] = {}
    if kinds:
        rules["socket"] = Rule(tuple(kinds), ALLOW, DENIED)
        rules |= dict.fromkeys(("connect", "bind", "listen", "accept", "accept4"), Rule())
    pair: tuple[Match, ...] = (Match(0, (unix,)),)
    if not options.namespaces:
        # A datagram pair could be connected anew, to a path socket of the host.
        pair += (Match(1, (stream, socket.SOCK_SEQPACKET), _SOCK_TYPE),)
    rules["socketpair"] = Rule((pair,), ALLOW, DENIED)
    if options.network.mode == "tcp":
        # TCP Fast Open connects without the check that Landlock makes at connect.
        for name, flags in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
            rules[name] = _only(flags, 0, mask=_MSG_FASTOPEN)
    return rules


def _shared() -> dict[str, Rule]:
    rules: dict[str, Rule] = dict.fromkeys(COMMON, Rule())
    rules["clone3"] = Rule(then=fail(errno.ENOSYS))
    rules["fcntl"] = _only(1, *CONTROLS)
    rules["setsockopt"] = rules["getsockopt"] = Rule(
        ((Match(1, (socket.SOL_SOCKET,), negate=True),), (Match(2, _SOCKET_OPTIONS_FORBIDDEN, negate=True),)),
        ALLOW,
        DENIED,
    )
    return rules


def _monolith(options: Options) -> dict[str, Rule]:
    rules = _shared() | dict.fromkeys(MONOLITH, Rule()) | _sockets(options)
    rules["clone"] = _only(0, 0, mask=_CLONE_FORBIDDEN)
    rules["ioctl"] = _only(1, *TERMINAL_IOCTLS, *options.ioctls)
    rules["prctl"] = _only(0, *PRCTLS_MONOLITH)
    # FIFOs, plain files and sockets, but no device nodes.
    rules["mknod"] = _only(1, 0, 0o100000, 0o010000, 0o140000, mask=0o170000)
    rules["mknodat"] = _only(2, 0, 0o100000, 0o010000, 0o140000, mask=0o170000)
    rules["personality"] = _only(0, 0xFFFF_FFFF)
    # PRIO_USER would reach every process of the user.
    rules["setpriority"] = _only(0, 0)
    if not options.namespaces:
        for name in ("prlimit64", "sched_setaffinity", "get_robust_list"):
            rules[name] = _only(0, 0)
        rules["setpriority"] = Rule(((Match(0, (0,)), Match(1, (0,))),), ALLOW, DENIED)
    if not options.signals:
        for name in ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal"):
            rules.pop(name, None)
    return rules


def _exclave(options: Options, serving: bool) -> dict[str, Rule]:
    rules = _shared()
    executable = (Match(2, (0,), _EXEC),)
    rules["mmap"] = Rule((executable,), ALLOW, DENIED)
    rules["mprotect"] = Rule((executable,), ALLOW, DENIED)
    rules["prctl"] = _only(0, *PRCTLS_EXCLAVE)
    rules["ioctl"] = _only(1, 0x5401, 0x541B, 0x5421, 0x5450, 0x5451, *options.ioctls)
    # fstat in newer C libraries.
    rules["newfstatat"] = _only(3, _AT_EMPTY_PATH, mask=_AT_EMPTY_PATH)
    rules["statx"] = _only(2, _AT_EMPTY_PATH, mask=_AT_EMPTY_PATH)
    if not options.signals:
        rules.pop("tgkill", None)
    if serving:
        return rules
    rules |= dict.fromkeys(EXCLAVE_IMPORT, Rule())
    forbidden = _OPEN_MAKES | (0 if options.devices else _ACCESS_MODE)
    rules["open"] = _only(1, 0, mask=forbidden)
    rules["openat"] = _only(2, 0, mask=forbidden)
    # Extension modules map code from files; never memory that is writable and executable at once.
    rules["mmap"] = Rule((executable, (Match(2, (_EXEC,), _WRITE | _EXEC),)), ALLOW, DENIED)
    # The filter of the next stage, and no supervisor's descriptor with it.
    rules["seccomp"] = Rule(((Match(0, (1,)), Match(1, (0,))),), ALLOW, DENIED)
    rules["socketpair"] = _only(0, socket.AF_UNIX)
    return rules


def rules(profile: Profile, options: Options | None = None) -> dict[str, Rule]:
    """Give a profile's table: what each listed call may do; every other call is denied with EPERM.

    Args:
        profile: which domain, at which stage.
        options: what the table depends on besides; default all layers, no network.
    """
    options = options or Options()
    if profile == "monolith":
        return _monolith(options)
    return _exclave(options, serving=profile == "exclave-serve")


def program(profile: Profile, arch: str, options: Options | None = None) -> bytes:
    """Assemble a profile's filter for a machine ("x86_64" or "aarch64"), ready for seccomp(2)."""
    return assemble(rules(profile, options), DENIED, arch)


def stages(plan: Plan, host: Host) -> dict[str, bytes]:
    """Give the programs that a plan's domain must install, by stage; empty bytes where the tier has none.

    Args:
        plan: the domain.
        host: what the machine offers, at the tier in use.

    Returns:
        {"monolith": ...} or {"import": ..., "serve": ...}.
    """
    options = Options(
        network=plan.network,
        namespaces=host.namespaces,
        signals=host.namespaces or host.landlock_abi >= SCOPES_SINCE or host.uid == 0,
        ioctls=plan.ioctls,
        devices=bool(plan.devices) and plan.kind is Kind.DRIVER,
    )
    wanted: dict[str, Profile] = (
        {"monolith": "monolith"}
        if plan.kind is Kind.MONOLITH
        else {"import": "exclave-import", "serve": "exclave-serve"}
    )
    return {
        stage: program(profile, calls.arch(), options) if host.seccomp else b""
        for stage, profile in wanted.items()
    }
