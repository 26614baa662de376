"""The plan of one domain: everything that spawn does for it, as data.

Trust: reviewed. Purpose: describe a domain's view, authority and limits completely, before anything runs.

1. A plan grants nothing by default: no file, no network, no device.
2. Paths of the view are absolute, have no "." or "..", and none lies at "/".
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal

CONTROL: int = 3
"""The descriptor number of the control socket in every domain."""


class Kind(enum.Enum):
    """What a domain is."""

    EXCLAVE = "exclave"
    DRIVER = "driver"
    MONOLITH = "monolith"


def view_path(path: str) -> str:
    """Check a path of the view and give it back; raises ValueError when rule 2 does not hold."""
    if (
        not path.startswith("/")
        or path.startswith("//")
        or path == "/"
        or "\0" in path
        or path != str(PurePosixPath(path))
    ):
        raise ValueError(f"{path!r} is not a plain absolute path below /")
    if ".." in path.split("/"):
        raise ValueError(f"{path!r} contains ..")
    return path


@dataclass(frozen=True, slots=True)
class Bind:
    """A file or directory of the host that the domain sees."""

    source: str
    target: str
    writable: bool = False
    as_owner: bool = False
    """See it with the rights of the source's owner, also where the domain has another host uid."""
    hidden: tuple[str, ...] = ()
    """Directories directly below it that the domain sees empty."""

    def __post_init__(self) -> None:
        view_path(self.source)
        view_path(self.target)
        for name in self.hidden:
            view_path(f"/{name}")


@dataclass(frozen=True, slots=True)
class Tmpfs:
    """A writable directory that lives in memory and dies with the domain."""

    target: str
    size: int
    """Bytes at most."""
    mode: int = 0o1777
    executable: bool = False

    def __post_init__(self) -> None:
        view_path(self.target)
        if self.size <= 0:
            raise ValueError(f"{self.target}: a tmpfs has a positive size")


@dataclass(frozen=True, slots=True)
class Network:
    """What the domain reaches: nothing, all of the host's network, or named TCP ports."""

    mode: Literal["none", "all", "tcp"] = "none"
    listen: tuple[int, ...] = ()
    connect: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if any(not 0 < port < 65536 for port in (*self.listen, *self.connect)):
            raise ValueError("a TCP port is 1 to 65535")

    @classmethod
    def none(cls) -> Network:
        """Grant no network."""
        return cls()

    @classmethod
    def all(cls) -> Network:
        """Grant the host's network."""
        return cls("all")

    @classmethod
    def tcp(cls, *, listen: tuple[int, ...] = (), connect: tuple[int, ...] = ()) -> Network:
        """Grant TCP ports to listen on and to connect to, on the host's network."""
        return cls("tcp", listen, connect)


@dataclass(frozen=True, slots=True)
class Limits:
    """Resource limits; sizes in bytes, None leaves the nucleus's own."""

    memory: int | None = 512 << 20
    processes: int | None = 64
    """Processes and threads of the domain's uid (RLIMIT_NPROC, which does not bind host uid 0)."""
    files: int = 256
    """Open descriptors; well below the nucleus's, or descriptors in flight could exhaust its budget."""
    file_size: int | None = 1 << 30
    """Largest file, memory files included."""
    locked: int | None = 8 << 20


@dataclass(frozen=True, slots=True)
class Plan:
    """One domain."""

    name: str
    kind: Kind
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    binds: tuple[Bind, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Read-only files of the view with exactly these bytes."""
    tmpfs: tuple[Tmpfs, ...] = ()
    devices: tuple[str, ...] = ()
    symlinks: Mapping[str, str] = field(default_factory=dict)
    proc: bool = False
    """A /proc of the domain's own processes."""
    pts: bool = False
    """A /dev/pts of the domain's own pseudo-terminals."""
    network: Network = Network()
    listener: str | None = None
    """Where in the view the domain finds the nucleus's listening socket."""
    limits: Limits = Limits()
    hostname: str = "exclave"
    setsid: bool = True
    """Start in a session of its own; off keeps the operator's terminal usable for a shell."""
    stdio: tuple[int, int, int] | None = None
    """The nucleus's descriptors for 0, 1 and 2; None is /dev/null."""
    fds: Mapping[int, int] = field(default_factory=dict)
    """Further descriptors: number in the domain -> the nucleus's number."""
    ioctls: tuple[int, ...] = ()
    """Further ioctl requests that the filter allows."""
    directory: str | None = None
    """A private directory (0700) for files, tmpfs and listener in tiers without a mount namespace."""

    def __post_init__(self) -> None:
        if not self.argv or not self.argv[0].startswith("/"):
            raise ValueError(f"{self.name}: the program is named by an absolute path")
        for path in (
            *self.files,
            *self.symlinks,
            *self.devices,
            *((self.listener,) if self.listener else ()),
        ):
            view_path(path)
        if self.cwd != "/":
            view_path(self.cwd)
        if any(number <= CONTROL for number in self.fds):
            raise ValueError(f"{self.name}: descriptors 0 to {CONTROL} are taken")
        if self.kind is not Kind.MONOLITH and self.network.mode != "none":
            raise ValueError(f"{self.name}: only a monolith has a network")
        if any("\0" in word for word in (*self.argv, *self.env.keys(), *self.env.values())):
            raise ValueError(f"{self.name}: an argument or variable contains a zero byte")
        if any("=" in key or not key for key in self.env):
            raise ValueError(f"{self.name}: a variable's name is empty or contains =")
