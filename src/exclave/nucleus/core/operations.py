"""The operations as a table, the first state, and the gate in front of both.

Trust: reviewed.
Purpose: check that arguments have the sorts that the proof assumes, and run an operation by name.
Rules: 1. the caller d comes from the dispatcher, never from the message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

from exclave.abi.refusal import INVALID_ARGUMENT, RANGE_ERROR
from exclave.abi.types import BITS_MAX, DOMAIN_RUNNING, NUCLEUS, WORD_MAX
from exclave.nucleus.core import (
    boot,
    capability,
    conclave,
    domain,
    fault,
    frame,
    latch,
    notification,
    objects,
)
from exclave.nucleus.core.state import Boot, Cap, Dom, Map, Obj, Rmap, State


class Sort(Enum):
    """What an argument may be: INDEX and INT any integer (the core checks indices), BITS and WORD bounded."""

    INDEX = "index"
    INT = "int"
    BITS = "bits"
    WORD = "word"


INDEX: Final = Sort.INDEX
INT: Final = Sort.INT
BITS: Final = Sort.BITS
WORD: Final = Sort.WORD


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation and the sorts of its arguments after state and caller."""

    function: Callable[..., int]
    sorts: tuple[Sort, ...]


OPS: Final[Mapping[str, Operation]] = MappingProxyType(
    {
        # objects.py: slot, object index[, kind]
        "create_object": Operation(objects.create_object, (INDEX, INDEX, INT)),
        "destroy": Operation(objects.destroy, (INDEX,)),
        "reclaim_object": Operation(objects.reclaim_object, (INDEX, INDEX)),
        # capability.py
        "mint": Operation(capability.mint, (INDEX, INDEX, BITS, WORD)),
        "copy": Operation(capability.copy, (INDEX, INDEX)),
        "grant": Operation(capability.grant, (INDEX, INDEX, INDEX, BITS, WORD)),
        "delete": Operation(capability.delete, (INDEX,)),
        "revoke": Operation(capability.revoke, (INDEX,)),
        # domain.py
        "create_domain": Operation(domain.create_domain, (INDEX, INDEX, INDEX, INT)),
        "start": Operation(domain.start, (INDEX,)),
        "stop": Operation(domain.stop, (INDEX,)),
        "suspend": Operation(domain.suspend, (INDEX,)),
        "resume": Operation(domain.resume, (INDEX,)),
        "kill": Operation(domain.kill, (INDEX,)),
        # conclave.py
        "attach_conclave": Operation(conclave.attach_conclave, (INDEX, INDEX)),
        "add_member": Operation(conclave.add_member, (INDEX, INDEX)),
        "launch_conclave": Operation(conclave.launch_conclave, (INDEX,)),
        "suspend_conclave": Operation(conclave.suspend_conclave, (INDEX,)),
        "resume_conclave": Operation(conclave.resume_conclave, (INDEX,)),
        "stop_conclave": Operation(conclave.stop_conclave, (INDEX,)),
        "conclave_done": Operation(conclave.conclave_done, (INDEX,)),
        "detach_conclave": Operation(conclave.detach_conclave, (INDEX,)),
        # frame.py
        "create_frame": Operation(frame.create_frame, (INDEX, INDEX, INDEX)),
        "retype": Operation(frame.retype, (INDEX, INT)),
        "map_frame": Operation(frame.map_frame, (INDEX, INDEX, INT)),
        "unmap_frame": Operation(frame.unmap_frame, (INDEX,)),
        "evict": Operation(frame.evict, (INDEX, INDEX)),
        "reclaim_map": Operation(frame.reclaim_map, (INDEX, INDEX)),
        # notification.py, fault.py, boot.py, latch.py
        "signal": Operation(notification.signal, (INDEX,)),
        "poll": Operation(notification.poll, (INDEX,)),
        "set_handler": Operation(fault.set_handler, (INDEX, INDEX)),
        "report_fault": Operation(fault.report_fault, (INDEX, INT)),
        "extend_measurement": Operation(boot.extend_measurement, (INT,)),
        "seal": Operation(boot.seal, ()),
        "lock_down": Operation(latch.lock_down, (BITS,)),
    }
)


def fits(sort: Sort, value: object) -> bool:
    """Say whether a value has the sort: an integer, and in the range of its sort."""
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    if sort is BITS:
        return 0 <= value <= BITS_MAX
    if sort is WORD:
        return 0 <= value <= WORD_MAX
    return True


def call(s: State, d: int, name: str, *arguments: int) -> int:
    """Run an operation by name for caller d, once its arguments are known to have their sorts.

    Args:
        d: the calling domain, as the dispatcher knows it.
        name: a key of OPS.
        arguments: untrusted.

    Returns:
        OK or a refusal code. INVALID_ARGUMENT: no such operation, or another number of arguments.
        RANGE_ERROR: an argument has another sort.
    """
    operation = OPS.get(name)
    if operation is None or len(arguments) != len(operation.sorts):
        return INVALID_ARGUMENT
    if not all(map(fits, operation.sorts, arguments)):
        return RANGE_ERROR
    return operation.function(s, d, *arguments)


def initial(
    h: Callable[[int, int], int],
    ndom: int = 32,
    nslot: int = 256,
    nobj: int = 64,
    nv: int = 32,
    nrmap: int = 8,
) -> State:
    """Return the state before boot: the nucleus runs in row 0, and nothing else exists.

    Args:
        h: the hash that extends the measurement: old measurement, new value -> new measurement.
        ndom: rows of domains. nslot, nobj, nv: slots, objects and mappings of each domain.
        nrmap: how often a frame can be mapped.

    Raises:
        ValueError: a size is not positive; the fault of the caller.
    """
    if min(ndom, nslot, nobj, nv, nrmap) < 1:
        raise ValueError("every table of the nucleus needs at least one row")
    s = State(
        ndom,
        nslot,
        nobj,
        nv,
        nrmap,
        h,
        doms=[Dom() for _ in range(ndom)],
        caps=[[Cap() for _ in range(nslot)] for _ in range(ndom)],
        objs=[[Obj() for _ in range(nobj)] for _ in range(ndom)],
        maps=[[Map() for _ in range(nv)] for _ in range(ndom)],
        rmap=[[[Rmap() for _ in range(nrmap)] for _ in range(nobj)] for _ in range(ndom)],
        boot=Boot(),
    )
    s.doms[0].state = DOMAIN_RUNNING
    s.doms[0].kind = NUCLEUS
    return s
