"""Trust: outside.

Shared regions: memory that the description lets two or more domains map, as their frame type says.

Rules:
 1. What lies in a region that another domain may write can change at any moment: copy first, then check.
"""

from __future__ import annotations

import mmap
import os

from exclave.runtime import place


def map_region(descriptor: int, size: int, writable: bool) -> memoryview:
    """Map a region's memory and close its descriptor.

    Args:
        descriptor: memfd of the frame; it is closed.
        size: bytes.
        writable: whether the frame rules let this domain write.

    Returns:
        A view of the region, read-only unless writable.
    """
    try:
        access = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        view = memoryview(mmap.mmap(descriptor, size, mmap.MAP_SHARED, access))
    finally:
        os.close(descriptor)
    return view


def region(name: str) -> memoryview:
    """The shared region `name`, mapped as the description gives it to this domain.

    Raises:
        Refused: the description shares it with others only.
    """
    here = place.handed()
    if here is not None:
        if name in here.regions:
            return here.regions[name]
        raise place.refuse_unknown("region", name, sorted(here.regions))
    sock, granted, received = place.ask("region", name, 1)
    sock.close()
    return map_region(received[0], granted.size, granted.writable)
