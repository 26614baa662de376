"""Faults in capabilities.

Trust: outside.
Purpose: single mistakes, each of which some theorem must notice.
"""

from __future__ import annotations

from exclave.proofs.faults.fault import Fault, fault

CAPABILITY: tuple[Fault, ...] = (
    fault("live: holder's incarnation ignored", "capability.live", " or c.dgen != s.doms[d].gen", ""),
    fault("live: object's generation ignored", "capability.live", " or c.gen != s.objs[c.oq][c.oi].gen", ""),
    fault("live: parent's epoch ignored", "capability.live", "p.epoch != c.pepoch or ", ""),
    fault("live: parent's incarnation ignored", "capability.live", " or p.dgen != s.doms[c.pd].gen", ""),
    fault("live: grandparent's epoch ignored", "capability.live", "g.epoch != p.pepoch or ", ""),
    fault("live: grandparent's incarnation ignored", "capability.live", " or g.dgen != s.doms[p.pd].gen", ""),
    fault("live: root's epoch ignored", "capability.live", "r.epoch == g.pepoch and ", ""),
    fault("live: root's incarnation ignored", "capability.live", " and r.dgen == s.doms[g.pd].gen", ""),
    fault("held: negative slots", "capability.held", "0 <= t < s.nslot", "t < s.nslot"),
    fault("held: one slot too many", "capability.held", "t < s.nslot", "t <= s.nslot"),
    fault("allows: kind ignored", "capability.allows", "s.objs[c.oq][c.oi].kind == kind and ", ""),
    fault("allows: rights ignored", "capability.allows", " and (c.rights & need) == need", ""),
    fault(
        "slot_free: live capabilities overwritten",
        "capability.slot_free",
        "c.used == 0 or ",
        "c.used != 0 or ",
    ),
    fault(
        "badge_fits: badge replaced",
        "capability.badge_fits",
        "c.badge == 0 or c.badge == badge",
        "c.badge == c.badge",
    ),
    fault("may_leave: unbadged callers", "capability.may_leave", " or badge != 0", " or badge == 0"),
    fault("may_leave: notifications forgotten", "capability.may_leave", " and b.kind != NOTIFICATION", ""),
    fault(
        "may_reach: private frames granted",
        "capability.may_reach",
        "b.ftype != TYPE_EXCLAVE_PRIVATE or ",
        "b.ftype == TYPE_EXCLAVE_PRIVATE or ",
    ),
    fault("may_reach: owner's former life", "capability.may_reach", " and b.dlife == s.doms[e].life", ""),
    fault("put_root: epoch stays", "capability.put_root", "\n    c.epoch = c.epoch + 1", ""),
    fault("put_root: badge of the slot's past", "capability.put_root", "    c.badge = 0\n", ""),
    fault(
        "put_root: former incarnation",
        "capability.put_root",
        "c.dgen = s.doms[d].gen",
        "c.dgen = s.doms[0].gen",
    ),
    fault("put_child: epoch stays", "capability.put_child", "\n    c.epoch = c.epoch + 1", ""),
    fault("put_child: depth stays", "capability.put_child", "c.depth = p.depth + 1", "c.depth = p.depth"),
    fault(
        "put_child: parent's present epoch forgotten",
        "capability.put_child",
        "c.pepoch = p.epoch",
        "c.pepoch = c.pepoch",
    ),
    fault(
        "put_child: object's newest generation", "capability.put_child", "c.gen = p.gen", "c.gen = p.gen + 1"
    ),
    fault("put_child: parent's rights", "capability.put_child", "c.rights = rights", "c.rights = p.rights"),
    fault(
        "mint: more rights than the source",
        "capability.mint",
        "    if (rights | c.rights) != c.rights:\n        return INVALID_CAPABILITY\n",
        "",
    ),
    fault(
        "mint: badge not checked",
        "capability.mint",
        "    if not badge_fits(s, d, src, badge):\n        return INVALID_ARGUMENT\n",
        "",
    ),
    fault("mint: too deep", "capability.mint", "c.depth >= MAX_DEPTH", "c.depth > MAX_DEPTH"),
    fault("mint: dead source", "capability.mint", "not held(s, d, src)", "not 0 <= src < s.nslot"),
    fault(
        "mint: taken slot",
        "capability.mint",
        "    if not slot_free(s, d, dst):\n        return DELETE_FIRST\n",
        "",
    ),
    fault("copy: one slot too many", "capability.copy", "dst < s.nslot", "dst <= s.nslot"),
    fault("copy: badge lost", "capability.copy", "c.rights, c.badge)", "c.rights, 0)"),
    fault("grant: GRANT not needed", "capability.grant", "(c.rights & GRANT) != GRANT or ", ""),
    fault(
        "grant: control of the target not needed", "capability.grant", "DOMAIN, WRITE_GRANT", "DOMAIN, WRITE"
    ),
    fault(
        "grant: latch ignored",
        "capability.grant",
        "    if (s.boot.latches & LATCH_GRANTS) != 0:\n        return ILLEGAL_OPERATION\n",
        "",
    ),
    fault(
        "grant: private frames",
        "capability.grant",
        "    if not may_reach(s, d, src, e):\n        return ILLEGAL_OPERATION\n",
        "",
    ),
    fault(
        "grant: caller's slot is looked at",
        "capability.grant",
        "slot_free(s, e, dst)",
        "slot_free(s, d, dst)",
    ),
    fault(
        "grant: effect names the caller", "capability.grant", "EFFECT_GRANT, e, dst", "EFFECT_GRANT, d, dst"
    ),
    fault("delete: epoch stays", "capability.delete", "    c.epoch = c.epoch + 1\n", ""),
    fault(
        "delete: root capability",
        "capability.delete",
        "    if c.depth == 0 and live(s, d, t):\n        return ILLEGAL_OPERATION\n",
        "",
    ),
    fault("delete: slot stays used", "capability.delete", "    c.used = 0\n", ""),
    fault("revoke: epoch stays", "capability.revoke", "    c.epoch = c.epoch + 1\n", ""),
    fault("revoke: epoch goes back", "capability.revoke", "c.epoch + 1", "c.epoch - 1"),
    fault("revoke: no effect", "capability.revoke", "    emit(s, d, EFFECT_CUT, c.oq, c.oi, 0)\n", ""),
)
