"""Landlock: which rights a domain has on files and TCP ports, by the kernel's own check.

Trust: reviewed. Purpose: be the second layer behind the view, and the first where there is no view.

1. Every right that the kernel's interface version knows is handled; what no rule allows is denied.
2. Device nodes, sockets and block devices can never be made.
3. Named TCP ports need interface 4, the abstract-socket and signal scopes 6; what is older is noted.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exclave.linux import calls
from exclave.nucleus.shell.plan import Network

EXECUTE: Final = 1 << 0
WRITE_FILE: Final = 1 << 1
READ_FILE: Final = 1 << 2
READ_DIR: Final = 1 << 3
REMOVE_DIR: Final = 1 << 4
REMOVE_FILE: Final = 1 << 5
MAKE_DIR: Final = 1 << 7
MAKE_REG: Final = 1 << 8
MAKE_SOCK: Final = 1 << 9
MAKE_FIFO: Final = 1 << 10
MAKE_SYM: Final = 1 << 12
REFER: Final = 1 << 13
TRUNCATE: Final = 1 << 14
IOCTL_DEV: Final = 1 << 15
BIND_TCP: Final = 1
CONNECT_TCP: Final = 2
SCOPE_ABSTRACT: Final = 1
SCOPE_SIGNAL: Final = 2

PORTS_SINCE: Final = 4
SCOPES_SINCE: Final = 6
"""The interface versions that first check TCP ports, and abstract sockets and signals."""

READ: Final = READ_FILE | READ_DIR
CHANGE: Final = (
    WRITE_FILE
    | REMOVE_DIR
    | REMOVE_FILE
    | MAKE_DIR
    | MAKE_REG
    | MAKE_SOCK
    | MAKE_FIFO
    | MAKE_SYM
    | REFER
    | TRUNCATE
)
DEVICE: Final = READ_FILE | WRITE_FILE | IOCTL_DEV
_OF_A_FILE: Final = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV


@dataclass(frozen=True, slots=True)
class Grant:
    """Rights on a file, or on all below a directory."""

    path: str
    rights: int


def handled(abi: int, network: Network, *, scope_abstract: bool = True) -> tuple[int, ...]:
    """Give the rights that a ruleset handles: files, and as far as the interface goes, ports and scopes.

    Args:
        abi: the kernel's Landlock interface version, at least 1.
        network: "none" and "tcp" have TCP checked; "all" leaves it alone.
        scope_abstract: keep the domain from abstract sockets outside of it.
    """
    files = (1 << 13) - 1 | (REFER if abi >= 2 else 0) | (TRUNCATE if abi >= 3 else 0)
    files |= IOCTL_DEV if abi >= 5 else 0
    ports = 0 if network.mode == "all" else BIND_TCP | CONNECT_TCP
    scopes = SCOPE_SIGNAL | (SCOPE_ABSTRACT if scope_abstract else 0)
    return (files, ports, scopes)[: 1 if abi < PORTS_SINCE else 2 if abi < SCOPES_SINCE else 3]


def missing(abi: int) -> tuple[str, ...]:
    """Say what an interface version does not check."""
    parts = (
        (3, "truncating files"),
        (PORTS_SINCE, "TCP ports"),
        (5, "ioctl on devices"),
        (SCOPES_SINCE, "abstract sockets and signals"),
    )
    return tuple(what for since, what in parts if abi < since)


def restrict(abi: int, grants: list[Grant], network: Network) -> None:
    """Put this process under a ruleset, for good; no_new_privs must be set.

    Args:
        abi: the kernel's interface version, at least 1.
        grants: the only rights on files that remain.
        network: the only TCP ports that remain.

    Raises:
        OSError: ENOTSUP for named ports on interface 3 and below; else the failing call (the host's fault).
    """
    if network.mode == "tcp" and abi < PORTS_SINCE:
        raise OSError(errno.ENOTSUP, "named TCP ports need Landlock interface 4 (Linux 6.7)")
    attributes = handled(abi, network)
    ruleset = calls.landlock_create_ruleset(attributes)
    try:
        for grant in grants:
            descriptor = os.open(grant.path, os.O_PATH | os.O_CLOEXEC)
            try:
                rights = grant.rights & attributes[0]
                if not Path(grant.path).is_dir():
                    rights &= _OF_A_FILE
                if rights:
                    calls.landlock_add_path(ruleset, rights, descriptor)
            finally:
                os.close(descriptor)
        if network.mode == "tcp":
            for port in network.listen:
                calls.landlock_add_port(ruleset, BIND_TCP, port)
            for port in network.connect:
                calls.landlock_add_port(ruleset, CONNECT_TCP, port)
        calls.landlock_restrict_self(ruleset)
    finally:
        os.close(ruleset)
