"""The vocabulary: numbers are distinct, and each has its name."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from exclave.abi import refusal, rights, types


@pytest.mark.parametrize(
    ("table", "numbers"),
    [
        (types.DOMAIN_KINDS, range(1, 5)),
        (types.DOMAIN_STATES, range(5)),
        (types.OBJECT_KINDS, range(6)),
        (types.FRAME_TYPES, range(5)),
        (types.CONCLAVE_STATES, range(5)),
        (types.STAGES, range(2)),
        (types.LATCHES, (1, 2, 4, 8)),
        (refusal.REFUSALS, range(1, 11)),
    ],
)
def test_table_names_every_number_once(table: Mapping[int, object], numbers: range | tuple[int, ...]) -> None:
    assert list(table) == list(numbers)
    assert len(set(table.values())) == len(table)


def test_latches_are_single_bits_and_all_is_their_sum() -> None:
    assert sum(types.LATCHES) == types.LATCH_ALL
    assert types.LATCH_ALL <= types.BITS_MAX


def test_refusal_has_the_name_of_its_constant_and_a_sentence() -> None:
    for code, one in refusal.REFUSALS.items():
        assert getattr(refusal, one.name) == code
        assert refusal.name(code) == one.name
        assert one.sentence.endswith(".")
    assert refusal.name(refusal.OK) == "OK"


def test_refusal_unknown_code_raises() -> None:
    with pytest.raises(KeyError):
        refusal.name(11)


@pytest.mark.parametrize("value", range(rights.ALL + 1))
def test_rights_names_are_those_of_the_bits(value: int) -> None:
    found = rights.names(value)
    assert sum(bit for bit, name in rights.NAMES.items() if name in found) == value


def test_rights_of_a_description_are_rights() -> None:
    assert rights.ENDPOINT_RIGHTS == {"call": rights.WRITE, "frame": rights.GRANT}
    assert rights.WRITE_GRANT == rights.WRITE | rights.GRANT
