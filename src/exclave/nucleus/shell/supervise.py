"""Trust: reviewed.

Supervision: an exclave that ended is started again, where its table says so, with what the description gives
it and nothing else.

Rules:
 1. A restart is the same identity and the same measured bytes in a new incarnation: every capability of the
    old one is dead, and granted anew by the operations that granted it at boot.
 2. Restarts back off, so that a component that cannot live costs little and says so.
 3. Nobody waits for a restart: the loop serves the others meanwhile.
"""

from __future__ import annotations

import functools
import socket
import time
from typing import Final

from exclave.abi import control
from exclave.nucleus.shell import boot
from exclave.nucleus.shell.boot import STAGE_SECONDS, BootError
from exclave.nucleus.shell.member import Member, Stage
from exclave.nucleus.shell.nucleus import FAULT_ENDED, Nucleus
from exclave.nucleus.shell.provision import STANDARD_INPUT, SecretError, find
from exclave.nucleus.shell.spawn import SpawnFailed, verify_confined

FIRST_DELAY: Final = 0.1
LONGEST_DELAY: Final = 30.0
STEADY_SECONDS: Final = 60.0
"""Who ran this long begins with the first delay again."""


class Supervisor:
    """Restarts the members of a booted system.

    Raises:
        BootError: a member that is to be restarted has a secret that can be read only once.
    """

    def __init__(self, nucleus: Nucleus) -> None:
        self._nucleus = nucleus
        self._failures: dict[str, int] = {}
        for member in nucleus.members.values():
            member.began = time.monotonic()
            for secret in member.entry.secrets if member.entry.restart == "always" else ():
                source = find(nucleus.description, member.name, secret, nucleus.options.secrets)
                if source == STANDARD_INPUT:
                    raise BootError(
                        f'{member.name} cannot be restarted: "{secret}" comes from standard input\n'
                        '  fix: give it in a file, or write restart = "never"'
                    )
        nucleus.ended = self._ended
        nucleus.advanced = self._advanced

    def _ended(self, member: Member) -> None:
        nucleus = self._nucleus
        if member.entry.restart != "always" or nucleus.exit_code is not None:
            return
        steady = time.monotonic() - member.began >= STEADY_SECONDS
        failures = 0 if steady else self._failures.get(member.name, 0)
        self._failures[member.name] = failures + 1
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures, 16))
        nucleus.say("notice", f"{member.name} starts again in {delay:.1f} s")
        nucleus.loop.later(delay, functools.partial(self._restart, member))

    def _restart(self, member: Member) -> None:
        nucleus = self._nucleus
        if member.stage is not Stage.ENDED or nucleus.exit_code is not None:
            return
        row, slot = member.number, nucleus.layout.control[member.name]
        for number, mapping in enumerate(nucleus.dispatcher.state.maps[row]):
            if mapping.used:
                nucleus.dispatcher.must("reclaim_map", row, number)
        for step in nucleus.layout.steps:
            if step.operation == "grant" and step.arguments[1] == slot:
                nucleus.dispatcher.must(step.operation, *step.arguments, meaning=step.meaning)
        nucleus.dispatcher.must("start", slot, meaning=f"start {member.name} again")
        member.stage = Stage.CREATED
        member.mapped.clear()
        member.detail = member.reason = ""
        member.restarts += 1
        member.began = time.monotonic()
        try:
            boot.spawn_member(nucleus, member)
        except BootError as error:
            nucleus.fault(member, FAULT_ENDED, str(error))
            return
        process = member.process

        def overdue() -> None:
            if member.process is process and member.stage is not Stage.READY:
                nucleus.fault(member, FAULT_ENDED, f"took more than {STAGE_SECONDS:.0f} s to start")

        nucleus.loop.later(STAGE_SECONDS, overdue)

    def _advanced(self, member: Member) -> None:
        try:
            if member.stage is Stage.ENTERED:
                self._provide(member)
            elif member.stage is Stage.READY:
                self._reconnect(member)
        except (SpawnFailed, SecretError) as error:
            self._nucleus.fault(member, FAULT_ENDED, str(error))

    def _provide(self, member: Member) -> None:
        """Give a confined member what the description gives it, and let it begin."""
        nucleus = self._nucleus
        assert member.process is not None
        verify_confined(member.process, boot.exclave_plan_of(nucleus, member, -1, -1), nucleus.host)
        for holder, name in nucleus.layout.regions:
            if holder == member.name:
                shared = nucleus.shared.regions[name]
                writable = boot.map_region(nucleus, holder, name)
                message = control.GiveRegion(name, shared.region.size, writable)
                nucleus.tell(member, message, (shared.descriptor(writable),))
        boot.hand_over(nucleus, member)

    def _reconnect(self, member: Member) -> None:
        """Give those who may call the member a connection to its new incarnation."""
        nucleus = self._nucleus
        nucleus.say("progress", f"{member.name} serves again")
        for (holder, target), grant in nucleus.layout.uses.items():
            caller = nucleus.members.get(holder)
            if target != member.name or caller is None or caller.stage is not Stage.READY:
                continue
            client, server = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            nucleus.tell(caller, control.GiveEndpoint(target, grant.rights), (client.fileno(),))
            client.close()
            nucleus.connect(holder, member, grant.slot, server, copied=False)
