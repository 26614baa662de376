"""Trust: reviewed.

One exclave or driver as the shell sees it: its process, how far it has come, and why it ended.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from exclave.nucleus.shell.measure import Measured
from exclave.nucleus.shell.output import Output
from exclave.nucleus.shell.spawn import Process
from exclave.system.description import Exclave


class Stage(enum.Enum):
    """How far a member has come."""

    CREATED = "created"
    ENTERED = "entered"
    READY = "ready"
    ENDED = "ended"


@dataclass(slots=True)
class Member:
    """An exclave or driver.

    Attributes:
        entry: its table in the description.
        number: its domain id.
        measured: what it consists of.
        process: while it runs.
        mapped: regions whose mapping it confirmed.
        methods: its protected methods, once it is ready.
        reason: why it ended, in one sentence, with detail for the operator after it.
    """

    entry: Exclave
    number: int
    measured: Measured
    process: Process | None = None
    output: Output | None = None
    stage: Stage = Stage.CREATED
    mapped: set[str] = field(default_factory=set)
    methods: tuple[str, ...] = ()
    secret_memory: str = ""
    reason: str = ""
    detail: str = ""
    faults: int = 0
    restarts: int = 0
    began: float = 0.0

    @property
    def name(self) -> str:
        """Its name in the description."""
        return self.entry.name
