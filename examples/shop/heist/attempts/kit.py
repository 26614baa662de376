"""Trust: hostile.

The thief's kit: how an attempt is declared, what he knows, and how he carries one out inside the app.

Rules:
 1. An attempt returns what it got, or raises: OSError, Stopped, or an exception of exclave or of a component.
 2. What may crash or exhaust its process, or changes it, runs in a forked child.
 3. Without exclave, an attempt touches only what the demonstration made.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

CHILD_SECONDS: Final = 15
OUTPUT_LIMIT: Final = 4096

MUST: Final = "must succeed without exclave"
MAY: Final = "may succeed without exclave; hosts differ"


@dataclass(frozen=True)
class Known:
    """What the thief knows: everything but the secrets."""

    exclave: bool
    home: str
    beside: str
    secrets: str
    shop: str
    collector: int
    agent: str
    abstract: str
    victims: tuple[int, ...]
    lambs: tuple[int, ...]
    nucleus: int
    prize: int
    prize_fd: int
    masked_key: str
    decoy: str


@dataclass(frozen=True)
class Attempt:
    """One attempt: what it wants, what must stop it (outcome: layer), and how it goes without exclave."""

    name: str
    wants: str
    stopped: dict[str, str]
    plain: str
    forked: bool
    run: Callable[[Known], str]


CATALOGUE: dict[str, Attempt] = {}


class Stopped(Exception):
    """The attempt ended without its prize, for a reason that is not an error of a system call."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(detail)
        self.code = code


def attempt(
    wants: str, stopped: dict[str, str], plain: str = MUST, *, forked: bool = False
) -> Callable[[Callable[[Known], str]], Callable[[Known], str]]:
    """Enter a function in the catalogue.

    Args:
        wants: the prize, in a few words.
        stopped: under exclave, which outcome is due to which layer; any other one fails the demonstration.
        plain: MUST, MAY, or why it is not carried out without exclave.
        forked: carry it out in a child of the app's process.
    """

    def enter(run: Callable[[Known], str]) -> Callable[[Known], str]:
        name = run.__name__.replace("_", "-")
        CATALOGUE[name] = Attempt(name, wants, stopped, plain, forked, run)
        return run

    return enter


def system_call(name: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """Make a raw system call; raises OSError with its errno."""
    number = NUMBERS[name][0 if os.uname().machine == "x86_64" else 1]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    converted = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result = int(libc.syscall(ctypes.c_long(number), *converted))
    if result == -1:
        raise OSError(ctypes.get_errno(), name)
    return result


NUMBERS: Final = {
    "ptrace": (101, 117),
    "mount": (165, 40),
    "keyctl": (250, 219),
    "unshare": (272, 97),
    "process_vm_readv": (310, 270),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "pidfd_send_signal": (424, 424),
    "io_uring_setup": (425, 425),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
}
"""System call numbers: x86_64, and the generic table that aarch64 uses."""


def outcome_of(run: Callable[[Known], str], known: Known) -> dict[str, str]:
    """Carry out one attempt here; every ending becomes data."""
    try:
        return {"outcome": "got through", "code": "", "detail": run(known)[:OUTPUT_LIMIT]}
    except Stopped as error:
        code, detail = error.code, str(error)
    except OSError as error:
        code, detail = errno.errorcode.get(error.errno or 0, type(error).__name__), str(error)
    except MemoryError:
        code, detail = "ENOMEM", "no more memory"
    except Exception as error:
        code, detail = str(getattr(error, "code", type(error).__name__)), str(error)
    return {"outcome": "stopped", "code": code, "detail": detail[:OUTPUT_LIMIT]}


def in_child(run: Callable[[Known], str], known: Known) -> dict[str, str]:
    """Carry out one attempt in a forked child, and tell how the child ended when it says nothing."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(CHILD_SECONDS)
        try:
            os.write(theirs, json.dumps(outcome_of(run, known)).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if said:
        return dict(json.loads(said))
    code = signal.Signals(-status).name if status < 0 else f"EXIT{status}"
    return {"outcome": "stopped", "code": code, "detail": "the process was ended"}


def carry_out(name: str, known: dict[str, object]) -> str:
    """Carry out the named attempt; returns its outcome as JSON. This is what the thief calls in the app."""
    chosen = CATALOGUE[name]
    facts = Known(**{key: tuple(value) if isinstance(value, list) else value for key, value in known.items()})  # type: ignore[arg-type]
    return json.dumps((in_child if chosen.forked else outcome_of)(chosen.run, facts))
