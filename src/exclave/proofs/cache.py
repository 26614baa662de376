"""The cache: what was proved of exactly this source by exactly these theorems.

Trust: reviewed.
Purpose: keep outcomes below $XDG_CACHE_HOME/exclave, or ~/.cache/exclave, by hash.
Rules:
1. The key covers the core, the prover, the theorems, the solver and the interpreter: any change proves anew.
2. Only good outcomes are kept; a file that is not understood counts as absent.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import cast

from exclave.proofs.source import source_digest, theorems_digest
from exclave.proofs.tasks import Outcome, proved


def directory() -> Path:
    """Return where outcomes are kept."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return root / "exclave" / "proofs"


class Cache:
    """The outcomes of the present source.

    Args:
        enabled: without it nothing is read or written.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self._file = directory() / f"{source_digest()[:32]}-{theorems_digest()[:32]}.json"
        self._enabled = enabled
        self._known: dict[str, Outcome] = self._read() if enabled else {}

    def get(self, kind: str, name: str) -> Outcome | None:
        """Return the outcome of a task, with all theorems."""
        return self._known.get(f"{kind} {name}")

    def put(self, outcome: Outcome) -> None:
        """Keep an outcome, if it is good."""
        if proved(outcome):
            self._known[f"{outcome['kind']} {outcome['task']}"] = outcome

    def save(self) -> None:
        """Write what is kept; a cache that cannot be written is no error."""
        if not self._enabled:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            part = self._file.with_suffix(f".{os.getpid()}")
            part.write_text(json.dumps(self._known))
            part.replace(self._file)
        except OSError:
            return

    def _read(self) -> dict[str, Outcome]:
        try:
            content = json.loads(self._file.read_text())
            return cast("dict[str, Outcome]", content) if all(map(_understood, content.values())) else {}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}


def _understood(outcome: object) -> bool:
    return isinstance(outcome, dict) and {"kind", "task", "seconds"} <= outcome.keys()
