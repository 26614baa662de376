"""Who may act.

Trust: proved.
Purpose: the one guard that every operation applies to its caller.
"""

from __future__ import annotations

from exclave.abi.types import CONCLAVE_RUNNING, DOMAIN_RUNNING
from exclave.nucleus.core.state import State


def conclave_runs(s: State, d: int) -> bool:
    """Say whether domain d is in no conclave, or in one that is RUNNING."""
    x = s.doms[d]
    if x.member == 0:
        return True
    b = s.objs[0][x.conclave]
    return b.gen == x.cgen and b.cstate == CONCLAVE_RUNNING


def launched(s: State, d: int) -> bool:
    """Say whether domain d is in no conclave, or was started under the conclave's latest launch."""
    x = s.doms[d]
    return x.member == 0 or x.launch == s.objs[0][x.conclave].launch


def acts(s: State, d: int) -> bool:
    """Say whether d is a domain that may act now."""
    return 0 <= d < s.ndom and s.doms[d].state == DOMAIN_RUNNING and conclave_runs(s, d) and launched(s, d)
