"""Trust: outside.

Children of a test, for what must happen in a process of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable


def child(run: Callable[[], object]) -> int:
    """Run something in a child, which ends with status 0 if and only if it returns a true value."""
    process = os.fork()
    if not process:
        status = 1
        try:
            status = 0 if run() else 2
        finally:
            os._exit(status)
    return process


def status(process: int) -> int:
    """Wait for a child's end; 0 is the only good one."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
