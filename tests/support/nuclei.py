"""A nucleus whose exclaves are this test: real core, log, sockets and processes, without confinement."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from exclave.abi import control
from exclave.nucleus.shell.distribution import distribute
from exclave.nucleus.shell.measure import Measured
from exclave.nucleus.shell.member import Member, Stage
from exclave.nucleus.shell.nucleus import Nucleus, Options
from exclave.nucleus.shell.spawn import Process
from exclave.nucleus.shell.tier import Host, Tier
from exclave.system.description import MONOLITH, Description

PATIENCE = 20.0


class Booted:
    """A nucleus after its boot; each exclave's process waits for its end, and its control socket is here."""

    def __init__(self, description: Description, directory: Path) -> None:
        host = Host(
            best=Tier.FULL,
            tier=Tier.FULL,
            probes=(),
            uid=os.getuid(),
            gid=os.getgid(),
            namespaces=True,
            landlock_abi=7,
            seccomp=True,
            subordinate=None,
        )
        self.closed = False
        self.said: list[tuple[str, str]] = []
        self.log = directory / "log"
        layout = distribute(description, {})
        options = Options(directory=directory, log=self.log)
        self.nucleus = Nucleus(description, host, options, layout, lambda *words: self.said.append(words))
        self.exclaves: dict[str, socket.socket] = {}
        self._lives: dict[str, int] = {}
        for step in layout.steps:
            self.nucleus.dispatcher.must(step.operation, *step.arguments, meaning=step.meaning)
        for slot in layout.conclaves.values():
            self.nucleus.dispatcher.must("launch_conclave", slot)
        for name, entry in description.components.items():
            self.nucleus.dispatcher.must("start", layout.control[name])
            member = Member(entry, layout.domains[name], Measured({}, {}, bytes(32)))
            member.process = self._process(name)
            self.nucleus.members[name] = member
            self.nucleus.attend(member)
        for slot in layout.conclaves.values():
            self.nucleus.dispatcher.must("conclave_done", slot)
        self.nucleus.dispatcher.must("start", layout.control[MONOLITH])

    def _process(self, name: str) -> Process:
        reading, writing = os.pipe()
        null = os.open("/dev/null", os.O_RDWR)
        actions = [(os.POSIX_SPAWN_DUP2, reading, 0), (os.POSIX_SPAWN_DUP2, null, 1)]
        pid = os.posix_spawn("/bin/cat", ["cat"], {}, file_actions=actions)
        os.close(reading)
        os.close(null)
        self._lives[name] = writing
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        theirs.settimeout(PATIENCE)
        self.exclaves[name] = theirs
        identity = self.nucleus.identities.own
        return Process(name, pid, os.pidfd_open(pid), ours, None, identity, (), ())

    def member(self, name: str) -> Member:
        """The nucleus's side of an exclave."""
        return self.nucleus.members[name]

    def tell(self, name: str, *messages: control.ControlMessage) -> None:
        """Say something as an exclave, and let the nucleus hear all of it."""
        for message in messages:
            control.send(self.exclaves[name], message)
        self.turn()

    def ready(self, *names: str) -> None:
        """Have exclaves come up."""
        for name in names:
            self.tell(name, control.Entered("memfd_secret"), control.Ready(("sign",), bytes(16)))
            assert self.member(name).stage is Stage.READY

    def turn(self) -> None:
        """Serve until nothing is ready any more."""
        while self.nucleus.loop._epoll.poll(0):
            self.nucleus.loop._turn(0)

    def leave(self, name: str) -> None:
        """End an exclave's process of itself, with exit code 0, and let the nucleus see it."""
        os.close(self._lives.pop(name))
        member = self.member(name)
        assert self.nucleus.loop.run_until(lambda: member.stage is Stage.ENDED, PATIENCE)

    def warnings(self) -> list[str]:
        """What the operator was warned of."""
        return [text for level, text in self.said if level == "warning"]

    def close(self) -> None:
        """End everything; a second time does nothing."""
        if self.closed:
            return
        self.closed = True
        self.nucleus.close()
        for sock in self.exclaves.values():
            sock.close()
        for writing in self._lives.values():
            os.close(writing)
