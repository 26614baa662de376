"""Trust: reviewed.

The status socket: lets the operator, and nobody else, look at a running system. It changes nothing.

Rules:
 1. Only the operator's own uid and root are answered (SO_PEERCRED, unix(7)).
 2. An answer is a sealed memfd, so that a reader that does not read costs the nucleus nothing.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from exclave.abi import rights, types
from exclave.nucleus.shell.nucleus import Nucleus
from exclave.nucleus.shell.places import runtime_directory

SOCKET_NAME: Final = "status"
ANSWER_LIMIT: Final = 64 * 1024 * 1024
ASK_SECONDS: Final = 5.0
F_ADD_SEALS: Final = 1033
F_SEAL_ALL: Final = 0xF


class StatusError(Exception):
    """No such running system, or it did not answer; names the fix."""


def snapshot(nucleus: Nucleus) -> dict[str, Any]:
    """Everything that the operator may see of a running system, as JSON values."""
    state = nucleus.dispatcher.state
    layout = nucleus.layout
    tier = nucleus.host.tier
    return {
        "system": nucleus.description.system.name,
        "description": _path(nucleus.description.file),
        "pid": os.getpid(),
        "tier": tier.value if tier else None,
        "stage": types.STAGES[state.boot.stage],
        "measurement": f"{state.boot.measurement:064x}",
        "log": _path(nucleus.options.log) if nucleus.options.log else None,
        "domains": [_domain(nucleus, name, number) for name, number in layout.domains.items()],
        "capabilities": list(_capabilities(nucleus)),
        "conclaves": [
            {"name": name, "state": types.CONCLAVE_STATES[state.objs[0][slot].cstate]}
            for name, slot in layout.conclaves.items()
        ],
        "connections": [
            {
                "caller": layout.name(entry.holder),
                "exclave": layout.name(entry.target),
                "number": entry.number,
            }
            for entry in nucleus.connections
        ],
    }


def _path(path: str | Path) -> str:
    """A path as text for JSON, which has no way to write bytes that are not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _domain(nucleus: Nucleus, name: str, number: int) -> dict[str, Any]:
    row = nucleus.dispatcher.state.doms[number]
    result: dict[str, Any] = {
        "name": name,
        "kind": types.DOMAIN_KINDS[row.kind],
        "state": types.DOMAIN_STATES[row.state],
    }
    member = nucleus.members.get(name)
    process = member.process if member else nucleus.monolith
    if process is not None:
        result |= {
            "pid": process.pid,
            "uid": process.identity.uid,
            "layers": process.layers,
            "notes": process.notes,
        }
    if member is not None:
        result |= {
            "component": str(member.entry.component),
            "measured": member.measured.digest.hex(),
            "methods": member.methods,
            "secrets": member.entry.secrets,
            "secret_memory": member.secret_memory,
            "faults": member.faults,
            "restarts": member.restarts,
            "reason": member.reason or None,
        }
    return result


def _capabilities(nucleus: Nucleus) -> Iterator[dict[str, Any]]:
    layout = nucleus.layout
    tables = (("endpoint", layout.uses), ("region", layout.regions), ("notification", layout.notifications))
    for kind, table in tables:
        for (holder, target), grant in table.items():
            yield {
                "holder": holder,
                "kind": kind,
                "target": target,
                "rights": rights.names(grant.rights),
                "badge": grant.badge,
                "live": nucleus.dispatcher.is_live(layout.domains[holder], grant.slot),
            }


class StatusSocket:
    """The listening end, in the run's own directory."""

    def __init__(self, nucleus: Nucleus) -> None:
        self._nucleus = nucleus
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(nucleus.options.directory / SOCKET_NAME))
        self._listener.listen(8)
        self._listener.setblocking(False)
        nucleus.loop.watch(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Stop answering."""
        self._nucleus.loop.forget(self._listener.fileno())
        self._listener.close()

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        with sock:
            sock.setblocking(False)
            credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            _, uid, _ = struct.unpack("3i", credentials)
            if uid not in (0, os.geteuid()):
                return
            answer = _sealed(msgspec.json.encode(snapshot(self._nucleus)))
            try:
                socket.send_fds(sock, [b"status"], [answer])
            except OSError:
                return
            finally:
                os.close(answer)


def _sealed(data: bytes) -> int:
    """A memfd with these bytes, at its start, that nobody can change."""
    descriptor = os.memfd_create("status", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    fcntl.fcntl(descriptor, F_ADD_SEALS, F_SEAL_ALL)
    return descriptor


def running() -> list[Path]:
    """The directories of the systems that this operator has running."""
    return sorted(path.parent for path in runtime_directory().glob(f"*/{SOCKET_NAME}"))


def ask(system: str | None) -> dict[str, Any]:
    """Ask a running system for its snapshot.

    Args:
        system: its name, or its directory's name, when more than one runs; None for the only one.

    Raises:
        StatusError: none runs, several do, or it does not answer.
    """
    found = [
        path for path in running() if system is None or system in (path.name, path.name.rpartition("-")[0])
    ]
    if not found:
        what = f'no system "{system}" is running' if system else "no system is running"
        raise StatusError(f"{what} for this user; start one with `exclave run exclave.toml`")
    answers = [answer for answer in map(_ask_one, found) if answer is not None]
    if not answers:
        raise StatusError("no running system answered")
    if len(answers) > 1:
        names = ", ".join(f"{answer['system']}-{answer['pid']}" for answer in answers)
        raise StatusError(f"several systems are running: {names}; name one")
    return answers[0]


def _ask_one(directory: Path) -> dict[str, Any] | None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(ASK_SECONDS)
        try:
            sock.connect(str(directory / SOCKET_NAME))
            _, descriptors, _, _ = socket.recv_fds(sock, 64, 1)
        except OSError:
            return None
    if not descriptors:
        return None
    with open(descriptors[0], "rb") as file:
        try:
            return msgspec.json.decode(file.read(ANSWER_LIMIT), type=dict[str, Any])
        except (OSError, msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return None
