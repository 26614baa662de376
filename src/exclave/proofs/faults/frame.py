"""Faults in frames.

Trust: outside.
Purpose: single mistakes, each of which some theorem must notice.
"""

from __future__ import annotations

from exclave.proofs.faults.fault import Fault, fault

FRAME: tuple[Fault, ...] = (
    fault(
        "may_type: owner's former life",
        "frame.may_type",
        "    if b.dlife != n.life:\n        return False\n",
        "",
    ),
    fault("may_type: private frame of a monolith", "frame.may_type", "n.kind == EXCLAVE and ", ""),
    fault(
        "may_type: monolith frame of an exclave",
        "frame.may_type",
        "to != TYPE_MONOLITH or n.kind == MONOLITH",
        "to != TYPE_FREE",
    ),
    fault("may_map: private frame", "frame.may_map", "return owned_by(s, q, i, d)", "return True"),
    fault(
        "may_map: monolith frame in an exclave",
        "frame.may_map",
        "return s.doms[d].kind != EXCLAVE",
        "return True",
    ),
    fault(
        "may_map: shared frame written by all",
        "frame.may_map",
        "b.ftype != TYPE_SHARED_RO or writable == 0 or owned_by(s, q, i, d)",
        "b.ftype != TYPE_FREE",
    ),
    fault("may_map: free frame", "frame.may_map", "    if b.ftype == TYPE_FREE:\n        return False\n", ""),
    fault("owned_by: former life", "frame.owned_by", " and b.dlife == s.doms[d].life", ""),
    fault("drop_map: moved entry not told", "frame.drop_map", "    s.maps[rd][rv].idx = k\n", ""),
    fault("drop_map: last entry not moved", "frame.drop_map", "    s.rmap[q][i][k].d = rd\n", ""),
    fault("drop_map: count stays", "frame.drop_map", "    s.objs[q][i].mapcount = last\n", ""),
    fault("drop_map: mapping stays", "frame.drop_map", "\n    m.used = 0", ""),
    fault(
        "create_frame: owner's life",
        "frame.create_frame",
        "b.dlife = s.doms[owner].life",
        "b.dlife = s.doms[owner].life + 1",
    ),
    fault("create_frame: READ not needed", "frame.create_frame", "DOMAIN, READ", "FRAME, READ"),
    fault(
        "create_frame: latch ignored",
        "frame.create_frame",
        "    if (s.boot.latches & LATCH_OBJECTS) != 0:\n        return ILLEGAL_OPERATION\n",
        "",
    ),
    fault("retype: not through FREE", "frame.retype", "(b.ftype != TYPE_FREE and to != TYPE_FREE) or ", ""),
    fault(
        "retype: mapped frame", "frame.retype", "    if b.mapcount != 0:\n        return REVOKE_FIRST\n", ""
    ),
    fault(
        "retype: latch ignored",
        "frame.retype",
        "    if (s.boot.latches & LATCH_RETYPE) != 0:\n        return ILLEGAL_OPERATION\n",
        "",
    ),
    fault("retype: generation stays", "frame.retype", "    b.gen = b.gen + 1\n", ""),
    fault(
        "retype: caller becomes the owner",
        "frame.retype",
        "    b.ftype = to\n",
        "    b.ftype = to\n    b.dom = d\n",
    ),
    fault("retype: derived capability", "frame.retype", "c.depth != 0 or ", ""),
    fault(
        "retype: owner not asked",
        "frame.retype",
        "    if not may_type(s, d, c.oq, c.oi, to):\n        return ILLEGAL_OPERATION\n",
        "",
    ),
    fault("retype: unknown type", "frame.retype", "to <= TYPE_SHARED_RW", "to <= TYPE_SHARED_RW + 1"),
    fault(
        "map_frame: writable without WRITE",
        "frame.map_frame",
        ("    if writable == 1 and (c.rights & WRITE) != WRITE:\n        return INVALID_CAPABILITY\n"),
        "",
    ),
    fault("map_frame: one entry too many", "frame.map_frame", "k >= s.nrmap", "k > s.nrmap"),
    fault(
        "map_frame: taken mapping",
        "frame.map_frame",
        "    if m.used != 0:\n        return DELETE_FIRST\n",
        "",
    ),
    fault("map_frame: wrong position", "frame.map_frame", "m.idx = k", "m.idx = k + 1"),
    fault(
        "map_frame: effect of another mapping",
        "frame.map_frame",
        "EFFECT_MAP, d, v, writable",
        "EFFECT_MAP, d, v, 0",
    ),
    fault("unmap_frame: negative index", "frame.unmap_frame", "not 0 <= v < s.nv", "not v < s.nv"),
    fault(
        "unmap_frame: nothing mapped",
        "frame.unmap_frame",
        "    if s.maps[d][v].used == 0:\n        return ILLEGAL_OPERATION\n",
        "",
    ),
    fault("evict: derived capability", "frame.evict", "c.depth != 0 or ", ""),
    fault("evict: entry out of use", "frame.evict", "k < s.objs[c.oq][c.oi].mapcount", "k < s.nrmap"),
    fault("reclaim_map: for everybody", "frame.reclaim_map", " or d != 0", ""),
    fault(
        "reclaim_map: living holder",
        "frame.reclaim_map",
        (
            "    if m.dgen == s.doms[e].gen and s.objs[m.oq][m.oi].ogen == s.doms[m.oq].gen:\n"
            "        return ILLEGAL_OPERATION\n"
        ),
        "",
    ),
)
