"""Trust: hostile.

The kernel: keys it keeps, ways out of confinement, and its more adventurous interfaces.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import signal
import struct

from heist.attempts.kit import MAY, Known, Stopped, attempt, system_call

KEYCTL_SEARCH, KEYCTL_READ, SESSION_KEYRING = 10, 11, -3
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
TIOCSTI = 0x5412
BY_FILTER = {"EPERM": "seccomp"}


@attempt("a key in the kernel's keyring", BY_FILTER, MAY)
def keyring(known: Known) -> str:
    """Attacker holds the app; wants the key in the operator's session keyring; must get EPERM."""
    serial = system_call("keyctl", KEYCTL_SEARCH, SESSION_KEYRING, b"user\0", b"shop-demo\0", 0)
    into = ctypes.create_string_buffer(64)
    size = system_call("keyctl", KEYCTL_READ, serial, into, 64)
    return f"read {into.raw[:size].decode()!r}"


@attempt("a namespace where he is root", BY_FILTER, MAY, forked=True)
def user_namespace(known: Known) -> str:
    """Attacker holds the app; wants the capabilities of a new user namespace; must get EPERM."""
    system_call("unshare", CLONE_NEWUSER)
    return "all capabilities, in a user namespace"


@attempt("to mount over what confines him", BY_FILTER, MAY, forked=True)
def mount(known: Known) -> str:
    """Attacker holds the app; wants to mount in a mount namespace of his own; must get EPERM."""
    if not known.exclave:
        system_call("unshare", CLONE_NEWUSER | CLONE_NEWNS)
    system_call("mount", b"none\0", known.shop.encode() + b"\0", b"tmpfs\0", 0, None)
    return "mounted a file system, in a mount namespace"


@attempt("system calls past the filter", BY_FILTER, MAY)
def io_uring(known: Known) -> str:
    """Attacker holds the app; wants system calls by io_uring, past the filter; must get EPERM."""
    ring = system_call("io_uring_setup", 4, ctypes.create_string_buffer(120))
    os.close(ring)
    return "made a ring"


@attempt("to stop the kernel in mid-copy", BY_FILTER, MAY)
def userfaultfd(known: Known) -> str:
    """Attacker holds the app; wants userfaultfd, the helper of kernel exploits; must get EPERM."""
    os.close(system_call("userfaultfd", 1))
    return "made a userfaultfd"


@attempt("a program in the kernel", BY_FILTER, MAY)
def bpf(known: Known) -> str:
    """Attacker holds the app; wants a BPF map, the first step of a BPF exploit; must get EPERM."""
    attributes = ctypes.create_string_buffer(struct.pack("=IIII", 2, 4, 4, 1), 72)
    os.close(system_call("bpf", 0, attributes, 72))
    return "made a BPF map"


@attempt("to type on the operator's terminal", BY_FILTER, "it would type on your terminal")
def type_on_terminal(known: Known) -> str:
    """Attacker holds standard input; wants to push characters into the terminal; must get EPERM."""
    fcntl.ioctl(0, TIOCSTI, b"#")
    return "typed a character"


@attempt("all of the machine's memory", {"ENOMEM": "memory limit"}, MAY, forked=True)
def memory_bomb(known: Known) -> str:
    """Attacker holds the app; wants 16 GiB of address space; must meet the description's limit."""
    held = []
    for _ in range(256):
        held.append(mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    return f"{len(held) * 64} MiB mapped"


@attempt(
    "all of the machine's processes", {"EAGAIN": "process limit"}, "it would hit your machine", forked=True
)
def fork_bomb(known: Known) -> str:
    """Attacker holds the app; wants 5000 processes; must be stopped by the limit."""
    children: list[int] = []
    try:
        for _ in range(5000):
            pid = os.fork()
            if pid == 0:
                signal.pause()
            children.append(pid)
    except OSError as error:
        raise Stopped(
            "EAGAIN" if error.errno == 11 else str(error), f"after {len(children)} processes"
        ) from None
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            os.waitpid(pid, 0)
    return f"{len(children)} processes"
