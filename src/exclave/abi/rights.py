"""Rights of a capability.

Trust: proved.
Purpose: name the three rights and say what each allows on each kind of object.

| object       | READ            | WRITE                           | GRANT                             |
|--------------|-----------------|---------------------------------|-----------------------------------|
| endpoint     | receive calls   | call                            | attach a frame; grant onwards     |
| notification | poll            | signal                          | grant onwards                     |
| frame        | map             | map writable                    | grant onwards                     |
| domain       | name as owner   | start, stop, suspend, kill, ... | with WRITE: put capabilities in   |
| conclave     |                 | launch, suspend, stop, ...      | grant onwards                     |
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

READ: Final = 1
WRITE: Final = 2
GRANT: Final = 4
WRITE_GRANT: Final = 6
ALL: Final = 7

NAMES: Final[Mapping[int, str]] = MappingProxyType({READ: "read", WRITE: "write", GRANT: "grant"})
"""Each single right's name, lowest bit first."""

ENDPOINT_RIGHTS: Final[Mapping[str, int]] = MappingProxyType({"call": WRITE, "frame": GRANT})
"""The words of a system description for the rights of a caller of an endpoint."""


def names(rights: int) -> tuple[str, ...]:
    """Return the names of the rights in a set, lowest bit first.

    Args:
        rights: a set of rights, 0..ALL.
    """
    return tuple(name for bit, name in NAMES.items() if rights & bit)
