"""Attempts on sockets: the network, path and abstract sockets, the other end. Hostile by design."""

from __future__ import annotations

import os
import socket

from support.attempt_registry import ATTEMPTS as ATTEMPTS
from support.attempt_registry import attempt


@attempt
def unix_pair(given: dict[str, str]) -> str:
    left, right = socket.socketpair()
    left.send(b"x")
    return str(right.recv(1))


@attempt
def abstract_socket(given: dict[str, str]) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + given["abstract"])
    return "connected"


@attempt
def path_socket(given: dict[str, str]) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(given["hidden"] + "/socket")
    return "connected"


@attempt
def datagram_pair_reconnect(given: dict[str, str]) -> str:
    left, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    left.connect(given["hidden"] + "/datagram")
    return "connected"


def _connect(port: str) -> str:
    with socket.socket() as client:
        client.settimeout(2)
        client.connect(("127.0.0.1", int(port)))
    return "connected"


@attempt
def tcp_granted(given: dict[str, str]) -> str:
    return _connect(given["granted-port"])


@attempt
def tcp_other(given: dict[str, str]) -> str:
    return _connect(given["other-port"])


@attempt
def tcp_fast_open(given: dict[str, str]) -> str:
    with socket.socket() as client:
        client.sendto(b"x", socket.MSG_FASTOPEN, ("127.0.0.1", int(given["other-port"])))
    return "sent"


@attempt
def udp(given: dict[str, str]) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"x", ("127.0.0.1", int(given["other-port"])))
    return "sent"


@attempt
def vsock(given: dict[str, str]) -> str:
    socket.socket(40, socket.SOCK_STREAM).close()
    return "made"


@attempt
def peer_pidfd(given: dict[str, str]) -> str:
    """Ask the control socket who made it; that is the nucleus."""
    with socket.socket(fileno=os.dup(3)) as control:
        control.getsockopt(socket.SOL_SOCKET, 77, 4)
    return "named"


@attempt
def socket_option(given: dict[str, str]) -> str:
    with socket.socket(fileno=os.dup(3)) as control:
        return str(control.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE))


@attempt
def make_socket(given: dict[str, str]) -> str:
    socket.socket(socket.AF_UNIX).close()
    return "made"
