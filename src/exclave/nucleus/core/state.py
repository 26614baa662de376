"""The whole state of the nucleus: plain slotted records in plain lists.

Trust: proved.
Purpose: hold what the operations read and write; a table's `dims` name the fields that hold its sizes.
Rules:
1. Records hold integers only: `int`, `Bits` or `Word`.
2. Objects, slots and mappings are partitioned by domain: row d belongs to domain d.
3. Generations and epochs only grow, so nothing that died comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from exclave.abi.types import Bits, Word


@dataclass(slots=True)
class Dom:
    """A row of protection domains."""

    state: int = 0
    kind: int = 0
    gen: int = 0  # incarnation: grows when one ends (stop, kill)
    life: int = 0  # grows when the domain is killed: the row's next domain is another one
    control: int = 0  # index of its DOMAIN object in the nucleus's quota
    member: int = 0  # 1 when it belongs to the conclave `conclave` of generation `cgen`
    conclave: int = 0
    cgen: int = 0
    launch: int = 0  # which launch of the conclave this incarnation was started under
    handler: int = 0  # 1 when faults go to endpoint (hq, hi) of generation `hgen`
    hq: int = 0
    hi: int = 0
    hgen: int = 0
    fault: int = 0  # code of the last reported fault
    word: Word = 0  # what the last poll read
    effect: int = 0  # what the shell must do after the domain's last successful operation
    effect_a: int = 0
    effect_b: int = 0
    effect_c: int = 0


@dataclass(slots=True)
class Cap:
    """A slot: a capability with the place it was derived from."""

    used: int = 0
    oq: int = 0  # the object: quota domain and index
    oi: int = 0
    gen: int = 0  # the object's generation at derivation
    dgen: int = 0  # the holder's incarnation at derivation
    rights: Bits = 0
    badge: Word = 0
    depth: int = 0  # 0: root capability, held by the object's creator
    pd: int = 0  # parent slot, and its epoch at derivation
    ps: int = 0
    pepoch: int = 0
    epoch: int = 0  # grows with every overwrite, delete, revoke and retype


@dataclass(slots=True)
class Obj:
    """An object of any kind, charged to the domain in whose row it lies."""

    kind: int = 0
    gen: int = 0
    ogen: int = 0  # the creator's incarnation
    dom: int = 0  # DOMAIN: the domain; FRAME: its owner; CONCLAVE: its host
    dlife: int = 0  # and which life of that row is meant
    ftype: int = 0  # FRAME
    mapcount: int = 0  # FRAME: entries in use of its reverse map
    word: Word = 0  # NOTIFICATION: pending bits
    cstate: int = 0  # CONCLAVE: state, transition in progress, request waiting for its end
    busy: int = 0
    armed: int = 0
    launch: int = 0  # CONCLAVE: how often it was launched


@dataclass(slots=True)
class Map:
    """One mapping of a domain."""

    used: int = 0
    oq: int = 0
    oi: int = 0
    idx: int = 0  # its position in the frame's reverse map
    dgen: int = 0
    writable: int = 0


@dataclass(slots=True)
class Rmap:
    """One entry of a frame's reverse map: who maps it, and where."""

    d: int = 0
    v: int = 0


@dataclass(slots=True)
class Boot:
    """Boot stage, measurement and latches."""

    stage: int = 0
    measurement: int = 0
    count: int = 0
    latches: Bits = 0


@dataclass(slots=True)
class State:
    """Everything; `h` is the hash that extends the measurement."""

    ndom: int
    nslot: int
    nobj: int
    nv: int
    nrmap: int
    h: Callable[[int, int], int]
    doms: list[Dom] = field(default_factory=list, metadata={"dims": ("ndom",)})
    caps: list[list[Cap]] = field(default_factory=list, metadata={"dims": ("ndom", "nslot")})
    objs: list[list[Obj]] = field(default_factory=list, metadata={"dims": ("ndom", "nobj")})
    maps: list[list[Map]] = field(default_factory=list, metadata={"dims": ("ndom", "nv")})
    rmap: list[list[list[Rmap]]] = field(default_factory=list, metadata={"dims": ("ndom", "nobj", "nrmap")})
    boot: Boot = field(default_factory=Boot)
