"""A machine that runs classic BPF as seccomp does, written from the kernel's documentation, not from ours.

Only the instructions that a seccomp filter may use and that exist in `struct seccomp_data` terms are known;
any other one, a jump out of the program, or an endless run is an error, as in the kernel's own check.
"""

from __future__ import annotations

import struct


class BadProgram(Exception):
    """The kernel would refuse the program."""


def decode(program: bytes) -> list[tuple[int, int, int, int]]:
    """Split a program into (code, jump if true, jump if false, constant)."""
    if not program or len(program) % 8 or len(program) // 8 > 4096:
        raise BadProgram("length")
    return list(struct.iter_unpack("=HBBI", program))


def run(program: list[tuple[int, int, int, int]], number: int, arch: int, arguments: tuple[int, ...]) -> int:
    """Run a filter on one call, and give its verdict."""
    data = struct.pack("<iIQ6Q", struct.unpack("<i", struct.pack("<I", number))[0], arch, 0, *arguments)
    accumulator, at = 0, 0
    while at < len(program):
        code, if_true, if_false, constant = program[at]
        at += 1
        if code == 0x20:
            if constant % 4 or constant > len(data) - 4:
                raise BadProgram("load")
            accumulator = struct.unpack_from("<I", data, constant)[0]
        elif code == 0x54:
            accumulator &= constant
        elif code == 0x05:
            at += constant
        elif code in (0x15, 0x35):
            met = accumulator == constant if code == 0x15 else accumulator >= constant
            at += if_true if met else if_false
        elif code == 0x06:
            return constant
        else:
            raise BadProgram(f"instruction {code:#x}")
    raise BadProgram("the end was passed")
