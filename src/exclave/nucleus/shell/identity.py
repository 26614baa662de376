"""Host uids for domains.

Trust: reviewed. Purpose: give each domain of each running system a host uid that nobody else has.

1. Root: ids from 0x7E000000 to 0x7EFFFFFF, 65536 blocks of 256, a range that distributions and systemd leave
   free; where that is not mapped (a container), the top of the mapped range.
2. An ordinary user: blocks of 256 from the allotment in /etc/subuid, for exclaves and drivers; the monolith
   keeps the user's own id so that granted files work. Without an allotment every domain has the user's id.
3. A block is reserved by an open-file-description lock on one byte of a file, which the kernel drops when the
   nucleus ends, however it ends. No id is 0.
4. One name gets one id for as long as the system lives.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import secrets
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

FIRST: Final = 0x7E00_0000
BLOCK: Final = 256
BLOCKS: Final = 65536
INSIDE: Final = 1000
"""The uid and gid that a domain sees itself as."""
_TRIES: Final = 64


@dataclass(frozen=True, slots=True)
class Range:
    """Consecutive ids."""

    first: int
    count: int


@dataclass(frozen=True, slots=True)
class SubordinateIds:
    """An ordinary user's allotment."""

    uids: Range
    gids: Range


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a domain is on the host."""

    uid: int
    gid: int
    distinct: bool
    """No other domain and no user has this uid."""


class Owner(Protocol):
    """Who reserves ids: the host at the tier in use."""

    @property
    def uid(self) -> int:
        """The nucleus's uid."""

    @property
    def gid(self) -> int:
        """The nucleus's gid."""

    @property
    def subordinate(self) -> SubordinateIds | None:
        """An ordinary user's allotment, when it is usable."""


def _allotment(path: str, names: tuple[str, ...]) -> Range | None:
    """Read the first allotment of at least one block for a user (subuid(5))."""
    try:
        lines = Path(path).read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    for line in lines:
        owner, _, rest = line.strip().partition(":")
        first, _, count = rest.partition(":")
        if (
            owner in names
            and first.isdecimal()
            and count.isdecimal()
            and int(count) >= BLOCK
            and int(first) > 0
        ):
            return Range(int(first), int(count))
    return None


def subordinate_ids() -> SubordinateIds | None:
    """Look up this user's subordinate uids and gids; None when fewer than a block of either is allotted."""
    uid = os.getuid()
    try:
        names: tuple[str, ...] = (pwd.getpwuid(uid).pw_name, str(uid))
    except KeyError:
        names = (str(uid),)
    uids, gids = _allotment("/etc/subuid", names), _allotment("/etc/subgid", names)
    return SubordinateIds(uids, gids) if uids and gids else None


def mapped_range(text: str) -> Range:
    """Choose the ids that root gives to domains, from the contents of /proc/self/uid_map.

    Raises:
        OSError: ERANGE, fewer than a block of non-zero ids is mapped (the host's fault).
    """
    widest = Range(0, 0)
    for line in text.splitlines():
        inside, _, count = (int(word) for word in line.split())
        if inside <= FIRST and inside + count >= FIRST + BLOCK * BLOCKS:
            return Range(FIRST, BLOCK * BLOCKS)
        usable = Range(max(inside, 1), count - (1 if inside == 0 else 0))
        if usable.count > widest.count:
            widest = usable
    blocks = min(widest.count // 2, BLOCK * BLOCKS) // BLOCK
    if blocks == 0:
        raise OSError(errno.ERANGE, "fewer than 512 uids are mapped here: no distinct uid for a domain")
    return Range(widest.first + widest.count - blocks * BLOCK, blocks * BLOCK)


def _lock_directory(uid: int) -> str:
    """Find a directory of this user's own for the lock file, and make it if need be (0700, owner checked)."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "") if uid else ""
    parents = ["/run"] if uid == 0 else [runtime or f"/run/user/{uid}", "/tmp"]
    for parent in parents:
        directory = f"{parent}/exclave-{uid}"
        try:
            Path(directory).mkdir(mode=0o700, exist_ok=True)
            found = os.lstat(directory)
        except OSError:
            continue
        if stat.S_ISDIR(found.st_mode) and found.st_uid == uid and not found.st_mode & 0o077:
            return directory
    raise OSError(errno.EACCES, f"no private directory for the id lock below {' or '.join(parents)}")


class Identities:
    """The ids of one running system."""

    def __init__(self, uid: int, gid: int, uids: Range | None, gids: Range | None, lock: int) -> None:
        """Hold a block; use `reserve`."""
        self.own = Identity(uid, gid, distinct=False)
        self._uids, self._gids, self._lock = uids, gids, lock
        self._taken: dict[str, int] = {}

    @classmethod
    def reserve(cls, host: Owner, directory: str | None = None) -> Identities:
        """Reserve a block of ids for this process.

        Args:
            host: the nucleus's own uid and gid, and an ordinary user's allotment, if it is usable.
            directory: where the lock file is; default below /run or the user's runtime directory.

        Returns:
            The reserved ids; an ordinary user without an allotment gets only his own.

        Raises:
            OSError: no block is free, or no lock directory can be made (the host's fault).
        """
        uid, gid, subordinate = host.uid, host.gid, host.subordinate
        if uid == 0:
            uids = gids = mapped_range(Path("/proc/self/uid_map").read_text("ascii"))
        elif subordinate is None:
            return cls(uid, gid, None, None, -1)
        else:
            uids, gids = subordinate.uids, subordinate.gids
        blocks = min(uids.count, gids.count) // BLOCK
        path = f"{directory or _lock_directory(uid)}/ids"
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        for attempt in range(_TRIES):
            block = secrets.randbelow(blocks) if attempt < _TRIES // 2 else attempt % blocks
            try:
                fcntl.fcntl(
                    lock, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, block, 1, 0)
                )
            except BlockingIOError:
                continue
            offset = block * BLOCK
            return cls(uid, gid, Range(uids.first + offset, BLOCK), Range(gids.first + offset, BLOCK), lock)
        os.close(lock)
        raise OSError(errno.EAGAIN, "no free block of ids: too many systems run at once")

    def of(self, name: str, *, own: bool = False) -> Identity:
        """Give a domain its identity, the same for each start.

        Args:
            name: the domain.
            own: the domain keeps an ordinary user's own uid; without effect for root.

        Raises:
            OSError: EDQUOT, the system has more domains than a block has ids (the description's fault).
        """
        if self._uids is None or self._gids is None or (own and self.own.uid != 0):
            return self.own
        index = self._taken.setdefault(name, len(self._taken))
        if index >= BLOCK:
            raise OSError(errno.EDQUOT, f"a system has at most {BLOCK} domains")
        return Identity(self._uids.first + index, self._gids.first + index, distinct=True)

    def close(self) -> None:
        """Give the block back."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
