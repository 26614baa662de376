"""Refusals: the ten reasons for which the nucleus turns an operation down.

Trust: proved.
Purpose: give each refusal its number, its name and one English sentence.
Source of numbers and names: seL4 Reference Manual, appendix "Errors" (seL4_Error).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

OK: Final = 0
INVALID_ARGUMENT: Final = 1
INVALID_CAPABILITY: Final = 2
ILLEGAL_OPERATION: Final = 3
RANGE_ERROR: Final = 4
ALIGNMENT_ERROR: Final = 5
FAILED_LOOKUP: Final = 6
TRUNCATED_MESSAGE: Final = 7
DELETE_FIRST: Final = 8
REVOKE_FIRST: Final = 9
NOT_ENOUGH_MEMORY: Final = 10


class Refusal(NamedTuple):
    """What a refusal code means."""

    name: str
    sentence: str


REFUSALS: Final[Mapping[int, Refusal]] = MappingProxyType(
    {
        INVALID_ARGUMENT: Refusal(
            "INVALID_ARGUMENT", "An argument has a value that the operation does not allow."
        ),
        INVALID_CAPABILITY: Refusal(
            "INVALID_CAPABILITY", "The capability names another kind of object or lacks a right."
        ),
        ILLEGAL_OPERATION: Refusal("ILLEGAL_OPERATION", "The operation is not allowed in the present state."),
        RANGE_ERROR: Refusal("RANGE_ERROR", "A number lies outside its range."),
        ALIGNMENT_ERROR: Refusal("ALIGNMENT_ERROR", "An address or a size is not aligned."),
        FAILED_LOOKUP: Refusal("FAILED_LOOKUP", "There is no live capability in that slot."),
        TRUNCATED_MESSAGE: Refusal("TRUNCATED_MESSAGE", "The message is shorter than it claims."),
        DELETE_FIRST: Refusal("DELETE_FIRST", "The place is taken; delete what is there first."),
        REVOKE_FIRST: Refusal("REVOKE_FIRST", "The object is still in use; take those uses back first."),
        NOT_ENOUGH_MEMORY: Refusal("NOT_ENOUGH_MEMORY", "A table or a limit of the nucleus is exhausted."),
    }
)


def name(code: int) -> str:
    """Return the name of a result code, `OK` included.

    Args:
        code: what an operation returned.

    Raises:
        KeyError: the code is none of the nucleus's; a nucleus bug.
    """
    return "OK" if code == OK else REFUSALS[code].name
