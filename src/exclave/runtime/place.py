"""Trust: outside.

Where this process stands, and how it comes by what it may reach: an exclave was handed its endpoints before
it began, a process of the monolith asks the nucleus, and an inline system has everything in this process.

Rules:
 1. A process never shares a socket with its parent: after fork it asks for a connection of its own.
"""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass, field
from typing import Final

from exclave.abi import control
from exclave.abi.exceptions import Fault, Refused, Revoked

ASK_SECONDS: Final = 10.0
LISTENER_VARIABLE: Final = "EXCLAVE_SOCKET"
INLINE_VARIABLE: Final = "EXCLAVE_INLINE"
STOPPED: Final = "Stopped"
OPENED_VARIABLE: Final = "EXCLAVE_ENDPOINTS"


@dataclass(slots=True)
class Handed:
    """What the nucleus handed this exclave before it began, by name."""

    name: str
    endpoints: dict[str, tuple[socket.socket | None, int]] = field(default_factory=dict)
    regions: dict[str, memoryview] = field(default_factory=dict)
    signals: dict[str, socket.socket] = field(default_factory=dict)
    waits: dict[str, list[tuple[socket.socket, int]]] = field(default_factory=dict)

    def give_endpoint(self, name: str, sock: socket.socket, rights: int) -> None:
        """Take a connection from the nucleus: the first, or one to a new incarnation of the callee."""
        before, _ = self.endpoints.get(name, (None, 0))
        if before is not None:
            before.close()
        self.endpoints[name] = sock, rights

    def take_endpoint(self, name: str) -> socket.socket:
        """The connection that the nucleus gave last; each can be taken once.

        Raises:
            Revoked: it was taken, and has ended; the nucleus gives another one when the callee serves again.
        """
        sock, rights = self.endpoints[name]
        if sock is None:
            raise Revoked(f"{name} has ended, and does not serve again yet")
        self.endpoints[name] = None, rights
        return sock


_handed: Handed | None = None


def stand_in(handed: Handed) -> None:
    """Say that this process is an exclave and what it was handed. Called once, by runtime.start."""
    global _handed
    _handed = handed


def handed() -> Handed | None:
    """What this exclave was handed; None in a process of the monolith."""
    return _handed


def refuse_unknown(kind: str, name: str, known: list[str]) -> Refused:
    """The refusal for something this exclave was not handed."""
    have = ", ".join(known) or "none"
    return Refused(
        "FailedLookup",
        f'this exclave was handed no {kind} "{name}" (it has: {have}); grant it in its table in exclave.toml',
    )


def _opened_before(name: str) -> tuple[socket.socket, control.Granted, list[int]] | None:
    """The endpoint that this process was started with, where the tier leaves no way to ask for one.

    Raises:
        Refused: another process of the monolith, or another connection of this one, has it.
    """
    opened = dict(
        entry.split("=", 1) for entry in os.environ.get(OPENED_VARIABLE, "").split(",") if "=" in entry
    )
    if name not in opened:
        return None
    # The answer was put into the socket once; whoever takes it out owns the connection.
    sock = socket.socket(fileno=os.dup(int(opened[name])))
    try:
        answer, _ = control.receive(sock)
    except (BlockingIOError, EOFError, OSError):
        answer = None
    if not isinstance(answer, control.Granted):
        sock.close()
        raise Refused(
            "IllegalOperation",
            f'the one connection to "{name}" is taken: in this tier (no user namespaces) a single process of '
            "the monolith can use an exclave; `exclave doctor` says how to reach the tier full",
        )
    sock.setblocking(True)
    return sock, answer, []


def ask(kind: str, name: str, descriptors: int = 0) -> tuple[socket.socket, control.Granted, list[int]]:
    """Ask the nucleus, as a process of the monolith, for one of the monolith's capabilities.

    Args:
        kind: endpoint, region or notification.
        name: as in the description.
        descriptors: how many the answer may carry.

    Returns:
        The connection (for an endpoint: the endpoint itself), the answer and its descriptors.

    Raises:
        Refused: the description does not grant it, the nucleus is not there, or this process does not run
            under exclave; the text says which and what to do.
    """
    before = _opened_before(name) if kind == "endpoint" else None
    if before is not None:
        return before
    if os.environ.get(INLINE_VARIABLE):
        text = f'an inline system has no {kind} "{name}", only components; use `exclave run` without --inline'
        raise Refused("IllegalOperation", text)
    path = os.environ.get(LISTENER_VARIABLE, control.DEFAULT_LISTENER)
    try:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    except PermissionError:
        raise Refused(
            "IllegalOperation",
            f'this process cannot ask for the {kind} "{name}": in this tier (no user namespaces) a monolith '
            "has the endpoints it was started with, only; `exclave doctor` says how to reach the tier full",
        ) from None
    try:
        sock.settimeout(ASK_SECONDS)
        try:
            sock.connect(path)
            control.send(sock, control.Ask(kind, name))
            answer, received = control.receive(sock, descriptors)
        except (FileNotFoundError, ConnectionRefusedError):
            raise Refused(
                "FailedLookup",
                f'no nucleus here to ask for the {kind} "{name}": start this program with '
                "`exclave run exclave.toml`, or with `exclave run --inline` while developing",
            ) from None
        except (EOFError, OSError) as error:
            text = f'the nucleus did not answer when asked for the {kind} "{name}": {error!r}'
            raise Refused("FailedLookup", text) from None
        if isinstance(answer, control.Granted) and descriptors and not received:
            raise OSError(errno.EMFILE, f"no free descriptor for the {kind} {name}")
        if isinstance(answer, control.Granted):
            sock.settimeout(None)
            return sock, answer, received
        control.close_all(received)
        if isinstance(answer, control.Denied):
            if answer.code == STOPPED:
                raise Fault("stopped", answer.text)
            raise Refused(answer.code, answer.text)
        raise Refused("FailedLookup", f'the nucleus gave no answer when asked for the {kind} "{name}"')
    except BaseException:
        sock.close()
        raise
