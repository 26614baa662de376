"""What is true of every state of the core.

Each predicate is about one row of one table; `broken` tries all rows of a concrete state. A
predicate returns early where it has nothing to say, and concludes in its last line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

from exclave.abi.rights import ALL, WRITE
from exclave.abi.types import (
    CONCLAVE,
    CONCLAVE_ATTACHED,
    CONCLAVE_NONE,
    CONCLAVE_RUNNING,
    CONCLAVE_STOPPED,
    CONCLAVE_SUSPENDED,
    DOMAIN,
    DOMAIN_CREATED,
    DOMAIN_FREE,
    DOMAIN_RUNNING,
    DOMAIN_STOPPED,
    DRIVER,
    ENDPOINT,
    EXCLAVE,
    FRAME,
    LATCH_ALL,
    MAX_DEPTH,
    MONOLITH,
    NOTIFICATION,
    NUCLEUS,
    OBJECT_FREE,
    REQUEST_LAUNCH,
    REQUEST_NONE,
    REQUEST_RESUME,
    REQUEST_STOP,
    REQUEST_SUSPEND,
    STAGE_OPEN,
    STAGE_SEALED,
    TYPE_EXCLAVE_PRIVATE,
    TYPE_FREE,
    TYPE_MONOLITH,
    TYPE_SHARED_RO,
    TYPE_SHARED_RW,
    WORD_MAX,
)
from exclave.nucleus.core.capability import live
from exclave.nucleus.core.effect import EFFECT_NONE, EFFECT_STOP_CONCLAVE
from exclave.nucleus.core.state import State


def dom_ranges(s: State, d: int) -> bool:
    x = s.doms[d]
    if not EFFECT_NONE <= x.effect <= EFFECT_STOP_CONCLAVE or not 0 <= x.word <= WORD_MAX:
        return False
    if not 0 <= x.control < s.nobj or not 0 <= x.conclave < s.nobj:
        return False
    if not 0 <= x.hq < s.ndom or not 0 <= x.hi < s.nobj:
        return False
    return DOMAIN_FREE <= x.state <= DOMAIN_STOPPED and 0 <= x.life <= x.gen and 0 <= x.fault <= 255


def dom_nucleus(s: State, d: int) -> bool:
    x = s.doms[d]
    if d != 0:
        return x.kind != NUCLEUS
    return x.kind == NUCLEUS and x.state == DOMAIN_RUNNING and x.gen == 0 and x.member == 0


def dom_object(s: State, d: int) -> bool:
    x = s.doms[d]
    if d == 0 or x.state == DOMAIN_FREE:
        return True
    b = s.objs[0][x.control]
    return MONOLITH <= x.kind <= DRIVER and b.kind == DOMAIN and b.dom == d


def dom_waits_for_seal(s: State, d: int) -> bool:
    x = s.doms[d]
    if d == 0 or s.boot.stage == STAGE_SEALED:
        return True
    return x.state in (DOMAIN_FREE, DOMAIN_CREATED)


def dom_member(s: State, d: int) -> bool:
    x = s.doms[d]
    if x.member == 0 or x.state == DOMAIN_FREE:
        return True
    b = s.objs[0][x.conclave]
    return x.member == 1 and x.kind in (EXCLAVE, DRIVER) and x.cgen <= b.gen and 0 <= x.launch <= b.launch


def dom_handler(s: State, d: int) -> bool:
    x = s.doms[d]
    if x.handler == 0:
        return True
    b = s.objs[x.hq][x.hi]
    return x.handler == 1 and x.hgen <= b.gen and (x.hgen != b.gen or b.kind == ENDPOINT)


def obj_ranges(s: State, q: int, i: int) -> bool:
    b = s.objs[q][i]
    if not OBJECT_FREE <= b.kind <= CONCLAVE or min(b.gen, b.ogen, b.launch) < 0:
        return False
    return 0 <= b.word <= WORD_MAX and 0 <= b.dom < s.ndom and 0 <= b.dlife <= s.doms[b.dom].life


def obj_owner_alive(s: State, q: int, i: int) -> bool:
    b = s.objs[q][i]
    if b.kind != FRAME or b.dlife != s.doms[b.dom].life:
        return True
    return s.doms[b.dom].state != DOMAIN_FREE


def obj_creator(s: State, q: int, i: int) -> bool:
    b = s.objs[q][i]
    if b.kind == OBJECT_FREE:
        return True
    return b.ogen <= s.doms[q].gen and (s.doms[q].state != DOMAIN_FREE or b.ogen < s.doms[q].gen)


def obj_of_nucleus(s: State, q: int, i: int) -> bool:
    return q == 0 or s.objs[q][i].kind not in (DOMAIN, CONCLAVE)


def obj_domain(s: State, q: int, i: int) -> bool:
    b = s.objs[q][i]
    if b.kind != DOMAIN:
        return True
    x = s.doms[b.dom]
    return b.dom >= 1 and x.state != DOMAIN_FREE and x.control == i and x.life == b.dlife


def obj_frame(s: State, q: int, i: int) -> bool:
    b = s.objs[q][i]
    if b.kind != FRAME or b.ftype == TYPE_FREE:
        return b.mapcount == 0
    return TYPE_MONOLITH <= b.ftype <= TYPE_SHARED_RW and 0 <= b.mapcount <= s.nrmap


def obj_private_owner(s: State, q: int, i: int) -> bool:
    b = s.objs[q][i]
    if b.kind != FRAME or b.ftype != TYPE_EXCLAVE_PRIVATE or s.doms[b.dom].life != b.dlife:
        return True
    return s.doms[b.dom].kind == EXCLAVE and (q in (0, b.dom))


def obj_monolith_owner(s: State, q: int, i: int) -> bool:
    b = s.objs[q][i]
    if b.kind != FRAME or b.ftype != TYPE_MONOLITH or s.doms[b.dom].life != b.dlife:
        return True
    return s.doms[b.dom].kind == MONOLITH


def obj_conclave(s: State, q: int, i: int) -> bool:
    b = s.objs[q][i]
    if b.kind != CONCLAVE:
        return True
    if b.cstate != CONCLAVE_NONE and b.dom < 1:
        return False
    if b.busy == REQUEST_NONE:
        return CONCLAVE_NONE <= b.cstate <= CONCLAVE_STOPPED
    if b.cstate == CONCLAVE_RUNNING:
        return b.busy in (REQUEST_LAUNCH, REQUEST_RESUME)
    if b.cstate == CONCLAVE_SUSPENDED:
        return b.busy == REQUEST_SUSPEND
    return b.cstate == CONCLAVE_STOPPED and b.busy == REQUEST_STOP


def obj_armed(s: State, q: int, i: int) -> bool:
    b = s.objs[q][i]
    if b.kind != CONCLAVE or b.armed == REQUEST_NONE:
        return True
    if b.cstate == CONCLAVE_ATTACHED:
        return b.armed == REQUEST_SUSPEND
    return b.busy in (REQUEST_LAUNCH, REQUEST_SUSPEND, REQUEST_RESUME) and b.armed != REQUEST_LAUNCH


def cap_ranges(s: State, d: int, t: int) -> bool:
    c = s.caps[d][t]
    if not 0 <= c.oq < s.ndom or not 0 <= c.oi < s.nobj or not 0 <= c.badge <= WORD_MAX:
        return False
    if not 0 <= c.pd < s.ndom or not 0 <= c.ps < s.nslot:
        return False
    return c.used in (0, 1) and 0 <= c.depth <= MAX_DEPTH and (c.rights | ALL) == ALL


def cap_gens(s: State, d: int, t: int) -> bool:
    c = s.caps[d][t]
    if c.used == 0:
        return True
    if s.doms[d].state == DOMAIN_FREE and c.dgen == s.doms[d].gen:
        return False
    return c.gen <= s.objs[c.oq][c.oi].gen and c.dgen <= s.doms[d].gen


def cap_object(s: State, d: int, t: int) -> bool:
    c = s.caps[d][t]
    if c.used == 0 or c.gen != s.objs[c.oq][c.oi].gen:
        return True
    return s.objs[c.oq][c.oi].kind != OBJECT_FREE


def cap_parent(s: State, d: int, t: int) -> bool:
    c = s.caps[d][t]
    if c.used == 0 or c.depth == 0:
        return True
    return c.pepoch <= s.caps[c.pd][c.ps].epoch


def cap_derived(s: State, d: int, t: int) -> bool:
    c = s.caps[d][t]
    if c.used == 0 or c.depth == 0 or s.caps[c.pd][c.ps].epoch != c.pepoch:
        return True
    p = s.caps[c.pd][c.ps]
    if not (p.used == 1 and (p.oq, p.oi, p.gen) == (c.oq, c.oi, c.gen) and c.depth == p.depth + 1):
        return False
    return (c.rights | p.rights) == p.rights and (p.badge in (0, c.badge))


def cap_root(s: State, d: int, t: int) -> bool:
    c = s.caps[d][t]
    if c.used == 0 or c.depth != 0 or c.gen != s.objs[c.oq][c.oi].gen:
        return True
    return d == c.oq and c.dgen == s.objs[c.oq][c.oi].ogen


def cap_badged(s: State, d: int, t: int) -> bool:
    """Who did not create an endpoint or notification cannot choose the badge he speaks under."""
    if not live(s, d, t):
        return True
    c = s.caps[d][t]
    if s.objs[c.oq][c.oi].kind not in (ENDPOINT, NOTIFICATION) or (c.rights & WRITE) == 0:
        return True
    return d == c.oq or c.badge != 0


def cap_private(s: State, d: int, t: int) -> bool:
    """Nobody but its owner, and the nucleus, holds a private frame."""
    if not live(s, d, t):
        return True
    b = s.objs[s.caps[d][t].oq][s.caps[d][t].oi]
    if b.kind != FRAME or b.ftype != TYPE_EXCLAVE_PRIVATE or d == 0:
        return True
    return d == b.dom and b.dlife == s.doms[d].life and s.doms[d].kind == EXCLAVE


def map_ranges(s: State, d: int, v: int) -> bool:
    m = s.maps[d][v]
    return 0 <= m.oq < s.ndom and 0 <= m.oi < s.nobj and m.used in (0, 1) and m.writable in (0, 1)


def map_backed(s: State, d: int, v: int) -> bool:
    m = s.maps[d][v]
    if m.used == 0:
        return True
    b = s.objs[m.oq][m.oi]
    if b.kind != FRAME or b.ftype == TYPE_FREE or not 0 <= m.idx < b.mapcount:
        return False
    r = s.rmap[m.oq][m.oi][m.idx]
    return (r.d, r.v) == (d, v)


def map_gens(s: State, d: int, v: int) -> bool:
    m = s.maps[d][v]
    if m.used == 0:
        return True
    return m.dgen <= s.doms[d].gen and (s.doms[d].state != DOMAIN_FREE or m.dgen < s.doms[d].gen)


def map_types(s: State, d: int, v: int) -> bool:
    m = s.maps[d][v]
    if m.used == 0 or m.dgen != s.doms[d].gen:
        return True
    b = s.objs[m.oq][m.oi]
    mine = d == b.dom and b.dlife == s.doms[d].life
    if b.ftype == TYPE_EXCLAVE_PRIVATE:
        return mine and s.doms[d].kind == EXCLAVE
    if b.ftype == TYPE_MONOLITH:
        return s.doms[d].kind != EXCLAVE
    return b.ftype != TYPE_SHARED_RO or m.writable == 0 or mine


def rmap_ranges(s: State, q: int, i: int, k: int) -> bool:
    r = s.rmap[q][i][k]
    return 0 <= r.d < s.ndom and 0 <= r.v < s.nv


def rmap_backed(s: State, q: int, i: int, k: int) -> bool:
    if k >= s.objs[q][i].mapcount:
        return True
    r = s.rmap[q][i][k]
    m = s.maps[r.d][r.v]
    return m.used == 1 and (m.oq, m.oi, m.idx) == (q, i, k)


def boot_ranges(s: State) -> bool:
    return s.boot.stage in (STAGE_OPEN, STAGE_SEALED) and s.boot.count >= 0 and s.boot.latches <= LATCH_ALL


INVARIANTS: dict[str, tuple[Callable[..., bool], ...]] = {
    "doms": (dom_ranges, dom_nucleus, dom_object, dom_waits_for_seal, dom_member, dom_handler),
    "objs": (
        obj_ranges,
        obj_owner_alive,
        obj_creator,
        obj_of_nucleus,
        obj_domain,
        obj_frame,
        obj_private_owner,
        obj_monolith_owner,
        obj_conclave,
        obj_armed,
    ),
    "caps": (
        cap_ranges,
        cap_gens,
        cap_object,
        cap_parent,
        cap_derived,
        cap_root,
        cap_badged,
        cap_private,
    ),
    "maps": (map_ranges, map_backed, map_gens, map_types),
    "rmap": (rmap_ranges, rmap_backed),
    "boot": (boot_ranges,),
}


def keys(s: State, table: str) -> Iterator[tuple[int, ...]]:
    """Yield the index of every row of a table."""
    sizes = {
        "doms": (s.ndom,),
        "caps": (s.ndom, s.nslot),
        "objs": (s.ndom, s.nobj),
        "maps": (s.ndom, s.nv),
        "rmap": (s.ndom, s.nobj, s.nrmap),
        "boot": (),
    }
    return product(*(range(n) for n in sizes[table]))


def broken(s: State) -> list[str]:
    """Return the names and rows of the invariants that a state breaks."""
    return [
        f"{f.__name__}{key}"
        for table, predicates in INVARIANTS.items()
        for key in keys(s, table)
        for f in predicates
        if not f(s, *key)
    ]
