"""Trust: reviewed.

The nucleus at run time: one object that owns the core's dispatcher, the domains' processes and the
connections between them, and reacts to what happens.

Rules:
 1. Authority changes only through the dispatcher; the shell then makes Linux match the core, never the
    other way round.
 2. The nucleus is in no data path: it hands out sockets and keeps duplicates, it never reads a call.
"""

from __future__ import annotations

import contextlib
import functools
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from exclave.abi import control
from exclave.abi.exceptions import printable
from exclave.nucleus.core import effect as effects
from exclave.nucleus.shell.audit import Audit, AuditError
from exclave.nucleus.shell.connections import Connections
from exclave.nucleus.shell.dispatch import Dispatcher, Effect, NucleusBug
from exclave.nucleus.shell.distribution import Layout
from exclave.nucleus.shell.identity import Identities
from exclave.nucleus.shell.loop import Loop
from exclave.nucleus.shell.member import Member, Stage
from exclave.nucleus.shell.output import harmless_lines
from exclave.nucleus.shell.shared import Shared
from exclave.nucleus.shell.spawn import Process
from exclave.nucleus.shell.tier import Host
from exclave.system.description import Description

FAULT_ENDED: Final = 1
FAULT_PROTOCOL: Final = 2
FAULTS_LOGGED: Final = 100
RUNTIME_FAILED: Final = 125

Say = Callable[[str, str], None]
"""Tells the operator something: a level ("progress", "notice", "warning" or "output") and the text."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the operator chose for this run.

    Attributes:
        secrets: "EXCLAVE.SECRET" -> file or "-".
        environment: the operator's environment, of which the monolith gets what the description passes.
        directory: the run's own directory for sockets, mode 0700.
        domains: where the files of domains go in a tier without mount namespaces.
        log: file of the audit log.
    """

    secrets: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path = Path()
    domains: Path = Path()
    log: Path | None = None


class Nucleus:
    """A system from boot to end. Made by `boot.boot`, driven by `run`."""

    def __init__(
        self, description: Description, host: Host, options: Options, layout: Layout, say: Say
    ) -> None:
        self.description = description
        self.host = host
        self.options = options
        self.layout = layout
        self.say = say
        self.loop = Loop()
        self.audit = Audit(options.log)
        self.dispatcher = Dispatcher(layout.sizes, self.audit)
        self.connections = Connections(self.dispatcher)
        self.identities = Identities.reserve(host)
        self.shared = Shared(description)
        self.members: dict[str, Member] = {}
        self.monolith: Process | None = None
        self.exit_code: int | None = None
        # Told of each member that came further, or ended; the supervisor's.
        self.advanced: Callable[[Member], None] = lambda _member: None
        self.ended: Callable[[Member], None] = lambda _member: None

    def member_of(self, number: int) -> Member:
        """The member with that domain id."""
        return self.members[self.layout.name(number)]

    def event(self, kind: str, **fields: object) -> None:
        """Write something that happened to the audit log."""
        self.audit.write(kind, **fields)

    # What the core decided, made true.

    def perform(self, effect: Effect) -> None:
        """Do what an operation's effect says.

        Raises:
            NucleusBug: an effect that no operation of this system can have.
        """
        match effect.kind:
            case effects.EFFECT_NONE | effects.EFFECT_GRANT | effects.EFFECT_MAP | effects.EFFECT_SIGNAL:
                return
            case effects.EFFECT_STOP | effects.EFFECT_KILL:
                self._end(self.member_of(effect.a))
            case effects.EFFECT_CUT | effects.EFFECT_RETYPE | effects.EFFECT_UNMAP:
                self._sweep()
            case _:
                raise NucleusBug(f"nothing performs effect {effect}")

    def _sweep(self) -> None:
        for connection in self.connections.sweep():
            target = self.member_of(connection.target)
            if target.process is not None and target.stage is Stage.READY:
                self.tell(target, control.Withdraw(connection.number))

    def _end(self, member: Member) -> None:
        """End a member's process and everything that hangs on its incarnation."""
        process, member.process = member.process, None
        member.stage = Stage.ENDED
        if process is not None:
            self.loop.forget(process.control.fileno())
            self.loop.forget(process.pidfd)
            process.kill()
            process.wait()
            process.close()
        self.shared.end(member.name)
        for connection in self.connections:
            if member.number in (connection.holder, connection.target):
                self.connections.close(connection)
        self._sweep()

    # Messages to and from members.

    def tell(
        self, member: Member, message: control.ControlMessage, descriptors: tuple[int, ...] = ()
    ) -> None:
        """Send a control message; a member that does not read its messages is at fault and is stopped."""
        if member.process is None:
            return
        try:
            control.send(member.process.control, message, descriptors)
        except OSError as error:
            self.fault(member, FAULT_PROTOCOL, f"does not read its control messages: {error.strerror}")

    def attend(self, member: Member) -> None:
        """Watch a member's control socket and its end."""
        process = member.process
        assert process is not None
        process.control.setblocking(False)
        self.loop.watch(process.control.fileno(), functools.partial(self._heard, member))
        self.loop.watch(process.pidfd, lambda: self._died(member))

    def _heard(self, member: Member) -> bool:
        """Take one message of a member; False when there is none."""
        assert member.process is not None
        try:
            message, _ = control.receive(member.process.control)
        except BlockingIOError:
            return False
        except (EOFError, OSError):
            self._silent(member)
            return False
        match message:
            case control.Entered() if member.stage is Stage.CREATED:
                member.stage = Stage.ENTERED
                member.secret_memory = printable(message.secret_memory)
                self.advanced(member)
            case control.Mapped() if (member.name, message.name) in self.layout.regions:
                member.mapped.add(message.name)
            case control.Ready() if member.stage is Stage.ENTERED:
                member.stage = Stage.READY
                member.methods = tuple(map(printable, message.methods))
                self.event("ready", domain=member.name, methods=member.methods, digest=message.digest.hex())
                self.advanced(member)
            case control.Failed():
                member.detail = harmless_lines(message.text)
                reason = f"{printable(message.stage)} raised {printable(message.kind)}"
                self.fault(member, FAULT_ENDED, reason)
            case control.Dropped():
                self._dropped(member, message)
            case control.FaultReport():
                self._call_fault(member, message)
            case _:
                self.fault(member, FAULT_PROTOCOL, "sent something that is no control message at this point")
        return True

    def _silent(self, member: Member) -> None:
        """The control socket is closed: the process is ending, or closed it on itself."""
        process = member.process
        assert process is not None
        self.loop.forget(process.control.fileno())

        def still_there() -> None:
            if member.process is process:
                self.fault(member, FAULT_PROTOCOL, "closed its control socket")

        self.loop.later(0.5, still_there)

    def _died(self, member: Member) -> None:
        process = member.process
        # Why it ended may be the last thing that it said.
        while member.process is not None and self._heard(member):
            continue
        if process is not None and member.process is process:
            status = process.wait()
            reason = f"was killed by signal {-status}" if status < 0 else f"exited with {status}"
            self.fault(member, FAULT_ENDED, reason)

    def _dropped(self, member: Member, message: control.Dropped) -> None:
        connection = self.connections.get(message.connection)
        if connection is None or connection.target != member.number:
            return
        if message.reason != "closed":
            reason = printable(message.reason)
            self.event("dropped", domain=member.name, caller=connection.holder, reason=reason)
        self.connections.close(connection)

    def _call_fault(self, member: Member, message: control.FaultReport) -> None:
        member.faults += 1
        if member.faults > FAULTS_LOGGED:
            return
        method, kind = printable(message.method), printable(message.kind)
        self.event("call-fault", domain=member.name, method=method, fault=kind)
        last = " (later faults are counted, not shown)" if member.faults == FAULTS_LOGGED else ""
        detail = harmless_lines(message.text)
        self.say("warning", f"{member.name}: {method} raised {kind}{last}\n{detail}")

    def fault(self, member: Member, code: int, reason: str) -> None:
        """Report a member's fault to the core and do what it says: today every handler is the nucleus."""
        if member.stage is Stage.ENDED:
            return
        member.reason = reason
        self.event("fault", domain=member.name, code=code, reason=reason)
        self.say("warning", f"{member.name} {reason}" + (f"\n{member.detail}" if member.detail else ""))
        self.perform(self.dispatcher.must("report_fault", self.layout.control[member.name], code))
        self.ended(member)

    # Connections.

    def connect(self, holder: str, target: Member, slot: int, server: socket.socket, copied: bool) -> None:
        """Hand the server end of a connection to its exclave; badge and rights are the capability's."""
        row = self.layout.domains[holder]
        capability = self.dispatcher.state.caps[row][slot]
        connection = self.connections.add(row, slot, target.number, server, copied)
        admit = control.Admit(connection.number, holder, capability.badge, capability.rights)
        self.tell(target, admit, (server.fileno(),))

    def run(self) -> int:
        """Serve until the monolith has ended; return its exit code."""
        self.loop.run_until(lambda: self.exit_code is not None)
        assert self.exit_code is not None
        return self.exit_code

    def close(self) -> None:
        """End every domain and the log. No process is left afterwards."""
        for member in self.members.values():
            if member.process is not None:
                self._end(member)
            if member.output is not None:
                self.loop.forget(member.output.descriptor)
                member.output.close()
        if self.monolith is not None:
            self.monolith.kill()
            self.monolith.wait()
            self.monolith.close()
            self.monolith = None
        # The log may be why the system ends.
        with contextlib.suppress(AuditError):
            self.event("end", state=self.dispatcher.digest(), code=self.exit_code)
        self.audit.close()
        self.shared.close()
        self.identities.close()
        self.loop.close()
