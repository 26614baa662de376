"""Trust: reviewed.

The monolith of a running system: its start, its questions to the nucleus, its signals and its end.

Rules:
 1. It gets exactly the capabilities of its table in the description, one connection per process that asks.
 2. Its end ends the system, with its exit code.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from pathlib import Path
from typing import Final

from exclave.abi import control, refusal
from exclave.abi.exceptions import printable
from exclave.monolith import process as kind
from exclave.nucleus.shell import boot, filters
from exclave.nucleus.shell.asks import Asks
from exclave.nucleus.shell.audit import SIZE_LIMIT
from exclave.nucleus.shell.boot import BootError
from exclave.nucleus.shell.distribution import CONNECTIONS
from exclave.nucleus.shell.member import Stage
from exclave.nucleus.shell.nucleus import RUNTIME_FAILED, Nucleus
from exclave.nucleus.shell.output import harmless_lines
from exclave.nucleus.shell.spawn import SpawnFailed, spawn, verify_confined
from exclave.system.description import MONOLITH

LAUNCH_SECONDS: Final = 30.0
DENIALS_LOGGED: Final = 1000
FIRST_OPENED: Final = 10
OPENED_VARIABLE: Final = "EXCLAVE_ENDPOINTS"
STOPPED: Final = "Stopped"
FORWARDED: Final = (
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)
FROM_TERMINAL: Final = (signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH)


class World:
    """The monolith's side of the nucleus."""

    def __init__(self, nucleus: Nucleus) -> None:
        self._nucleus = nucleus
        self._asks: Asks | None = None
        self._launched = False
        self._denials = 0

    def start(self) -> None:
        """Start the monolith's command.

        Raises:
            BootError: its domain could not be made. Nothing is left of it.
            CommandError: there is no such command.
        """
        nucleus = self._nucleus
        description = nucleus.description
        environment = kind.environment(description, nucleus.options.environment)
        command = kind.look_up(description.monolith, Path(description.directory), environment["PATH"])
        nucleus.dispatcher.must("start", nucleus.layout.control[MONOLITH])
        directory = None if nucleus.host.namespaces else str(boot.private_directory(nucleus, MONOLITH))
        opened = {} if nucleus.host.namespaces else self._open_before(environment)
        fds = {number: client.fileno() for number, client in opened.items()}
        plan = kind.monolith_plan(description, command, environment, directory, fds)
        try:
            process = spawn(plan, nucleus.host, nucleus.identities)
        except SpawnFailed as error:
            raise BootError(boot.explained(error)) from None
        finally:
            for client in opened.values():
                client.close()
        nucleus.monolith = process
        for note in process.notes:
            nucleus.say("notice", f"monolith: {note}")
        nucleus.event("spawn", domain=MONOLITH, pid=process.pid, uid=process.identity.uid)
        process.control.setblocking(False)
        nucleus.loop.watch(process.control.fileno(), self._heard)
        nucleus.loop.watch(process.pidfd, self._died)
        if process.listener is not None:
            self._asks = Asks(nucleus.loop, process.listener, self._answer)
        for number in FORWARDED:
            nucleus.loop.on_signal(number, self._forward)
        stages = filters.stages(plan, nucleus.host)
        launch = control.Launch(command.words, stages.get("monolith", b""))
        control.send(process.control, launch)
        done = nucleus.loop.run_until(lambda: self._launched or nucleus.exit_code is not None, LAUNCH_SECONDS)
        if not done:
            raise BootError(f"monolith: {command.words[0]} did not start in {LAUNCH_SECONDS:.0f} s")
        if self._launched and nucleus.exit_code is None:
            try:
                verify_confined(process, plan, nucleus.host)
            except SpawnFailed as error:
                raise BootError(boot.explained(error)) from None

    def _open_before(self, environment: dict[str, str]) -> dict[int, socket.socket]:
        """Open each endpoint once before the start, for a tier in which the monolith cannot ask.

        Returns:
            The client ends, by the number that each has in the monolith; `environment` names them.
        """
        nucleus = self._nucleus
        opened: dict[int, socket.socket] = {}
        for (holder, name), grant in nucleus.layout.uses.items():
            if holder != MONOLITH:
                continue
            client, server = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            server.setblocking(False)
            client.setblocking(False)
            control.send(server, control.Granted(grant.rights))
            nucleus.connect(MONOLITH, nucleus.members[name], grant.slot, server, copied=False)
            opened[FIRST_OPENED + len(opened)] = client
        names = [name for holder, name in nucleus.layout.uses if holder == MONOLITH]
        environment[OPENED_VARIABLE] = ",".join(map("{}={}".format, names, opened))
        return opened

    def close(self) -> None:
        """Answer no more questions."""
        if self._asks is not None:
            self._asks.close()
            self._asks = None

    def _heard(self) -> bool:
        """Take one message of its first process; False when there is none."""
        process = self._nucleus.monolith
        assert process is not None
        try:
            message, _ = control.receive(process.control)
        except BlockingIOError:
            return False
        except (EOFError, OSError):
            self._nucleus.loop.forget(process.control.fileno())
            return False
        match message:
            case control.Launched():
                self._launched = True
            case control.Exited():
                self._ended(message.code & 0xFF)
            case control.Failed():
                self._nucleus.say("warning", harmless_lines(message.text))
                code = message.kind if message.kind.isdecimal() and len(message.kind) <= 3 else ""
                self._ended(int(code or RUNTIME_FAILED) & 0xFF)
        return True

    def _died(self) -> None:
        nucleus = self._nucleus
        assert nucleus.monolith is not None
        nucleus.loop.forget(nucleus.monolith.pidfd)
        # What its first process said last may still be on its way.
        while nucleus.exit_code is None and self._heard():
            continue
        if nucleus.exit_code is None:
            status = nucleus.monolith.wait()
            nucleus.say("warning", f"the monolith's first process ended with {status}")
            self._ended(128 - status if status < 0 else status)

    def _ended(self, code: int) -> None:
        if self._nucleus.exit_code is None:
            self._nucleus.exit_code = code
            self._nucleus.event("exit", domain=MONOLITH, code=code)

    def _forward(self, number: int) -> None:
        """Pass a signal on; one that the terminal sent reached the monolith's own processes already."""
        nucleus = self._nucleus
        if number in FROM_TERMINAL and from_terminal():
            return
        if nucleus.monolith is not None and nucleus.exit_code is None:
            # Its first process may be ending, or may not be reading; then there is nobody to signal.
            with contextlib.suppress(OSError):
                control.send(nucleus.monolith.control, control.Signal(number))

    # Questions.

    def _answer(self, sock: socket.socket, question: control.Ask) -> bool:
        match question.kind:
            case "endpoint":
                return self._endpoint(sock, question.name)
            case "region":
                return self._region(sock, question.name)
            case "notification":
                return self._notification(sock, question.name)
            case _:
                return self._deny(sock, refusal.INVALID_ARGUMENT, "asks for endpoint, region or notification")

    def _deny(self, sock: socket.socket, code: int, text: str, name: str = "") -> bool:
        control.send(sock, control.Denied(name or refusal.name(code), text[:1000]))
        return False

    def _endpoint(self, sock: socket.socket, name: str) -> bool:
        nucleus = self._nucleus
        grant = nucleus.layout.uses.get((MONOLITH, name))
        if grant is None:
            self._denials += 1
            if self._denials <= DENIALS_LOGGED:
                nucleus.event("denied", domain=MONOLITH, asked=f"endpoint {printable(name[:64])}")
            text = (
                f'the monolith may not use "{name[:64]}"; the description would say: [monolith] use = ["…"]'
            )
            return self._deny(sock, refusal.FAILED_LOOKUP, text)
        if nucleus.audit.size > SIZE_LIMIT:
            return self._deny(sock, refusal.NOT_ENOUGH_MEMORY, "the audit log is full; start the system anew")
        target = nucleus.members[name]
        if target.stage is not Stage.READY:
            return self._deny(sock, 0, f"{name} {target.reason or 'does not serve yet'}", STOPPED)
        row = nucleus.layout.domains[MONOLITH]
        slot = self._free_slot(row)
        if slot is None:
            text = f"the monolith has {CONNECTIONS} connections open; close some"
            return self._deny(sock, refusal.NOT_ENOUGH_MEMORY, text)
        code = nucleus.dispatcher.submit(row, "copy", grant.slot, slot)
        if code != refusal.OK:
            return self._deny(sock, code, f"{name}: {refusal.REFUSALS[code].sentence}")
        try:
            control.send(sock, control.Granted(grant.rights))
        except OSError:
            # Whoever asked is gone: its slot must not stay taken.
            nucleus.dispatcher.submit(row, "delete", slot)
            raise
        nucleus.connect(MONOLITH, target, slot, sock, copied=True)
        return True

    def _free_slot(self, row: int) -> int | None:
        first = self._nucleus.layout.first_connection
        used = self._nucleus.connections.used_slots(row)
        return next((slot for slot in range(first, first + CONNECTIONS) if slot not in used), None)

    def _region(self, sock: socket.socket, name: str) -> bool:
        nucleus = self._nucleus
        if (MONOLITH, name) not in nucleus.layout.regions:
            text = f'no region "{name[:64]}" is shared with the monolith; share it in [region.…]'
            return self._deny(sock, refusal.FAILED_LOOKUP, text)
        writable = boot.map_region(nucleus, MONOLITH, name)
        shared = nucleus.shared.regions[name]
        granted = control.Granted(0, size=shared.region.size, writable=writable)
        control.send(sock, granted, (shared.descriptor(writable),))
        return False

    def _notification(self, sock: socket.socket, name: str) -> bool:
        nucleus = self._nucleus
        if (MONOLITH, name) not in nucleus.layout.notifications:
            text = f'the monolith neither signals nor waits for a notification "{name[:64]}"'
            return self._deny(sock, refusal.FAILED_LOOKUP, text)
        shared = nucleus.shared.notifications[name]
        descriptors, badges = shared.ends(MONOLITH)
        waits = shared.notification.wait == MONOLITH
        control.send(sock, control.Granted(0, wait=waits, badges=badges), tuple(descriptors))
        return False


def from_terminal() -> bool:
    """Whether this process is in the foreground of a terminal, whose signals reach its whole group."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False
