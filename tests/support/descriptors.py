"""Which descriptors this process has open, to see that none was leaked."""

from __future__ import annotations

from pathlib import Path


def open_descriptors() -> set[str]:
    """The numbers of this process's descriptors, and what each is."""
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        try:
            found.add(f"{path.name} {path.readlink()}")
        except FileNotFoundError:
            # The directory's own descriptor is closed by now.
            continue
    return found
