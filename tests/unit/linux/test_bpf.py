"""The assembler's bytes mean what its rules say, run on an independent machine."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exclave.linux.bpf import ALLOW, KILL_PROCESS, Match, Rule, assemble, fail
from exclave.linux.numbers import AUDIT_ARCH, TABLE, X32_BIT, number
from support import bpf_machine

ARCHES = sorted(AUDIT_ARCH)
DENY = fail(errno.EPERM)
ZERO = (0, 0, 0, 0, 0, 0)

words = st.integers(0, 2**64 - 1)
verdicts = st.sampled_from([ALLOW, DENY, fail(errno.ENOSYS), KILL_PROCESS])
small = st.one_of(st.integers(0, 9), st.integers(0, 2**32 - 1))
tests = st.builds(
    Match, st.integers(0, 5), st.lists(small, min_size=1, max_size=4).map(tuple), small, st.booleans()
)
rules = st.builds(
    Rule,
    st.lists(st.lists(tests, max_size=3).map(tuple), min_size=1, max_size=3).map(tuple),
    verdicts,
    verdicts,
)


@given(
    st.dictionaries(st.sampled_from(sorted(TABLE)), rules, max_size=12),
    st.sampled_from(ARCHES),
    st.lists(
        st.tuples(st.sampled_from(sorted(TABLE)), st.tuples(*[st.one_of(small, words)] * 6)), max_size=20
    ),
)
def test_bytes_agree_with_rules(
    table: dict[str, Rule], arch: str, asked: list[tuple[str, tuple[int, ...]]]
) -> None:
    program = bpf_machine.decode(assemble(table, DENY, arch))
    for name, arguments in [*asked, *((name, ZERO) for name in table)]:
        if number(name, arch) >= 0:
            low = tuple(word & 0xFFFF_FFFF for word in arguments)
            expected = table[name].verdict(low) if name in table else DENY
            assert bpf_machine.run(program, number(name, arch), AUDIT_ARCH[arch], arguments) == expected


@pytest.mark.parametrize("arch", ARCHES)
def test_every_number_without_a_rule_gets_the_default(arch: str) -> None:
    table = {name: Rule() for name in list(TABLE)[::3]}
    program = bpf_machine.decode(assemble(table, DENY, arch))
    allowed = {number(name, arch) for name in table} - {-1}
    for call in range(600):
        verdict = bpf_machine.run(program, call, AUDIT_ARCH[arch], ZERO)
        assert verdict == (ALLOW if call in allowed else DENY)


@pytest.mark.parametrize("arch", ARCHES)
@given(call=st.integers(0, 2**32 - 1), other=st.integers(0, 2**32 - 1))
def test_a_foreign_convention_ends_the_process(arch: str, call: int, other: int) -> None:
    program = bpf_machine.decode(assemble({"read": Rule()}, ALLOW, arch))
    if other != AUDIT_ARCH[arch]:
        assert bpf_machine.run(program, call, other, ZERO) == KILL_PROCESS
    if arch == "x86_64":
        assert bpf_machine.run(program, call | X32_BIT, AUDIT_ARCH[arch], ZERO) == KILL_PROCESS


def test_a_program_that_is_too_long_is_refused() -> None:
    wide = Rule(tuple((Match(0, tuple(range(200))),) for _ in range(30)), ALLOW, DENY)
    with pytest.raises(ValueError, match="4096"):
        assemble({"read": wide}, DENY, "x86_64")


@pytest.mark.parametrize("count", [1, 63, 64, 130, 250])
def test_far_jumps_arrive(count: int) -> None:
    names = [name for name in TABLE if number(name, "x86_64") >= 0][:count]
    table = {
        name: Rule(((Match(0, (1, 2, 3)),),), ALLOW, fail(1 + at % 100)) for at, name in enumerate(names)
    }
    program = bpf_machine.decode(assemble(table, DENY, "x86_64"))
    for at, name in enumerate(names):
        for value, expected in ((2, ALLOW), (4, fail(1 + at % 100))):
            arguments = (value, 0, 0, 0, 0, 0)
            assert (
                bpf_machine.run(program, number(name, "x86_64"), AUDIT_ARCH["x86_64"], arguments) == expected
            )
