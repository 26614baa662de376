"""A step of the nucleus, as the theorems about two states see it.

Trust: reviewed.
Purpose: carry an operation's caller, arguments, result and both states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from exclave.abi.refusal import OK
from exclave.nucleus.core.state import State


@dataclass(frozen=True)
class Step:
    """One operation: the states before and after it, who called, what, and what came back."""

    before: State
    after: State
    caller: int
    operation: str
    arguments: Mapping[str, int]
    result: int

    @property
    def accepted(self) -> bool:
        """Say whether the operation returned OK."""
        return self.result == OK

    def is_(self, *operations: str) -> bool:
        """Say whether the operation is one of those."""
        return self.operation in operations

    def some_slot(self, test: Callable[[int], bool]) -> bool:
        """Say whether some slot of the caller's passes a test."""
        return any(test(t) for t in range(self.before.nslot))
