"""The vocabulary of the nucleus: integer sorts, kinds, states and types as numbers.

Trust: proved.
Purpose: give the pure core, the shell and every printer the same numbers and names.
Rules: 1. standard library only. 2. the core imports this, `rights` and `refusal`, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

Bits: TypeAlias = int
"""A small set, always 0 <= x < 2**8; the core uses only & | == != on it."""

Word: TypeAlias = int
"""A badge or a notification word, always 0 <= x < 2**64; the core uses only & | == != on it."""

BITS_MAX: Final = 2**8 - 1
WORD_MAX: Final = 2**64 - 1

# Kinds of protection domain. Row 0 is the nucleus, and no other row has its kind.
NUCLEUS: Final = 1
MONOLITH: Final = 2
EXCLAVE: Final = 3
DRIVER: Final = 4

# States of a protection domain.
DOMAIN_FREE: Final = 0
DOMAIN_CREATED: Final = 1
DOMAIN_RUNNING: Final = 2
DOMAIN_SUSPENDED: Final = 3
DOMAIN_STOPPED: Final = 4

# Kinds of object.
OBJECT_FREE: Final = 0
ENDPOINT: Final = 1
NOTIFICATION: Final = 2
FRAME: Final = 3
DOMAIN: Final = 4
CONCLAVE: Final = 5

# Frame types. A frame has exactly one, and changes it only through TYPE_FREE.
TYPE_FREE: Final = 0
TYPE_MONOLITH: Final = 1
TYPE_EXCLAVE_PRIVATE: Final = 2
TYPE_SHARED_RO: Final = 3
TYPE_SHARED_RW: Final = 4

# States of a conclave, and the requests that move it.
CONCLAVE_NONE: Final = 0
CONCLAVE_ATTACHED: Final = 1
CONCLAVE_RUNNING: Final = 2
CONCLAVE_SUSPENDED: Final = 3
CONCLAVE_STOPPED: Final = 4

REQUEST_NONE: Final = 0
REQUEST_LAUNCH: Final = 1
REQUEST_SUSPEND: Final = 2
REQUEST_RESUME: Final = 3
REQUEST_STOP: Final = 4

# Boot stages.
STAGE_OPEN: Final = 0
STAGE_SEALED: Final = 1

# Latches: once set, the named kind of operation is refused to everybody, the nucleus included.
LATCH_DOMAINS: Final = 1
LATCH_OBJECTS: Final = 2
LATCH_GRANTS: Final = 4
LATCH_RETYPE: Final = 8
LATCH_ALL: Final = 15

MAX_DEPTH: Final = 3
"""Derivations between a root capability and its deepest descendant."""

DOMAIN_KINDS: Final[Mapping[int, str]] = MappingProxyType(
    {NUCLEUS: "nucleus", MONOLITH: "monolith", EXCLAVE: "exclave", DRIVER: "driver"}
)
DOMAIN_STATES: Final[Mapping[int, str]] = MappingProxyType(
    {
        DOMAIN_FREE: "FREE",
        DOMAIN_CREATED: "CREATED",
        DOMAIN_RUNNING: "RUNNING",
        DOMAIN_SUSPENDED: "SUSPENDED",
        DOMAIN_STOPPED: "STOPPED",
    }
)
OBJECT_KINDS: Final[Mapping[int, str]] = MappingProxyType(
    {
        OBJECT_FREE: "free",
        ENDPOINT: "endpoint",
        NOTIFICATION: "notification",
        FRAME: "frame",
        DOMAIN: "domain",
        CONCLAVE: "conclave",
    }
)
FRAME_TYPES: Final[Mapping[int, str]] = MappingProxyType(
    {
        TYPE_FREE: "FREE",
        TYPE_MONOLITH: "MONOLITH",
        TYPE_EXCLAVE_PRIVATE: "EXCLAVE_PRIVATE",
        TYPE_SHARED_RO: "SHARED_RO",
        TYPE_SHARED_RW: "SHARED_RW",
    }
)
CONCLAVE_STATES: Final[Mapping[int, str]] = MappingProxyType(
    {
        CONCLAVE_NONE: "NONE",
        CONCLAVE_ATTACHED: "ATTACHED",
        CONCLAVE_RUNNING: "RUNNING",
        CONCLAVE_SUSPENDED: "SUSPENDED",
        CONCLAVE_STOPPED: "STOPPED",
    }
)
STAGES: Final[Mapping[int, str]] = MappingProxyType({STAGE_OPEN: "OPEN", STAGE_SEALED: "SEALED"})
LATCHES: Final[Mapping[int, str]] = MappingProxyType(
    {
        LATCH_DOMAINS: "no new domains",
        LATCH_OBJECTS: "no new objects",
        LATCH_GRANTS: "no grants",
        LATCH_RETYPE: "no retyping",
    }
)
