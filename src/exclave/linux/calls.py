"""Raw Linux system calls as thin typed functions.

Trust: reviewed. Purpose: be the one place where numbers and addresses go to the kernel unchecked by Python.

1. The only file of the project that uses ctypes.
2. A failed call raises OSError with the errno and the call's name; nothing is retried or guessed.
3. Every buffer handed to the kernel is owned by the calling frame and outlives the call.
4. Cheap to import: every domain loads this file.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import struct
import sys
from typing import Final, Literal, NamedTuple, TypeAlias

from exclave.linux.numbers import COLUMN, TABLE

Bytes: TypeAlias = "ctypes.Array[ctypes.c_char]"
Argument: TypeAlias = "int | bytes | Bytes | None"

_MACHINE: Final = os.uname().machine if sys.maxsize > 2**32 else "32 bit"
_COLUMN: Final = COLUMN.get(_MACHINE, -1)
_SYSCALL: Final = ctypes.CDLL(None, use_errno=True).syscall
_SYSCALL.restype = ctypes.c_long

CLONE_NEWNS: Final = 0x0002_0000
CLONE_NEWCGROUP: Final = 0x0200_0000
CLONE_NEWUTS: Final = 0x0400_0000
CLONE_NEWIPC: Final = 0x0800_0000
CLONE_NEWUSER: Final = 0x1000_0000
CLONE_NEWPID: Final = 0x2000_0000
CLONE_NEWNET: Final = 0x4000_0000

MS_RDONLY: Final = 1
MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOEXEC: Final = 8
MS_REMOUNT: Final = 32
MS_BIND: Final = 4096
MS_REC: Final = 16384
MS_PRIVATE: Final = 1 << 18
MNT_DETACH: Final = 2

AT_FDCWD: Final = -100
AT_EMPTY_PATH: Final = 0x1000
AT_RECURSIVE: Final = 0x8000
OPEN_TREE_CLONE: Final = 1
MOVE_MOUNT_F_EMPTY_PATH: Final = 4
MOVE_MOUNT_T_EMPTY_PATH: Final = 0x40
MOUNT_ATTR_RDONLY: Final = 1
MOUNT_ATTR_NOSUID: Final = 2
MOUNT_ATTR_NODEV: Final = 4
MOUNT_ATTR_NOEXEC: Final = 8
MOUNT_ATTR_IDMAP: Final = 0x0010_0000

LAST_CAPABILITY: Final = 63


def _call(name: str, *arguments: Argument) -> int:
    """Make one system call; raise OSError with its name when the kernel refuses."""
    number = TABLE[name][_COLUMN] if _COLUMN >= 0 else -1
    if number < 0:
        raise OSError(errno.ENOSYS, f"{name}: not available on {_MACHINE}")
    # SAFETY: integers go as full 64 bit registers, buffers as pointers that this frame keeps alive; each
    # public function below gives the kernel the sizes of the very buffers that it passes.
    result = _SYSCALL(
        ctypes.c_long(number),
        *(
            ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) if a is None else a
            for a in arguments
        ),
    )
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return int(result)


def _buffer(data: bytes) -> Bytes:
    """Copy bytes into a buffer of exactly their size."""
    return ctypes.create_string_buffer(data, len(data))


def _text(value: str | None) -> bytes | None:
    """Encode a path or option for the kernel; None is the null pointer."""
    return None if value is None else os.fsencode(value)


def arch() -> Literal["x86_64", "aarch64"]:
    """Name this machine's system call table; raises OSError(ENOSYS) when it is neither."""
    if _MACHINE == "x86_64":
        return "x86_64"
    if _MACHINE == "aarch64":
        return "aarch64"
    raise OSError(errno.ENOSYS, f"machine {_MACHINE} is not supported; use x86_64 or aarch64, 64 bit")


def _prctl(option: int, a: int = 0, b: int = 0) -> int:
    # SAFETY: callers pass only options whose arguments are integers.
    return _call("prctl", option, a, b, 0, 0)


def set_parent_death_signal(number: int) -> None:
    """Have the kernel send a signal to this process when its parent thread ends (PR_SET_PDEATHSIG)."""
    # SAFETY: integers only.
    _prctl(1, number)


def set_dumpable(on: bool) -> None:
    """Say whether same-user processes may trace this one and dump its memory (PR_SET_DUMPABLE)."""
    # SAFETY: integers only.
    _prctl(4, int(on))


def dumpable() -> bool:
    """Tell whether this process may be dumped (PR_GET_DUMPABLE)."""
    # SAFETY: integers only.
    return _prctl(3) == 1


def set_name(name: str) -> None:
    """Name this thread, as ps shows it, cut to 15 bytes (PR_SET_NAME)."""
    # SAFETY: the kernel reads at most 16 bytes up to the terminating zero.
    _call("prctl", 15, _buffer(os.fsencode(name)[:15] + b"\0"), 0, 0, 0)


def set_no_new_privs() -> None:
    """Give up gaining privileges by execve, for good (PR_SET_NO_NEW_PRIVS)."""
    # SAFETY: integers only.
    _prctl(38, 1)


def set_child_subreaper() -> None:
    """Become the parent of orphaned descendants (PR_SET_CHILD_SUBREAPER)."""
    # SAFETY: integers only.
    _prctl(36, 1)


def drop_bounding_set() -> None:
    """Remove every capability from the bounding set; needs CAP_SETPCAP (PR_CAPBSET_DROP)."""
    for capability in range(LAST_CAPABILITY + 1):
        try:
            # SAFETY: integers only.
            _prctl(24, capability)
        except OSError as error:
            if error.errno == errno.EINVAL and capability > 0:
                return
            raise


def lock_securebits() -> None:
    """Make uid 0 worth nothing and forbid ambient capabilities, for good; needs CAP_SETPCAP.

    PR_SET_SECUREBITS: NOROOT, KEEP_CAPS off, NO_CAP_AMBIENT_RAISE, each with its lock (capabilities(7)).
    """
    # SAFETY: integers only.
    _prctl(28, 0x01 | 0x02 | 0x20 | 0x40 | 0x80)


def clear_ambient_set() -> None:
    """Empty the ambient capability set (PR_CAP_AMBIENT_CLEAR_ALL)."""
    # SAFETY: integers only.
    _prctl(47, 4)


def drop_capabilities() -> None:
    """Empty the effective, permitted and inheritable sets of this thread (capset(2), version 3)."""
    # SAFETY: the header names version 3 and this thread; the data is the two 12 byte records version 3 reads.
    _call("capset", _buffer(struct.pack("=Ii", 0x20080522, 0)), _buffer(bytes(24)))


def install_seccomp(program: bytes) -> None:
    """Put this thread under a seccomp filter, for good; needs no_new_privs (seccomp(2)).

    Args:
        program: classic BPF, 8 bytes an instruction.
    """
    if not program or len(program) % 8:
        raise OSError(errno.EINVAL, "seccomp: a program is a positive multiple of 8 bytes")
    code = _buffer(program)
    # SAFETY: struct sock_fprog holds the number of instructions in `code` and its address; both live here.
    _call("seccomp", 1, 0, _buffer(struct.pack("=HxxxxxxQ", len(program) // 8, ctypes.addressof(code))))


def landlock_abi() -> int:
    """Ask which Landlock interface the kernel has; OSError(ENOSYS or EOPNOTSUPP) means none."""
    # SAFETY: a null attribute of size 0 with LANDLOCK_CREATE_RULESET_VERSION only reads a number.
    return _call("landlock_create_ruleset", None, 0, 1)


def landlock_create_ruleset(attributes: tuple[int, ...]) -> int:
    """Make a ruleset that handles rights: (files[, network[, scopes]]); gives its descriptor."""
    # SAFETY: the size passed is the size of the packed 64 bit fields.
    return _call(
        "landlock_create_ruleset",
        _buffer(struct.pack(f"={len(attributes)}Q", *attributes)),
        8 * len(attributes),
        0,
    )


def landlock_add_path(ruleset: int, rights: int, descriptor: int) -> None:
    """Allow rights on the file hierarchy below an open descriptor."""
    # SAFETY: struct landlock_path_beneath_attr is packed: 64 bit rights, 32 bit descriptor.
    _call("landlock_add_rule", ruleset, 1, _buffer(struct.pack("=Qi", rights, descriptor)), 0)


def landlock_add_port(ruleset: int, rights: int, port: int) -> None:
    """Allow rights on one TCP port."""
    # SAFETY: struct landlock_net_port_attr is two 64 bit fields.
    _call("landlock_add_rule", ruleset, 2, _buffer(struct.pack("=QQ", rights, port)), 0)


def landlock_restrict_self(ruleset: int) -> None:
    """Put this thread under a ruleset, for good; needs no_new_privs."""
    # SAFETY: integers only.
    _call("landlock_restrict_self", ruleset, 0)


def join_session_keyring() -> None:
    """Replace the session keyring with a new empty one (KEYCTL_JOIN_SESSION_KEYRING)."""
    # SAFETY: a null name asks for an anonymous keyring.
    _call("keyctl", 1, None, 0, 0, 0)


def close_range(first: int, last: int) -> None:
    """Close every descriptor in first..last inclusive."""
    # SAFETY: descriptors that Python objects hold may be closed under them; callers are about to exec.
    _call("close_range", first, last, 0)


def unshare(flags: int) -> None:
    """Leave the named namespaces for new ones (CLONE_NEW*)."""
    # SAFETY: integers only.
    _call("unshare", flags)


def setns(descriptor: int, flags: int) -> None:
    """Enter the namespace that a descriptor names (setns(2))."""
    # SAFETY: integers only.
    _call("setns", descriptor, flags)


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """Mount, remount or change propagation (mount(2))."""
    # SAFETY: zero-terminated strings; the options are text for the file systems used here.
    _call("mount", _text(source), _text(target), _text(kind), flags, _text(options))


def umount(target: str, flags: int) -> None:
    """Detach a mount (umount2(2))."""
    # SAFETY: a zero-terminated path.
    _call("umount2", _text(target), flags)


def pivot_root(new: str, old: str) -> None:
    """Make `new` the root of this mount namespace and put the old one at `old` (pivot_root(2))."""
    # SAFETY: zero-terminated paths.
    _call("pivot_root", _text(new), _text(old))


def open_tree(directory: int, path: str, flags: int) -> int:
    """Open a mount tree, or with OPEN_TREE_CLONE a detached copy of it; gives its descriptor."""
    # SAFETY: a zero-terminated path.
    return _call("open_tree", directory, _text(path), flags | os.O_CLOEXEC)


def move_mount(source: int, target: int) -> None:
    """Attach the mount that one descriptor holds onto the place that another one names."""
    flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
    # SAFETY: empty zero-terminated paths: both ends are descriptors.
    _call("move_mount", source, b"", target, b"", flags)


def mount_setattr(descriptor: int, attributes: int, namespace: int | None = None) -> None:
    """Add MOUNT_ATTR_* to a whole mount tree, and map its owners through a user namespace's descriptor."""
    attributes |= 0 if namespace is None else MOUNT_ATTR_IDMAP
    data = _buffer(struct.pack("=QQQQ", attributes, 0, 0, namespace or 0))
    # SAFETY: struct mount_attr of version 0 is four 64 bit fields, and that size is passed.
    _call("mount_setattr", descriptor, b"", AT_EMPTY_PATH | AT_RECURSIVE, data, 32)


def userfaultfd(flags: int) -> int:
    """Make a descriptor that reports this process's page faults (userfaultfd(2))."""
    # SAFETY: integers only.
    return _call("userfaultfd", flags)


def memfd_secret() -> int:
    """Make a memory file that the kernel itself cannot read through its direct map (memfd_secret(2))."""
    # SAFETY: integers only.
    return _call("memfd_secret", os.O_CLOEXEC)


def address_of(view: memoryview | bytearray | mmap.mmap) -> int:
    """Give the address of a writable buffer; valid while the buffer lives and keeps its size."""
    # SAFETY: only the address is taken; from_buffer refuses read-only memory.
    return ctypes.addressof((ctypes.c_char * 0).from_buffer(view))


def lock_memory(view: memoryview | mmap.mmap) -> None:
    """Keep a buffer's pages out of swap (mlock(2)); ENOMEM means that RLIMIT_MEMLOCK is too small."""
    # SAFETY: the size passed is the buffer's own.
    _call("mlock", address_of(view), len(view))


def fill_random(view: memoryview) -> None:
    """Fill a writable buffer from the kernel's random source without a copy on the heap (getrandom(2))."""
    done = 0
    while done < view.nbytes:
        # SAFETY: address and size both come from the part of the buffer that is still to fill.
        done += _call("getrandom", address_of(view) + done, view.nbytes - done, 0)


class SecretMemory(NamedTuple):
    """Memory for key material, mapped for as long as the process lives."""

    view: memoryview
    """Writable bytes, whole pages, zero at first."""
    kind: Literal["memfd_secret", "mlock"]
    """What protects it: out of the kernel's direct map, or only locked into RAM."""


def secret_memory(size: int) -> SecretMemory:
    """Map memory that is neither swapped, dumped nor inherited by a fork.

    Args:
        size: bytes, rounded up to whole pages.

    Returns:
        The memory, and which protection this kernel gave (memfd_secret(2), else mlock(2)).

    Raises:
        OSError: neither is possible; ENOMEM or EAGAIN when RLIMIT_MEMLOCK is too small (the host's fault).
    """
    size = -(-max(size, 1) // mmap.PAGESIZE) * mmap.PAGESIZE
    protection, kind = mmap.PROT_READ | mmap.PROT_WRITE, "memfd_secret"
    try:
        descriptor = memfd_secret()
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
        descriptor, kind = -1, "mlock"
    try:
        if descriptor >= 0:
            os.ftruncate(descriptor, size)
        flags = mmap.MAP_SHARED if descriptor >= 0 else mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        # SAFETY: a new mapping at an address of the kernel's choice, never unmapped: views cannot dangle.
        address = _call("mmap", 0, size, protection, flags, descriptor, 0)
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    # SAFETY: the array covers exactly the mapping made above.
    view = memoryview((ctypes.c_char * size).from_address(address)).cast("B")
    if kind == "mlock":
        lock_memory(view)
    for advice in (mmap.MADV_DONTFORK, mmap.MADV_DONTDUMP):
        # SAFETY: both pieces of advice only narrow who sees these pages.
        _call("madvise", address, size, advice)
    return SecretMemory(view, "memfd_secret" if kind == "memfd_secret" else "mlock")
