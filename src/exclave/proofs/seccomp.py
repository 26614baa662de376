"""Trust: reviewed.

The seccomp programs, proved: the very bytes that a domain installs are executed symbolically and compared
with the policy for every machine convention, system call number and argument.

Rules:
 1. Nothing of the assembler is used: bytes are decoded anew, after the kernel's rules for classic BPF
    (seccomp(2), bpf_check_classic in the kernel's net/core/filter.c).
 2. The policy is the table of `nucleus.shell.filters.rules`, read by the other half of this file.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import z3

from exclave.linux import bpf
from exclave.linux.numbers import AUDIT_ARCH, X32_BIT, number
from exclave.nucleus.shell import filters
from exclave.nucleus.shell.plan import Network

ARCHES: Final = ("x86_64", "aarch64")
PROFILES: Final[tuple[filters.Profile, ...]] = ("monolith", "exclave-import", "exclave-serve")
INSTRUCTION: Final = struct.Struct("=HBBI")
LOAD, AND, JUMP, IF_EQUAL, IF_NOT_LESS, RETURN = 0x20, 0x54, 0x05, 0x15, 0x35, 0x06
DATA_SIZE: Final = 64
TIME_LIMIT: Final = 60_000

NEVER: Final = tuple(
    """
    ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp io_uring_setup io_uring_enter io_uring_register
    userfaultfd bpf perf_event_open mount umount2 pivot_root move_mount open_tree fsopen setns unshare keyctl
    add_key request_key init_module finit_module kexec_load open_by_handle_at process_madvise
    """.split()
)
"""Calls that no profile lets through with any argument: each reaches past the other layers."""

NEVER_SERVING: Final = tuple(
    """
    open openat openat2 execve execveat socket socketpair connect bind fork vfork clone kill memfd_secret
    """.split()
)
"""Calls that an exclave which serves can no longer make at all."""


class BadProgram(Exception):
    """The bytes are no program that the kernel would take; names the instruction."""


@dataclass(frozen=True, slots=True)
class Call:
    """The input of a filter, `struct seccomp_data`: symbols, or the numbers of a counterexample."""

    nr: Any
    arch: Any
    arguments: tuple[Any, ...]


def symbols() -> Call:
    """One arbitrary system call."""
    arguments = tuple(z3.BitVec(f"argument{index}", 64) for index in range(6))
    return Call(z3.BitVec("nr", 32), z3.BitVec("arch", 32), arguments)


def word(call: Call, offset: int) -> Any:
    """The 32 bits at an offset of seccomp_data, on a little-endian machine."""
    if offset == 0:
        return call.nr
    if offset == 4:
        return call.arch
    if 16 <= offset < DATA_SIZE and offset % 4 == 0:
        low = 0 if offset % 8 == 0 else 32
        return z3.Extract(low + 31, low, call.arguments[(offset - 16) // 8])
    raise BadProgram(f"a load at offset {offset}")


def execute(program: bytes, call: Call) -> Any:
    """Execute a program on one call.

    Returns:
        The verdict, a 32-bit term.

    Raises:
        BadProgram: an instruction that the kernel would refuse, or a path without a return.
    """
    if len(program) % INSTRUCTION.size or not program:
        raise BadProgram("its length is no multiple of 8")
    code = list(INSTRUCTION.iter_unpack(program))
    known: dict[tuple[int, int], Any] = {}
    kept: list[Any] = []

    def at(place: int, accumulator: Any) -> Any:
        if place >= len(code):
            raise BadProgram("a path ends without a return")
        key = place, accumulator.get_id()
        if key not in known:
            # The term must live as long as its id is a key.
            kept.append(accumulator)
            known[key] = step(place, accumulator)
        return known[key]

    def step(place: int, accumulator: Any) -> Any:
        operation, if_true, if_false, value = code[place]
        constant = z3.BitVecVal(value, 32)
        match operation:
            case _ if operation == LOAD:
                return at(place + 1, word(call, value))
            case _ if operation == AND:
                return at(place + 1, accumulator & constant)
            case _ if operation == JUMP:
                return at(place + 1 + value, accumulator)
            case _ if operation == RETURN:
                return constant
            case _ if operation in (IF_EQUAL, IF_NOT_LESS):
                taken = accumulator == constant if operation == IF_EQUAL else z3.UGE(accumulator, constant)
                return z3.If(
                    taken, at(place + 1 + if_true, accumulator), at(place + 1 + if_false, accumulator)
                )
            case _:
                raise BadProgram(f"instruction {place} has the unknown code {operation:#x}")

    return at(0, z3.BitVecVal(0, 32))


def policy(profile: filters.Profile, options: filters.Options, arch: str, call: Call) -> Any:
    """What the table says about one call, as a 32-bit term."""
    verdict = z3.BitVecVal(filters.DENIED, 32)
    for name, rule in filters.rules(profile, options).items():
        nr = number(name, arch)
        if nr >= 0:
            verdict = z3.If(call.nr == z3.BitVecVal(nr, 32), _ruled(rule, call), verdict)
    killed = z3.BitVecVal(bpf.KILL_PROCESS, 32)
    if arch == "x86_64":
        verdict = z3.If(z3.UGE(call.nr, z3.BitVecVal(X32_BIT, 32)), killed, verdict)
    return z3.If(call.arch == z3.BitVecVal(AUDIT_ARCH[arch], 32), verdict, killed)


def _ruled(rule: bpf.Rule, call: Call) -> Any:
    """A rule's verdict; arguments are compared as the kernel reads them, 32 bits wide."""
    met = z3.Or(*(z3.And(*(_holds(test, call) for test in tests)) for tests in rule.alternatives))
    return z3.If(met, z3.BitVecVal(rule.then, 32), z3.BitVecVal(rule.otherwise, 32))


def _holds(test: bpf.Match, call: Call) -> Any:
    value = z3.Extract(31, 0, call.arguments[test.argument]) & z3.BitVecVal(test.mask, 32)
    found = z3.Or(*(value == z3.BitVecVal(one, 32) for one in test.values))
    return z3.Not(found) if test.negate else found


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found about one program.

    Attributes:
        title: profile, machine and options.
        instructions: its length.
        proved: whether it is the policy for every call.
        counterexample: a call that it treats differently, in words.
    """

    title: str
    instructions: int
    proved: bool
    counterexample: str = ""


def compare(program: bytes, profile: filters.Profile, options: filters.Options, arch: str) -> Verdict:
    """Decide whether a program is the policy.

    Args:
        program: the bytes that a domain would install.
        profile: whose policy it must be.
        options: and with which options.
        arch: for which machine.
    """
    call = symbols()
    title = f"{profile} {arch} {_describe(options)}"
    size = len(program) // INSTRUCTION.size
    try:
        actual = execute(program, call)
    except BadProgram as error:
        return Verdict(title, size, False, str(error))
    wanted = policy(profile, options, arch, call)
    solver = z3.SolverFor("QF_BV")
    solver.set("timeout", TIME_LIMIT)
    solver.add(actual != wanted)
    answer = solver.check()
    if answer == z3.unsat:
        return Verdict(title, size, True)
    if answer != z3.sat:
        return Verdict(title, size, False, "the solver gave up")
    model = solver.model()

    def value(term: Any) -> int:
        return int(model.eval(term, model_completion=True).as_long())

    arguments = ", ".join(f"{value(argument):#x}" for argument in call.arguments)
    text = f"arch {value(call.arch):#x}, call {value(call.nr)}({arguments}): the program gives "
    return Verdict(title, size, False, text + f"{value(actual):#x}, the policy {value(wanted):#x}")


def _describe(options: filters.Options) -> str:
    words = [f"network {options.network.mode}"]
    words += ["namespaces"] if options.namespaces else []
    words += ["signals"] if options.signals else []
    words += ["devices"] if options.devices else []
    words += [f"{len(options.ioctls)} more ioctls"] if options.ioctls else []
    return ", ".join(words)


def variants(profile: filters.Profile) -> Iterator[filters.Options]:
    """The combinations of options under which a profile can be installed."""
    both = (True, False)
    if profile == "monolith":
        networks = (Network.none(), Network.all(), Network.tcp(listen=(80,)))
        for network, namespaces, signals in itertools.product(networks, both, both):
            yield filters.Options(network=network, namespaces=namespaces, signals=signals)
        return
    for namespaces, signals, devices in itertools.product(both, both, both):
        ioctls = (0x4B30, 0x4B31) if devices else ()
        yield filters.Options(namespaces=namespaces, signals=signals, devices=devices, ioctls=ioctls)


def reached(program: bytes, names: tuple[str, ...], arch: str) -> str | None:
    """One of these system calls that gets past a program with some arguments; None when none does.

    Args:
        program: the bytes that a domain would install.
        names: of the system calls; those that the machine lacks are never reached.
        arch: for which machine.
    """
    call = symbols()
    numbers = {number(name, arch): name for name in names}
    numbers.pop(-1, None)
    solver = z3.SolverFor("QF_BV")
    solver.set("timeout", TIME_LIMIT)
    solver.add(call.arch == z3.BitVecVal(AUDIT_ARCH[arch], 32))
    solver.add(z3.Or(*(call.nr == z3.BitVecVal(nr, 32) for nr in numbers)))
    solver.add(execute(program, call) == z3.BitVecVal(bpf.ALLOW, 32))
    answer = solver.check()
    if answer == z3.unsat:
        return None
    return numbers[int(solver.model()[call.nr].as_long())] if answer == z3.sat else "the solver gave up"


def prove_all() -> Iterator[Verdict]:
    """Prove every profile for every machine and every combination of options."""
    for profile in PROFILES:
        for arch, options in itertools.product(ARCHES, variants(profile)):
            yield compare(filters.program(profile, arch, options), profile, options, arch)
