"""Trust: reviewed. Questions about paths: does one hold another, which symbolic links does it follow.

Rules:
1. A directory holds another if its path is a prefix, or if it is the same file as one of the other's parents
   (so that a bind mount or a second name does not hide it).
2. Total: a path that does not exist, or cannot be read, is judged by its name alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

LINK_LIMIT = 40


def holds(outer: str, inner: str) -> bool:
    """Tell whether `inner` is `outer` or lies inside it, by name or by identity; both absolute."""
    if inner == outer or inner.startswith(f"{outer.rstrip('/')}/"):
        return True
    identity = _identity(outer)
    return identity is not None and identity in map(_identity, _upwards(inner))


def overlap(one: str, other: str) -> bool:
    """Tell whether either of two paths holds the other."""
    return holds(one, other) or holds(other, one)


def links_followed(path: str) -> list[str]:
    """Return where the symbolic links lie that an absolute path goes through (path_resolution(7)).

    At most LINK_LIMIT are returned; the kernel gives up at as many (ELOOP).
    """
    rest = path.split("/")[::-1]
    at = "/"
    found: list[str] = []
    while rest and len(found) < LINK_LIMIT:
        name = rest.pop()
        if name in ("", "."):
            continue
        if name == "..":
            at = os.path.dirname(at)  # noqa: PTH120
            continue
        candidate = f"{at.rstrip('/')}/{name}"
        try:
            target = os.readlink(candidate)  # noqa: PTH115
        except OSError:
            at = candidate
            continue
        found.append(candidate)
        if target.startswith("/"):
            at = "/"
        rest.extend(target.split("/")[::-1])
    return found


def _upwards(path: str) -> Iterator[str]:
    while True:
        yield path
        parent = os.path.dirname(path)  # noqa: PTH120
        if parent == path:
            return
        path = parent


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
