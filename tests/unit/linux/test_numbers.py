"""The table of system call numbers."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from exclave.linux import calls
from exclave.linux.numbers import AUDIT_ARCH, COLUMN, TABLE, number


@pytest.mark.parametrize("arch", sorted(AUDIT_ARCH))
def test_no_number_is_used_twice(arch: str) -> None:
    counts = Counter(number(name, arch) for name in TABLE)
    del counts[-1]
    assert counts.most_common(1)[0][1] == 1


def test_calls_since_424_have_one_number_everywhere() -> None:
    assert all(len(set(pair)) == 1 for pair in TABLE.values() if max(pair) >= 424 and -1 not in pair)


# Values of arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
@pytest.mark.parametrize(
    ("name", "x86_64", "aarch64"),
    [
        ("read", 0, 63), ("openat", 257, 56), ("execve", 59, 221), ("clone", 56, 220),
        ("ptrace", 101, 117),
        ("mmap", 9, 222), ("socket", 41, 198), ("ioctl", 16, 29), ("open", 2, -1), ("fork", 57, -1),
        ("seccomp", 317, 277), ("clone3", 435, 435), ("landlock_restrict_self", 446, 446),
        ("memfd_secret", 447, 447), ("mount_setattr", 442, 442), ("newfstatat", 262, 79),
        ("keyctl", 250, 219),
    ],
)  # fmt: skip
def test_known_numbers(name: str, x86_64: int, aarch64: int) -> None:
    assert TABLE[name] == (x86_64, aarch64)


def test_this_machine_is_known() -> None:
    assert calls.arch() == os.uname().machine
    assert calls.arch() in COLUMN


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        number("no_such_call", "x86_64")
