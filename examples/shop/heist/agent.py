"""Trust: hostile.

A decoy agent, as ssh-agent, a session bus or a container daemon is one: another process of the same user,
with something of value in memory, in an open file and behind two sockets. And a decoy key in the kernel's
session keyring, which the shop inherits.
"""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from heist.attempts.kit import system_call

DECOY: Final = "decoy-secret-held-by-the-agent!!"
JOIN_SESSION, ADD_KEY = 1, {"x86_64": 248, "aarch64": 217}
SESSION_KEYRING: Final = -3


@dataclass(frozen=True)
class Facts:
    """What the agent says about itself."""

    pid: int
    address: int
    descriptor: int


class Agent:
    """The agent's process, as its parent sees it."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.abstract = f"exclave-shop-{os.getpid()}-{path.parent.name}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "heist.agent", self.path, self.abstract],
            cwd=Path(__file__).resolve().parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.facts = Facts(**json.loads(self._process.stdout.readline()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None


def new_session_keyring() -> bool:
    """Give this process and its children a keyring of their own, with a decoy; False where there is none."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        system_call("keyctl", JOIN_SESSION, None)
    except OSError:
        return False
    number = ADD_KEY.get(os.uname().machine, 217)
    payload = b"decoy-key-in-the-keyring"
    return bool(libc.syscall(number, b"user", b"shop-demo", payload, len(payload), SESSION_KEYRING) > 0)


def serve(path: str, abstract: str) -> None:
    """Be the agent until standard input closes."""
    held = ctypes.create_string_buffer(DECOY.encode(), len(DECOY))
    descriptor = os.memfd_create("agent")
    os.write(descriptor, DECOY.encode())
    with selectors.DefaultSelector() as selector:
        for address in (path, "\0" + abstract):
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(address)
            listener.listen()
            selector.register(listener, selectors.EVENT_READ, listener)
        selector.register(0, selectors.EVENT_READ, None)
        facts = {"pid": os.getpid(), "address": ctypes.addressof(held), "descriptor": descriptor}
        print(json.dumps(facts), flush=True)
        while True:
            for key, _ in selector.select():
                if key.data is None:
                    return
                connection, _ = key.data.accept()
                with connection:
                    connection.sendall(DECOY.encode())


if __name__ == "__main__":
    serve(*sys.argv[1:])
