"""History: what only grows, what happens once, and in which order things happen.

Trust: reviewed.
Purpose: theorems about two states, one step apart, on the boot, latches, lives, frame types and conclaves.
"""

from __future__ import annotations

from exclave.abi.types import (
    CONCLAVE,
    CONCLAVE_ATTACHED,
    CONCLAVE_NONE,
    CONCLAVE_RUNNING,
    CONCLAVE_STOPPED,
    CONCLAVE_SUSPENDED,
    DOMAIN_CREATED,
    DOMAIN_FREE,
    DOMAIN_RUNNING,
    DOMAIN_STOPPED,
    DOMAIN_SUSPENDED,
    EXCLAVE,
    FRAME,
    LATCH_DOMAINS,
    LATCH_OBJECTS,
    LATCH_RETYPE,
    NOTIFICATION,
    OBJECT_FREE,
    REQUEST_NONE,
    REQUEST_STOP,
    REQUEST_SUSPEND,
    STAGE_OPEN,
    STAGE_SEALED,
    TYPE_FREE,
)
from exclave.proofs.spec.step import Step


def incarnations_grow(step: Step, x: int) -> bool:
    """A domain's incarnation and life never go back, and the end of a life ends an incarnation."""
    p, q = step.before.doms[x], step.after.doms[x]
    return p.gen <= q.gen and p.life <= q.life and (p.life == q.life or p.gen < q.gen)


def generations_grow(step: Step, q: int, i: int) -> bool:
    """An object's generation and its number of launches never go back."""
    a, b = step.before.objs[q][i], step.after.objs[q][i]
    return a.gen <= b.gen and a.launch <= b.launch


def epochs_grow(step: Step, d: int, t: int) -> bool:
    """A slot's epoch never goes back."""
    return step.before.caps[d][t].epoch <= step.after.caps[d][t].epoch


def another_object_is_another_generation(step: Step, q: int, i: int) -> bool:
    """An object's kind never changes within a generation."""
    a, b = step.before.objs[q][i], step.after.objs[q][i]
    return a.kind == b.kind or a.gen < b.gen


def stage_never_goes_back(step: Step) -> bool:
    """The seal is never undone."""
    return step.before.boot.stage <= step.after.boot.stage


def measurement_is_extended_before_seal(step: Step) -> bool:
    """The measurement changes only before the seal, to the hash of itself and the argument."""
    a, b = step.before.boot, step.after.boot
    if a.measurement == b.measurement and a.count == b.count:
        return not step.is_("extend_measurement") or not step.accepted
    if not step.is_("extend_measurement") or a.stage != STAGE_OPEN or b.count != a.count + 1:
        return False
    return b.measurement == step.before.h(a.measurement, step.arguments["x"])


def latches_are_one_way(step: Step) -> bool:
    """A latch that is set stays set."""
    a, b = step.before.boot, step.after.boot
    return (a.latches | b.latches) == b.latches


def lock_down_sets_latches(step: Step) -> bool:
    """An accepted lock_down sets exactly the latches that it names."""
    a, b = step.before.boot, step.after.boot
    if not step.is_("lock_down") or not step.accepted:
        return a.latches == b.latches
    return b.latches == (a.latches | step.arguments["latches"])


def latched_domains_are_refused(step: Step, x: int) -> bool:
    """With the latch on domains set no row gets a domain."""
    if (step.before.boot.latches & LATCH_DOMAINS) == 0 or step.before.doms[x].state != DOMAIN_FREE:
        return True
    return step.after.doms[x].state == DOMAIN_FREE


def latched_objects_are_refused(step: Step, q: int, i: int) -> bool:
    """With the latch on objects set no object is created, but for those that name domains."""
    if (step.before.boot.latches & LATCH_OBJECTS) == 0 or step.is_("create_domain"):
        return True
    a, b = step.before.objs[q][i], step.after.objs[q][i]
    return b.kind == a.kind or b.kind == OBJECT_FREE


def latched_types_stay(step: Step, q: int, i: int) -> bool:
    """With the latch on retyping set a frame keeps its type as long as it exists."""
    a, b = step.before.objs[q][i], step.after.objs[q][i]
    if (step.before.boot.latches & LATCH_RETYPE) == 0 or a.kind != FRAME or b.kind != FRAME:
        return True
    return a.ftype == b.ftype or a.ogen != b.ogen


def no_exclave_after_seal(step: Step, x: int) -> bool:
    """No exclave is added after the seal."""
    y = step.after.doms[x]
    if step.before.boot.stage == STAGE_OPEN or y.kind != EXCLAVE or y.state == DOMAIN_FREE:
        return True
    return step.before.doms[x].kind == EXCLAVE and step.before.doms[x].state != DOMAIN_FREE


def kind_is_for_life(step: Step, x: int) -> bool:
    """A domain keeps its kind and its conclave for its whole life."""
    p, q = step.before.doms[x], step.after.doms[x]
    if p.state == DOMAIN_FREE or q.state == DOMAIN_FREE:
        return True
    if p.kind != q.kind or p.control != q.control:
        return False
    return p.member == 0 or (p.member == q.member and p.conclave == q.conclave and p.cgen == q.cgen)


def member_joins_before_seal(step: Step, x: int) -> bool:
    """A domain joins a conclave only before the seal and before it was ever started."""
    p, q = step.before.doms[x], step.after.doms[x]
    if p.member == q.member or q.member == 0:
        return True
    return step.before.boot.stage == STAGE_OPEN and p.state == DOMAIN_CREATED


def domain_life_cycle(step: Step, x: int) -> bool:
    """A domain moves only along its states, and leaves a running one for STOPPED or FREE only by the end of
    its incarnation."""
    p, q = step.before.doms[x], step.after.doms[x]
    if p.state == q.state:
        return p.gen == q.gen
    if q.state == DOMAIN_FREE:
        return p.life < q.life
    if p.state == DOMAIN_FREE:
        return q.state == DOMAIN_CREATED and q.member == 0 and q.handler == 0
    if q.state == DOMAIN_STOPPED:
        return p.gen < q.gen and (p.state == DOMAIN_RUNNING or p.state == DOMAIN_SUSPENDED)
    if q.state == DOMAIN_SUSPENDED:
        return p.gen == q.gen and p.state == DOMAIN_RUNNING
    return q.state == DOMAIN_RUNNING and p.gen == q.gen


def started_after_seal(step: Step, x: int) -> bool:
    """A domain comes to run only after the seal, and a member only while its conclave runs, under its latest
    launch."""
    p, q = step.before.doms[x], step.after.doms[x]
    if p.state == DOMAIN_RUNNING or q.state != DOMAIN_RUNNING:
        return True
    if step.before.boot.stage != STAGE_SEALED:
        return False
    if q.member == 0:
        return True
    b = step.after.objs[0][q.conclave]
    return b.gen == q.cgen and b.cstate == CONCLAVE_RUNNING and q.launch == b.launch


def type_changes_through_free(step: Step, q: int, i: int) -> bool:
    """A frame changes its type only from or to FREE, unmapped, and by ending its generation."""
    a, b = step.before.objs[q][i], step.after.objs[q][i]
    if a.kind != FRAME or b.kind != FRAME or a.ftype == b.ftype:
        return True
    if a.mapcount != 0 or a.gen == b.gen:
        return False
    return a.ftype == TYPE_FREE or b.ftype == TYPE_FREE


def frame_keeps_owner(step: Step, q: int, i: int) -> bool:
    """A frame keeps its owner as long as it exists."""
    a, b = step.before.objs[q][i], step.after.objs[q][i]
    if a.kind != FRAME or b.kind != FRAME or a.ogen != b.ogen or step.is_("create_frame"):
        return True
    return a.dom == b.dom and a.dlife == b.dlife


def object_ends_unused(step: Step, q: int, i: int) -> bool:
    """An object ends only when it is not mapped, and a conclave is destroyed only while it has no host."""
    a, b = step.before.objs[q][i], step.after.objs[q][i]
    if a.gen == b.gen or step.is_("retype"):
        return True
    if a.mapcount != 0:
        return False
    return not step.is_("destroy") or a.kind != CONCLAVE or a.cstate == CONCLAVE_NONE


def conclave_machine(step: Step, q: int, i: int) -> bool:
    """A conclave moves only NONE-ATTACHED-RUNNING-SUSPENDED-STOPPED-NONE, back from SUSPENDED to RUNNING,
    and to STOPPED from everywhere but NONE."""
    a, b = step.before.objs[q][i], step.after.objs[q][i]
    if a.kind != CONCLAVE or b.kind != CONCLAVE or a.gen != b.gen or a.cstate == b.cstate:
        return True
    if b.cstate == CONCLAVE_STOPPED:
        return a.cstate != CONCLAVE_NONE
    if b.cstate == CONCLAVE_NONE:
        return a.cstate == CONCLAVE_ATTACHED or a.cstate == CONCLAVE_STOPPED
    if b.cstate == CONCLAVE_ATTACHED:
        return a.cstate == CONCLAVE_NONE
    if b.cstate == CONCLAVE_RUNNING:
        return a.cstate == CONCLAVE_ATTACHED or a.cstate == CONCLAVE_SUSPENDED
    return b.cstate == CONCLAVE_SUSPENDED and a.cstate == CONCLAVE_RUNNING


def conclave_transition_ends_first(step: Step, q: int, i: int) -> bool:
    """While a transition is in progress a conclave keeps state and host until the nucleus reports its end."""
    a, b = step.before.objs[q][i], step.after.objs[q][i]
    if a.kind != CONCLAVE or a.gen != b.gen or a.busy == REQUEST_NONE or step.is_("conclave_done"):
        return True
    return a.cstate == b.cstate and a.busy == b.busy and a.dom == b.dom and a.dlife == b.dlife


def launch_is_counted(step: Step, q: int, i: int) -> bool:
    """The number of launches grows exactly when, after the seal, a conclave of a living host goes from
    ATTACHED to RUNNING."""
    a, b = step.before.objs[q][i], step.after.objs[q][i]
    if a.kind != CONCLAVE or b.kind != CONCLAVE or a.cstate != CONCLAVE_ATTACHED:
        return a.launch == b.launch
    if b.cstate != CONCLAVE_RUNNING:
        return a.launch == b.launch
    if step.before.boot.stage != STAGE_SEALED:
        return False
    return b.launch == a.launch + 1 and step.before.doms[a.dom].life == a.dlife


def host_stays_while_attached(step: Step, q: int, i: int) -> bool:
    """A conclave keeps its host from the attachment to the detachment."""
    a, b = step.before.objs[q][i], step.after.objs[q][i]
    if a.kind != CONCLAVE or a.gen != b.gen or a.cstate == CONCLAVE_NONE or b.cstate == CONCLAVE_NONE:
        return True
    return a.dom == b.dom and a.dlife == b.dlife


def stop_is_final(step: Step, q: int, i: int) -> bool:
    """An armed stop is neither disarmed nor replaced before it begins."""
    a, b = step.before.objs[q][i], step.after.objs[q][i]
    if a.kind != CONCLAVE or a.gen != b.gen or a.armed != REQUEST_STOP or b.armed == REQUEST_STOP:
        return True
    return b.cstate == CONCLAVE_STOPPED


def host_is_not_member(step: Step, x: int) -> bool:
    """Nobody joins the conclave whose host it is."""
    p, q = step.before.doms[x], step.after.doms[x]
    if p.member == q.member or q.member == 0:
        return True
    b = step.after.objs[0][q.conclave]
    return b.cstate == CONCLAVE_NONE or (b.cstate == CONCLAVE_ATTACHED and b.dom != x)


def suspension_stops_members(step: Step, q: int, i: int) -> bool:
    """A conclave that is armed to suspend does so when its transition ends."""
    a, b = step.before.objs[q][i], step.after.objs[q][i]
    if not step.is_("conclave_done") or not step.accepted or a.kind != CONCLAVE or a.busy == b.busy:
        return True
    if a.armed != REQUEST_SUSPEND or a.cstate != CONCLAVE_RUNNING:
        return True
    return b.cstate == CONCLAVE_SUSPENDED


def word_of_notification_only(step: Step, q: int, i: int) -> bool:
    """Only a notification has its word changed after its creation."""
    a, b = step.before.objs[q][i], step.after.objs[q][i]
    return a.word == b.word or a.gen != b.gen or a.kind == NOTIFICATION
