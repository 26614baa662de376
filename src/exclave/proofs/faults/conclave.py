"""Faults in conclaves.

Trust: outside.
Purpose: single mistakes, each of which some theorem must notice.
"""

from __future__ import annotations

from exclave.proofs.faults.fault import Fault, fault

CONCLAVE: tuple[Fault, ...] = (
    fault(
        "attach_conclave: attached again",
        "conclave.attach_conclave",
        "b.cstate != CONCLAVE_NONE or ",
        "b.cstate == CONCLAVE_STOPPED or ",
    ),
    fault("attach_conclave: no host", "conclave.attach_conclave", "    b.dom = x\n", ""),
    fault(
        "add_member: after the seal",
        "conclave.add_member",
        "    if s.boot.stage != STAGE_OPEN:\n        return ILLEGAL_OPERATION\n",
        "",
    ),
    fault("add_member: monolith", "conclave.add_member", "n.kind == MONOLITH or ", ""),
    fault("add_member: second conclave", "conclave.add_member", " or n.member != 0", ""),
    fault("add_member: the host", "conclave.add_member", " or b.dom == x", ""),
    fault(
        "launch_conclave: before the seal", "conclave.launch_conclave", "s.boot.stage != STAGE_SEALED or ", ""
    ),
    fault(
        "launch_conclave: host is gone", "conclave.launch_conclave", " or s.doms[b.dom].life != b.dlife", ""
    ),
    fault(
        "launch_conclave: launched again",
        "conclave.launch_conclave",
        " or b.cstate != CONCLAVE_ATTACHED",
        " or b.cstate == CONCLAVE_NONE",
    ),
    fault("launch_conclave: not counted", "conclave.launch_conclave", "    b.launch = b.launch + 1\n", ""),
    fault("suspend_conclave: in a transition", "conclave.suspend_conclave", "b.busy != REQUEST_NONE or ", ""),
    fault("suspend_conclave: disarms a stop", "conclave.suspend_conclave", " or b.armed == REQUEST_STOP", ""),
    fault(
        "suspend_conclave: WRITE not needed", "conclave.suspend_conclave", "CONCLAVE, WRITE", "CONCLAVE, 0"
    ),
    fault(
        "resume_conclave: from STOPPED", "conclave.resume_conclave", "b.cstate == CONCLAVE_STOPPED or ", ""
    ),
    fault(
        "resume_conclave: another effect",
        "conclave.resume_conclave",
        "EFFECT_RESUME_CONCLAVE, c",
        "EFFECT_LAUNCH_CONCLAVE, c",
    ),
    fault(
        "stop_conclave: no transition",
        "conclave.stop_conclave",
        "    b.cstate = CONCLAVE_STOPPED\n    b.busy = REQUEST_STOP\n",
        "    b.cstate = CONCLAVE_STOPPED\n",
    ),
    fault(
        "stop_conclave: arms when ATTACHED",
        "conclave.stop_conclave",
        "b.busy != REQUEST_NONE:",
        "b.busy != REQUEST_NONE or b.cstate == CONCLAVE_ATTACHED:",
    ),
    fault(
        "conclave_done: armed suspend forgotten",
        "conclave.conclave_done",
        "request == REQUEST_SUSPEND and b.cstate == CONCLAVE_RUNNING",
        "request == REQUEST_LAUNCH",
    ),
    fault("conclave_done: armed request stays", "conclave.conclave_done", "    b.armed = REQUEST_NONE\n", ""),
    fault(
        "conclave_done: suspends what is stopped",
        "conclave.conclave_done",
        "request == REQUEST_SUSPEND and b.cstate == CONCLAVE_RUNNING",
        "request == REQUEST_SUSPEND",
    ),
    fault("detach_conclave: in a transition", "conclave.detach_conclave", "b.busy != REQUEST_NONE or ", ""),
    fault(
        "detach_conclave: running",
        "conclave.detach_conclave",
        " and b.cstate != CONCLAVE_STOPPED",
        " and b.cstate == CONCLAVE_NONE",
    ),
    fault("detach_conclave: still armed", "conclave.detach_conclave", "    b.armed = REQUEST_NONE\n", ""),
)
