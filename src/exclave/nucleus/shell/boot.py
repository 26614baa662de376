"""Trust: reviewed.

Boot: from a checked description to a running system, in stages that only go forward.

Rules:
 1. measure -> create everything and extend the measurement -> seal -> exclaves -> monolith last.
 2. Any failure before the monolith runs ends the boot with nothing left running.
 3. A secret is handed over only after the domain was seen, from outside, to be confined.
"""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import Final

from exclave.abi import control, refusal
from exclave.abi.rights import WRITE
from exclave.nucleus.shell import filters, pins, provision
from exclave.nucleus.shell.dispatch import NucleusBug
from exclave.nucleus.shell.distribution import distribute
from exclave.nucleus.shell.measure import Measured, MeasureError, measure
from exclave.nucleus.shell.member import Member, Stage
from exclave.nucleus.shell.nucleus import Nucleus, Options, Say
from exclave.nucleus.shell.output import Output
from exclave.nucleus.shell.places import state_directory
from exclave.nucleus.shell.plan import Plan
from exclave.nucleus.shell.plans import exclave_plan, shared_binds
from exclave.nucleus.shell.prefix import measure_binds
from exclave.nucleus.shell.spawn import SpawnFailed, spawn, verify_confined
from exclave.nucleus.shell.tier import Host
from exclave.system.description import MONOLITH, Description

STAGE_SECONDS: Final = 60.0
HAND_OVER_SECONDS: Final = 10.0


class BootError(Exception):
    """The system could not be brought up; names the domain, the stage and the cause."""


def boot(description: Description, host: Host, options: Options, say: Say) -> Nucleus:
    """Bring a system up to where only its monolith is missing.

    Args:
        description: checked by system.check.
        host: at the tier to run in.
        options: the operator's choices.
        say: tells the operator.

    Raises:
        BootError, PinError, SecretError: by whose fault, in its text. Nothing is left running.
    """
    for name, entry in description.components.items():
        for secret in entry.secrets:
            provision.find(description, name, secret, options.secrets)
    measured = measure_all(description, say)
    measurements = {"description": description.digest, "runtime": _measure_runtime()}
    measurements |= {name: entry.digest for name, entry in measured.items()}
    layout = distribute(description, measurements)
    try:
        nucleus = Nucleus(description, host, options, layout, say)
    except OSError as error:
        raise BootError(f"the nucleus cannot start: {error.strerror or error}") from None
    try:
        for step in layout.steps:
            nucleus.dispatcher.must(step.operation, *step.arguments, meaning=step.meaning)
        for name, entry in description.components.items():
            nucleus.members[name] = Member(entry, layout.domains[name], measured[name])
        for slot in layout.conclaves.values():
            nucleus.dispatcher.must("launch_conclave", slot)
        _enter_all(nucleus)
        _share_regions(nucleus)
        _begin_all(nucleus)
        for slot in layout.conclaves.values():
            nucleus.dispatcher.must("conclave_done", slot)
    except BaseException:
        nucleus.close()
        raise
    return nucleus


def measure_all(description: Description, say: Say) -> dict[str, Measured]:
    """Measure every component and compare with the pins.

    Raises:
        BootError: a component cannot be measured.
        PinError: its content is not what was pinned.
    """
    lock = Path(description.lock)
    pinned = pins.load(lock)
    result: dict[str, Measured] = {}
    for name, entry in description.components.items():
        try:
            result[name] = measure(Path(description.directory), entry.component.module, entry.packages)
        except MeasureError as error:
            raise BootError(f"{name}: {error}") from None
        if pinned is not None:
            pins.compare(lock, pinned, name, result[name].hashes())
    say("progress", f"measured {len(result)} components" + (", as pinned" if pinned else " (not pinned)"))
    return result


def _measure_runtime() -> bytes:
    """Measure the interpreter and exclave's own code, as every exclave sees them.

    Raises:
        BootError: a file of theirs cannot be read.
    """
    try:
        return measure_binds(shared_binds(), state_directory() / "measurements.json")
    except OSError as error:
        raise BootError(f"the interpreter cannot be measured: {error}") from None


def _enter_all(nucleus: Nucleus) -> None:
    """Spawn every member and wait until each is confined and waits for what it is given."""
    for member in nucleus.members.values():
        nucleus.dispatcher.must("start", nucleus.layout.control[member.name])
        spawn_member(nucleus, member)
    for member in nucleus.members.values():
        _await(nucleus, member, Stage.ENTERED, "confinement")
        assert member.process is not None
        try:
            verify_confined(member.process, exclave_plan_of(nucleus, member, -1, -1), nucleus.host)
        except SpawnFailed as error:
            raise BootError(explained(error)) from None
    nucleus.say("progress", f"{len(nucleus.members)} domains confined")


def explained(error: SpawnFailed) -> str:
    """What failed, and the fix."""
    return f"{error}\n  fix: {error.fix}" if error.fix else str(error)


def exclave_plan_of(nucleus: Nucleus, member: Member, output: int, null: int) -> Plan:
    """The plan of a member in this run."""
    directory = None if nucleus.host.namespaces else str(private_directory(nucleus, member.name))
    return exclave_plan(member.entry, member.measured, output, null, directory)


def private_directory(nucleus: Nucleus, name: str) -> Path:
    """Where a domain's files go in a tier without mount namespaces."""
    path = nucleus.options.domains / name
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def spawn_member(nucleus: Nucleus, member: Member) -> None:
    """Start a member's process and say what it is; it answers with Entered.

    Raises:
        BootError: its domain could not be made. Nothing is left of it.
    """
    if not nucleus.host.namespaces:
        # What an earlier incarnation left there is no part of this one.
        shutil.rmtree(private_directory(nucleus, member.name))
    reading, writing = os.pipe2(os.O_CLOEXEC)
    null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    try:
        plan = exclave_plan_of(nucleus, member, writing, null)
        member.process = spawn(plan, nucleus.host, nucleus.identities)
    except SpawnFailed as error:
        os.close(reading)
        raise BootError(explained(error)) from None
    finally:
        os.close(writing)
        os.close(null)
    member.output = Output(member.name, reading, lambda line: nucleus.say("output", line))
    _show_output(nucleus, member.output)
    for note in member.process.notes:
        nucleus.say("notice", f"{member.name}: {note}")
    nucleus.event("spawn", domain=member.name, pid=member.process.pid, uid=member.process.identity.uid)
    nucleus.attend(member)
    stages = filters.stages(plan, nucleus.host)
    component = str(member.entry.component)
    nucleus.tell(
        member,
        control.Configure(
            member.name, component, stages.get("import", b""), stages.get("serve", b""), member.entry.budget
        ),
    )


def _show_output(nucleus: Nucleus, output: Output) -> None:
    def read() -> None:
        if not output.read():
            nucleus.loop.forget(output.descriptor)
            output.close()

    nucleus.loop.watch(output.descriptor, read)


def _await(nucleus: Nucleus, member: Member, stage: Stage, what: str) -> None:
    """Serve the loop until the member reached the stage.

    Raises:
        BootError: it ended first, or took too long.
    """
    reached = nucleus.loop.run_until(lambda: member.stage in (stage, Stage.ENDED), STAGE_SECONDS)
    if member.stage is Stage.ENDED:
        raise BootError(f"{member.name} {member.reason}")
    if not reached:
        raise BootError(f"{member.name}: {what} took more than {STAGE_SECONDS:.0f} s")


def _share_regions(nucleus: Nucleus) -> None:
    """Map every region for the members that hold it: the owner first, then, sealed, the others."""
    for name, shared in nucleus.shared.regions.items():
        holders = (shared.region.owner, *shared.region.shared)
        for holder in holders:
            if holder == MONOLITH:
                continue
            member = nucleus.members[holder]
            writable = map_region(nucleus, holder, name)
            message = control.GiveRegion(name, shared.region.size, writable)
            nucleus.tell(member, message, (shared.descriptor(writable),))
            if not nucleus.loop.run_until(lambda: name in member.mapped, HAND_OVER_SECONDS):  # noqa: B023
                raise BootError(f'{holder} did not map the region "{name}"')
            if holder == shared.region.owner and shared.region.type == "SHARED_RO":
                shared.seal()


def map_region(nucleus: Nucleus, holder: str, name: str) -> bool:
    """Map a region for a domain in the core, if it is not mapped yet; return whether it may write.

    Raises:
        NucleusBug: the frame rules refuse what the description grants.
    """
    grant = nucleus.layout.regions[holder, name]
    region = nucleus.shared.regions[name].region
    writable = bool(grant.rights & WRITE)
    number = list(nucleus.shared.regions).index(name)
    row = nucleus.layout.domains[holder]
    if nucleus.dispatcher.state.maps[row][number].used:
        return writable
    code = nucleus.dispatcher.submit(row, "map_frame", grant.slot, number, int(writable))
    if code != refusal.OK:
        raise NucleusBug(f"{region.type} region {name} for {holder} was refused: {refusal.name(code)}")
    return writable


def _begin_all(nucleus: Nucleus) -> None:
    """Hand over and begin, callees before their callers, each wave in parallel."""
    waiting = dict(nucleus.members)
    while waiting:
        wave = [
            member
            for member in waiting.values()
            if not any(use.target in waiting for use in member.entry.use)
        ]
        for member in wave:
            del waiting[member.name]
            hand_over(nucleus, member)
        for member in wave:
            _await(nucleus, member, Stage.READY, "import and init")
            nucleus.say("progress", f"{member.name} serves {', '.join(member.methods) or 'nothing'}")


def hand_over(nucleus: Nucleus, member: Member) -> None:
    """Give a confined member its secrets, endpoints and notifications, and let it begin."""
    process = member.process
    assert process is not None
    process.control.settimeout(HAND_OVER_SECONDS)
    for secret in member.entry.secrets:
        source = provision.find(nucleus.description, member.name, secret, nucleus.options.secrets)
        size = provision.send_secret(process.control, secret, source)
        nucleus.event("secret", domain=member.name, secret=secret, size=size)
    process.control.setblocking(False)
    for use in member.entry.use:
        client, server = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        slot = nucleus.layout.uses[member.name, use.target].slot
        nucleus.tell(member, control.GiveEndpoint(use.target, use.rights), (client.fileno(),))
        client.close()
        target = nucleus.members[use.target]
        if target.stage is Stage.READY:
            nucleus.connect(member.name, target, slot, server, copied=False)
        else:
            server.close()
    for (holder, name), _ in nucleus.layout.notifications.items():
        if holder == member.name:
            shared = nucleus.shared.notifications[name]
            descriptors, badges = shared.ends(holder)
            waits = holder == shared.notification.wait
            nucleus.tell(member, control.GiveNotification(name, waits, badges), tuple(descriptors))
    nucleus.tell(member, control.Begin())
