"""An assembler for seccomp filters: which call with which arguments gets which verdict, as classic BPF bytes.

Trust: reviewed; the tests and the prover read the emitted bytes, not this file.
Purpose: turn a table of rules into a program for seccomp(2).

1. A call that no rule names gets the default verdict.
2. Only the low 32 bits of an argument are compared: callers test only arguments that the kernel reads as
   32 bit integers, or flag bits below 2**32.
3. Programs only jump forward, and every path ends in a return.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from exclave.linux.numbers import AUDIT_ARCH, X32_BIT, number

KILL_PROCESS: Final = 0x8000_0000
ALLOW: Final = 0x7FFF_0000
LONGEST: Final = 4096

_LOAD, _AND = 0x20, 0x54
_JUMP, _IF_EQUAL, _IF_NOT_LESS, _RETURN = 0x05, 0x15, 0x35, 0x06
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16

Code: TypeAlias = list[bytes]


def fail(code: int) -> int:
    """Give the verdict "return -1 with this errno"."""
    return 0x0005_0000 | code


@dataclass(frozen=True, slots=True)
class Match:
    """Holds when (argument & mask) is one of the values, or with `negate` when it is none of them."""

    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFF_FFFF
    negate: bool = False

    def holds(self, arguments: tuple[int, ...]) -> bool:
        """Evaluate the test on the six arguments of a call."""
        return (arguments[self.argument] & self.mask in self.values) != self.negate


@dataclass(frozen=True, slots=True)
class Rule:
    """A call's verdict: `then` when every test of one alternative holds, else `otherwise`."""

    alternatives: tuple[tuple[Match, ...], ...] = ((),)
    then: int = ALLOW
    otherwise: int = ALLOW

    def verdict(self, arguments: tuple[int, ...]) -> int:
        """Evaluate the rule on the six arguments of a call."""
        met = any(all(test.holds(arguments) for test in tests) for tests in self.alternatives)
        return self.then if met else self.otherwise


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _test(test: Match, onward: int) -> Code:
    """Fall through when the test holds; else skip `onward` instructions more."""
    code = [_op(_LOAD, _ARGUMENTS + 8 * test.argument)]
    if test.mask != 0xFFFF_FFFF:
        code.append(_op(_AND, test.mask))
    for left, value in zip(range(len(test.values) - 1, -1, -1), test.values, strict=True):
        hit, miss = (left + onward, 0) if test.negate else (left, 0)
        if left == 0 and not test.negate:
            miss = onward
        code.append(_op(_IF_EQUAL, value, hit, miss))
    return code


def _rule(rule: Rule) -> Code:
    """Compile one rule to a block that returns on every path."""
    if rule.alternatives == ((),):
        return [_op(_RETURN, rule.then)]
    code: Code = []
    for tests in rule.alternatives:
        block = [_op(_RETURN, rule.then)]
        for test in reversed(tests):
            block = _test(test, len(block)) + block
        code += block
    return [*code, _op(_RETURN, rule.otherwise)]


def _tree(leaves: list[tuple[int, Code]]) -> Code:
    """Compile a binary search over the leaves' first numbers."""
    if len(leaves) == 1:
        return leaves[0][1]
    middle = len(leaves) // 2
    low, high = _tree(leaves[:middle]), _tree(leaves[middle:])
    if len(low) <= 255:
        return [_op(_IF_NOT_LESS, leaves[middle][0], len(low), 0), *low, *high]
    return [_op(_IF_NOT_LESS, leaves[middle][0], 0, 1), _op(_JUMP, len(low)), *low, *high]


def assemble(rules: Mapping[str, Rule], default: int, arch: str) -> bytes:
    """Assemble a filter.

    Args:
        rules: the verdict for each named call; calls that the machine lacks are left out.
        default: the verdict for every other call.
        arch: "x86_64" or "aarch64"; a call by any other convention ends the process.

    Returns:
        The program, 8 bytes an instruction.

    Raises:
        ValueError: the program would be too long or a test too far (the rules' fault).
    """
    table = {number(name, arch): rule for name, rule in rules.items()}
    table.pop(-1, None)
    leaves: list[tuple[int, Code]] = [(0, [_op(_RETURN, default)])]
    for call in sorted(table):
        block = _rule(table[call])
        if leaves[-1][0] == call:
            leaves.pop()
        if not leaves or leaves[-1][1] != block:
            leaves.append((call, block))
        if call + 1 not in table:
            leaves.append((call + 1, [_op(_RETURN, default)]))
    code = [
        _op(_LOAD, _ARCH),
        _op(_IF_EQUAL, AUDIT_ARCH[arch], 1, 0),
        _op(_RETURN, KILL_PROCESS),
        _op(_LOAD, _NUMBER),
    ]
    if arch == "x86_64":
        code += [_op(_IF_NOT_LESS, X32_BIT, 0, 1), _op(_RETURN, KILL_PROCESS)]
    code += _tree(leaves)
    if len(code) > LONGEST:
        raise ValueError(f"a filter has at most {LONGEST} instructions, this one {len(code)}")
    return b"".join(code)
