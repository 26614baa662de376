"""Trust: hostile.

Memory: the app's own, and that of other processes.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from heist.attempts.kit import MAY, Known, Stopped, attempt, system_call

PTRACE_SEIZE = 0x4206
CHUNK = 1 << 20
OVERLAP = 64
MASK = bytes(byte ^ 0x5A for byte in range(256))


@attempt("the key, as a live object", {"absent": "it is not in this process"})
def live_objects(known: Known) -> str:
    """Attacker holds the interpreter; wants the Secret object of the signing key; must find none."""
    for thing in gc.get_objects():
        if type(thing).__name__ == "Secret" and masked(thing.view()) == bytes.fromhex(known.masked_key):
            return "signing key " + bytes(thing.view()).hex()
    raise Stopped("absent", "no Secret object in this process")


@attempt("the key, anywhere in memory", {"absent": "it is not in this process"})
def memory_scan(known: Known) -> str:
    """Attacker holds the process and would know the key when he saw it; must not find it."""
    wanted = bytes.fromhex(known.masked_key)
    seen = 0
    with open("/proc/self/mem", "rb", buffering=0) as memory:
        for line in Path("/proc/self/maps").read_text().splitlines():
            span, permissions, _, _, _, *name = line.split(maxsplit=5)
            start, end = (int(part, 16) for part in span.split("-"))
            where = name[0] if name else "anonymous memory"
            if permissions[0] != "r" or where.startswith("[v"):
                continue
            for part in parts(memory.fileno(), start, end, secret="secretmem" in where):
                seen += len(part)
                if wanted in masked(part):
                    return f"signing key in {where}"
    raise Stopped("absent", f"not in the {seen >> 20} MiB of this process")


@attempt("an exclave's memory", {"ENOENT": "pid namespace"}, MAY)
def proc_mem(known: Known) -> str:
    """Attacker holds the victims' process numbers; wants /proc/PID/mem; must get no such file."""
    return first(known.victims, lambda pid: prize(pread(f"/proc/{pid}/mem", known.prize), known))


@attempt("an exclave's memory", {"EPERM": "seccomp"}, MAY, forked=True)
def ptrace(known: Known) -> str:
    """Attacker holds the victims' process numbers; wants to trace one; must get EPERM from the filter."""

    def seize(pid: int) -> str:
        system_call("ptrace", PTRACE_SEIZE, pid, 0, 0)
        return f"attached to process {pid}"

    return first(known.victims, seize)


@attempt("an exclave's memory", {"EPERM": "seccomp"}, MAY)
def process_vm_readv(known: Known) -> str:
    """Attacker holds the victims' process numbers; wants their memory by system call; must get EPERM."""

    def read(pid: int) -> str:
        size = len(known.decoy)
        into = ctypes.create_string_buffer(size)
        local = struct.pack("QQ", ctypes.addressof(into), size)
        system_call("process_vm_readv", pid, local, 1, struct.pack("QQ", known.prize, size), 1, 0)
        return prize(into.raw, known)

    return first(known.victims, read)


@attempt("an exclave's open files", {"ESRCH": "pid namespace"}, MAY)
def pidfd_getfd(known: Known) -> str:
    """Attacker holds the victims' process numbers; wants a descriptor; must get no such process."""

    def steal(pid: int) -> str:
        pidfd = system_call("pidfd_open", pid, 0)
        try:
            stolen = system_call("pidfd_getfd", pidfd, known.prize_fd, 0)
        finally:
            os.close(pidfd)
        os.close(stolen)
        return f"took descriptor {known.prize_fd} of process {pid}"

    return first(known.victims, steal)


def first(victims: tuple[int, ...], steal: Callable[[int], str]) -> str:
    """Try every victim; one success is enough, and failures must all be of one kind to be told as one."""
    failures = {}
    for pid in victims:
        try:
            return steal(pid)
        except OSError as error:
            failures[errno.errorcode.get(error.errno or 0, "?")] = str(error)
        except Stopped as error:
            failures[error.code] = str(error)
    raise Stopped(" ".join(sorted(failures)), f"{len(victims)} processes; " + "; ".join(failures.values()))


def prize(data: bytes, known: Known) -> str:
    """What was read, when it is the prize."""
    if data != known.decoy.encode():
        raise Stopped("elsewhere", "read something else")
    return f"read {data.decode()!r} in another process"


def pread(path: str, address: int) -> bytes:
    """Read 32 bytes of a file at an offset."""
    with open(path, "rb", buffering=0) as memory:
        return os.pread(memory.fileno(), 32, address)


def parts(memory: int, start: int, end: int, *, secret: bool) -> Iterator[bytes]:
    """A mapping in parts that overlap by a key's length; secret memory can be read only from inside."""
    if secret:
        yield ctypes.string_at(start, end - start)
        return
    for position in range(start, end, CHUNK):
        try:
            yield os.pread(memory, min(CHUNK + OVERLAP, end - position), position)
        except OSError:
            return


def masked(data: bytes | memoryview) -> bytes:
    """Data with every byte changed, so that looking for the key leaves no key in memory to be found."""
    return bytes(data).translate(MASK)
