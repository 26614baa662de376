"""Faults in objects.

Trust: outside.
Purpose: single mistakes, each of which some theorem must notice.
"""

from __future__ import annotations

from exclave.proofs.faults.fault import Fault, fault

OBJECTS: tuple[Fault, ...] = (
    fault("object_free: mapped leftovers", "objects.object_free", " and b.mapcount == 0", ""),
    fault(
        "object_free: objects of the present incarnation",
        "objects.object_free",
        "b.ogen != s.doms[q].gen",
        "b.ogen == s.doms[q].gen",
    ),
    fault("put_object: generation stays", "objects.put_object", "    b.gen = b.gen + 1\n", ""),
    fault("put_object: type of the place's past", "objects.put_object", "    b.ftype = TYPE_FREE\n", ""),
    fault(
        "put_object: transition of the place's past", "objects.put_object", "    b.busy = REQUEST_NONE\n", ""
    ),
    fault(
        "create_object: conclaves for everybody",
        "objects.create_object",
        "    if kind == CONCLAVE and d != 0:\n        return ILLEGAL_OPERATION\n",
        "",
    ),
    fault("create_object: domains", "objects.create_object", "and kind != CONCLAVE:", "and kind != DOMAIN:"),
    fault(
        "create_object: latch ignored",
        "objects.create_object",
        "    if (s.boot.latches & LATCH_OBJECTS) != 0:\n        return ILLEGAL_OPERATION\n",
        "",
    ),
    fault("create_object: negative index", "objects.create_object", "not 0 <= i < s.nobj", "not i < s.nobj"),
    fault(
        "create_object: unknown kind",
        "objects.create_object",
        "kind != ENDPOINT and kind != NOTIFICATION and kind != CONCLAVE",
        "kind == OBJECT_FREE",
    ),
    fault("destroy: mapped frame", "objects.destroy", "b.mapcount != 0 or ", ""),
    fault("destroy: attached conclave", "objects.destroy", " or b.cstate != CONCLAVE_NONE", ""),
    fault("destroy: derived capability", "objects.destroy", "c.depth != 0 or ", ""),
    fault("destroy: domain object", "objects.destroy", " or b.kind == DOMAIN", ""),
    fault("destroy: generation stays", "objects.destroy", "    b.gen = b.gen + 1\n", ""),
    fault("destroy: generation goes back", "objects.destroy", "b.gen + 1", "b.gen - 1"),
    fault(
        "destroy: effect of another object",
        "objects.destroy",
        "EFFECT_CUT, c.oq, c.oi",
        "EFFECT_CUT, c.oi, c.oq",
    ),
    fault("destroy: slot stays used", "objects.destroy", "    c.used = 0\n", ""),
    fault("reclaim_object: for everybody", "objects.reclaim_object", " or d != 0", ""),
    fault("reclaim_object: living creator", "objects.reclaim_object", " or b.ogen == s.doms[q].gen", ""),
    fault(
        "reclaim_object: mapped frame",
        "objects.reclaim_object",
        "    if b.mapcount != 0:\n        return REVOKE_FIRST\n",
        "",
    ),
)
