"""Trust: reviewed. The system description as data: resolved, bounded, frozen.

Rules:
1. Every path is absolute and real, every size is in bytes, every duration in seconds, every right a bit of
   `abi.rights`.
2. Tuples keep the order of the file: element i of a tuple is element i of the file's array.
3. The dicts are filled once, by the decoder, and never changed.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

import msgspec

MONOLITH = "monolith"
DEFAULT_MEMORY = 512 << 20
DEFAULT_BUDGET = 10.0
SIGNALLER_LIMIT = 60

_OF_ETC = """
ld.so.cache ld.so.conf ld.so.conf.d localtime timezone nsswitch.conf hosts resolv.conf host.conf gai.conf
ssl/certs ssl/openssl.cnf ca-certificates pki/tls/certs pki/ca-trust/extracted mime.types protocols services
locale.alias locale.conf default/locale terminfo inputrc alternatives debian_version os-release bash.bashrc
profile passwd group
"""
SYSTEM_PATHS = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"),
    *(f"/etc/{name}" for name in _OF_ETC.split()),
)
"""What any program needs to run: the description does not grant it, and a monolith can read it."""

RegionType = Literal["SHARED_RO", "SHARED_RW", "EXCLAVE_PRIVATE"]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all parts of a description share."""


class System(_Part, frozen=True, kw_only=True):
    """[system]: the system's name and where its secrets are; None is the default place."""

    name: str
    secrets: str | None = None


class Component(_Part, frozen=True, kw_only=True):
    """What a domain runs: a class of a module that lies in the description's directory."""

    module: str
    attribute: str

    def __str__(self) -> str:
        return f"{self.module}:{self.attribute}"


class Use(_Part, frozen=True, kw_only=True):
    """One endpoint capability: who may be called, with which rights (WRITE calls, GRANT attaches frames)."""

    target: str
    rights: int


class Exclave(_Part, frozen=True, kw_only=True):
    """[exclave.NAME]; memory in bytes, budget in seconds; `generate`: secret -> bytes, made when missing."""

    name: str
    component: Component
    secrets: tuple[str, ...] = ()
    generate: dict[str, int] = {}
    packages: tuple[str, ...] = ()
    use: tuple[Use, ...] = ()
    memory: int = DEFAULT_MEMORY
    budget: float = DEFAULT_BUDGET
    restart: Literal["never", "always"] = "never"
    placement: Literal["exclave"] = "exclave"


class Driver(Exclave, frozen=True, kw_only=True):
    """[driver.NAME]: an exclave that is also given device nodes."""

    devices: tuple[str, ...] = ()


class Network(_Part, frozen=True, kw_only=True):
    """What of the network a domain has: all of it, or TCP ports to listen on and to connect to."""

    anywhere: bool = False
    listen: tuple[int, ...] = ()
    connect: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return self.anywhere or bool(self.listen or self.connect)


class Monolith(_Part, frozen=True, kw_only=True):
    """[monolith]: the big program and everything that it is given."""

    command: tuple[str, ...]
    program: str
    use: tuple[Use, ...] = ()
    network: Network = Network()
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    pass_environment: tuple[str, ...] = ()
    memory: int | None = None


class Conclave(_Part, frozen=True, kw_only=True):
    """[conclave.NAME]: exclaves that are launched, suspended and stopped together for one host domain."""

    name: str
    members: tuple[str, ...]
    host: str = MONOLITH


class Region(_Part, frozen=True, kw_only=True):
    """[region.NAME]: frames mapped by its owner and its sharers; size in bytes, a multiple of the page."""

    name: str
    size: int
    type: RegionType
    owner: str
    shared: tuple[str, ...] = ()


class Notification(_Part, frozen=True, kw_only=True):
    """[notification.NAME]: the badge bit of signal[i] is 1 << i."""

    name: str
    signal: tuple[str, ...]
    wait: str


class Only(_Part, frozen=True, kw_only=True):
    """[[only]]: a claim that nobody but `sources`, and its owner, can ever reach `reach`."""

    sources: tuple[str, ...]
    reach: str


class Never(_Part, frozen=True, kw_only=True):
    """[[never]]: a claim that `source` can never reach `reach`."""

    source: str
    reach: str


class Description(_Part, frozen=True, kw_only=True):
    """A whole system description.

    `file` and `directory` are real paths; `digest` is the SHA-256 of the file as it was read.
    """

    file: str
    directory: str
    digest: bytes
    system: System
    monolith: Monolith
    exclaves: dict[str, Exclave] = {}
    drivers: dict[str, Driver] = {}
    conclaves: dict[str, Conclave] = {}
    regions: dict[str, Region] = {}
    notifications: dict[str, Notification] = {}
    never: tuple[Never, ...] = ()
    only: tuple[Only, ...] = ()

    @property
    def components(self) -> dict[str, Exclave]:
        """The exclaves, then the drivers, each in the order of the file."""
        return {**self.exclaves, **self.drivers}

    @property
    def domains(self) -> tuple[str, ...]:
        """The names of all domains: the components, then the monolith."""
        return (*self.exclaves, *self.drivers, MONOLITH)

    @property
    def lock(self) -> str:
        """The path of the lock file that belongs to this description."""
        return str(PurePath(self.file).with_suffix(".lock"))

    def uses(self, domain: str) -> tuple[Use, ...]:
        """Return the endpoint capabilities of a domain.

        Raises:
            KeyError: there is no such domain (the caller's fault).
        """
        if domain == MONOLITH:
            return self.monolith.use
        return (self.exclaves.get(domain) or self.drivers[domain]).use

    def table(self, domain: str) -> tuple[str, ...]:
        """Return the key path of a domain's table, as in ("exclave", "signer")."""
        if domain == MONOLITH:
            return (MONOLITH,)
        return ("driver" if domain in self.drivers else "exclave", domain)
