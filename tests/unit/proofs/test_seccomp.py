"""The seccomp programs are the policy, for every call; a program that is not is refuted."""

from __future__ import annotations

import pytest

from exclave.linux import bpf
from exclave.linux.numbers import number
from exclave.nucleus.shell import filters
from exclave.proofs import seccomp

NO_OPTIONS = filters.Options()
FULL = [(profile, arch) for profile in seccomp.PROFILES for arch in seccomp.ARCHES]


def test_every_program_is_its_policy_for_every_call() -> None:
    verdicts = list(seccomp.prove_all())
    assert len(verdicts) == 56
    assert [verdict for verdict in verdicts if not verdict.proved] == []


@pytest.mark.parametrize(("profile", "arch"), FULL)
def test_calls_that_reach_past_other_layers_never_pass(profile: filters.Profile, arch: str) -> None:
    for options in seccomp.variants(profile):
        program = filters.program(profile, arch, options)
        assert seccomp.reached(program, seccomp.NEVER, arch) is None


@pytest.mark.parametrize("arch", seccomp.ARCHES)
def test_serving_exclave_opens_executes_and_connects_nothing(arch: str) -> None:
    for options in seccomp.variants("exclave-serve"):
        program = filters.program("exclave-serve", arch, options)
        assert seccomp.reached(program, seccomp.NEVER_SERVING, arch) is None


def test_reached_names_what_is_allowed() -> None:
    program = filters.program("monolith", "x86_64")
    assert seccomp.reached(program, ("ptrace", "openat"), "x86_64") == "openat"
    assert seccomp.reached(program, ("clone",), "x86_64") == "clone"


@pytest.mark.parametrize("profile", seccomp.PROFILES)
@pytest.mark.parametrize("added", ["ptrace", "io_uring_setup", "userfaultfd"])
def test_one_call_too_many_is_refuted_with_that_call(profile: filters.Profile, added: str) -> None:
    rules = filters.rules(profile) | {added: bpf.Rule()}
    program = bpf.assemble(rules, filters.DENIED, "x86_64")
    verdict = seccomp.compare(program, profile, NO_OPTIONS, "x86_64")
    assert not verdict.proved
    assert f"call {number(added, 'x86_64')}(" in verdict.counterexample


@pytest.mark.parametrize(("profile", "arch"), FULL)
def test_every_changed_constant_or_jump_is_refuted(profile: filters.Profile, arch: str) -> None:
    program = filters.program(profile, arch)
    count = len(program) // 8
    survivors = []
    for place in range(0, count, max(1, count // 12)):
        operation, if_true, if_false, value = seccomp.INSTRUCTION.unpack_from(program, 8 * place)
        if operation == seccomp.LOAD:
            continue
        if operation == seccomp.JUMP:
            changed = operation, if_true, if_false, value + 1
        else:
            changed = operation, if_true, if_false, value ^ 1
        mutant = program[: 8 * place] + seccomp.INSTRUCTION.pack(*changed) + program[8 * place + 8 :]
        if seccomp.compare(mutant, profile, NO_OPTIONS, arch).proved:
            survivors.append((place, changed))
    assert survivors == []


@pytest.mark.parametrize(
    ("program", "cause"),
    [
        (b"", "length"),
        (b"\x06\0\0\0", "length"),
        (seccomp.INSTRUCTION.pack(seccomp.LOAD, 0, 0, 0), "without a return"),
        (seccomp.INSTRUCTION.pack(seccomp.LOAD, 0, 0, 66), "offset 66"),
        (seccomp.INSTRUCTION.pack(0x16, 0, 0, 0), "unknown code"),
        (seccomp.INSTRUCTION.pack(seccomp.JUMP, 0, 0, 9), "without a return"),
    ],
)
def test_bytes_that_the_kernel_would_refuse_are_no_program(program: bytes, cause: str) -> None:
    verdict = seccomp.compare(program, "monolith", NO_OPTIONS, "x86_64")
    assert not verdict.proved
    assert cause in verdict.counterexample
