"""Faults in domains, callers and faults.

Trust: outside.
Purpose: single mistakes, each of which some theorem must notice.
"""

from __future__ import annotations

from exclave.proofs.faults.fault import Fault, fault

DOMAIN: tuple[Fault, ...] = (
    fault("create_domain: for everybody", "domain.create_domain", " or d != 0", ""),
    fault("create_domain: nucleus's kind", "domain.create_domain", "MONOLITH <= kind", "1 <= kind"),
    fault(
        "create_domain: latch ignored",
        "domain.create_domain",
        "    if (s.boot.latches & LATCH_DOMAINS) != 0:\n        return ILLEGAL_OPERATION\n",
        "",
    ),
    fault(
        "create_domain: exclave after the seal",
        "domain.create_domain",
        ("    if kind == EXCLAVE and s.boot.stage != STAGE_OPEN:\n        return ILLEGAL_OPERATION\n"),
        "",
    ),
    fault("create_domain: taken row", "domain.create_domain", " or n.state != DOMAIN_FREE", ""),
    fault("create_domain: member of its row's past", "domain.create_domain", "    n.member = 0\n", ""),
    fault("create_domain: handler of its row's past", "domain.create_domain", "    n.handler = 0\n", ""),
    fault("create_domain: no life", "domain.create_domain", "    b.dlife = n.life\n", ""),
    fault(
        "start: before the seal",
        "domain.start",
        "    if s.boot.stage != STAGE_SEALED:\n        return ILLEGAL_OPERATION\n",
        "",
    ),
    fault("start: conclave not asked", "domain.start", " or not conclave_runs(s, x)", ""),
    fault(
        "start: launch not noted",
        "domain.start",
        "    if n.member != 0:\n        n.launch = s.objs[0][n.conclave].launch\n",
        "",
    ),
    fault(
        "start: suspended domain",
        "domain.start",
        "n.state != DOMAIN_CREATED and n.state != DOMAIN_STOPPED",
        "n.state == DOMAIN_FREE",
    ),
    fault("stop: incarnation goes on", "domain.stop", "    n.gen = n.gen + 1\n", ""),
    fault(
        "stop: a capability joins the next incarnation",
        "domain.stop",
        "n.gen = n.gen + 1\n",
        "n.gen = n.gen + 1\n    s.caps[x][0].dgen = n.gen\n",
    ),
    fault("stop: WRITE not needed", "domain.stop", "DOMAIN, WRITE", "DOMAIN, 0"),
    fault(
        "stop: never started",
        "domain.stop",
        (
            "    if n.state != DOMAIN_RUNNING and n.state != DOMAIN_SUSPENDED:\n"
            "        return ILLEGAL_OPERATION\n"
        ),
        "",
    ),
    fault(
        "stop: caller may not act",
        "domain.stop",
        "    if not acts(s, d):\n        return ILLEGAL_OPERATION\n",
        "    if not 0 <= d < s.ndom:\n        return ILLEGAL_OPERATION\n",
    ),
    fault(
        "suspend: stopped domain",
        "domain.suspend",
        "    if n.state != DOMAIN_RUNNING:\n        return ILLEGAL_OPERATION\n",
        "",
    ),
    fault("suspend: effect of a stop", "domain.suspend", "EFFECT_SUSPEND, x", "EFFECT_STOP, x"),
    fault(
        "resume: conclave not asked", "domain.resume", " or not conclave_runs(s, x) or not launched(s, x)", ""
    ),
    fault("kill: incarnation goes on", "domain.kill", "    n.gen = n.gen + 1\n", ""),
    fault("kill: life goes on", "domain.kill", "    n.life = n.life + 1\n", ""),
    fault("kill: object stays", "domain.kill", "    b.kind = OBJECT_FREE\n", ""),
    fault("kill: object's generation stays", "domain.kill", "    b.gen = b.gen + 1\n", ""),
    fault(
        "acts: suspended caller",
        "caller.acts",
        " and s.doms[d].state == DOMAIN_RUNNING",
        " and s.doms[d].state != 0",
    ),
    fault("acts: conclave not asked", "caller.acts", " and conclave_runs(s, d)", ""),
    fault("acts: former launch", "caller.acts", " and launched(s, d)", ""),
    fault("acts: negative caller", "caller.acts", "0 <= d < s.ndom", "d < s.ndom"),
    fault("emit: row of the nucleus", "effect.emit", "x = s.doms[d]", "x = s.doms[0]"),
    fault(
        "set_handler: WRITE on the endpoint's kind",
        "fault.set_handler",
        " or not allows(s, d, ep, ENDPOINT, WRITE)",
        "",
    ),
    fault("set_handler: newest generation", "fault.set_handler", "n.hgen = c.gen", "n.hgen = n.hgen"),
    fault(
        "report_fault: dropped without a handler",
        "fault.report_fault",
        "    n.state = DOMAIN_STOPPED\n    n.gen = n.gen + 1\n",
        "",
    ),
    fault("report_fault: dead handler", "fault.handler_live", "b.gen == n.hgen and ", ""),
    fault("report_fault: not recorded", "fault.report_fault", "    n.fault = code\n", ""),
    fault("report_fault: code too large", "fault.report_fault", "code <= 255", "code <= 256"),
)
