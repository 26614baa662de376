"""Trust: outside.

Clients and fork: a process never uses the socket of another one. The server is a child too, so that
no process here forks while it has threads.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from exclave.abi.exceptions import Revoked
from exclave.abi.interface import Caller, Interface
from exclave.abi.rights import WRITE_GRANT
from exclave.runtime.client import bind
from exclave.runtime.server import Server
from support.children import child, status
from support.probe import Probe
from support.serving import pair


@contextmanager
def _serving(callers: int) -> Iterator[list[socket.socket]]:
    """A server in a child; yields this many clients' ends, numbered by their badges from 1."""
    pairs = [pair() for _ in range(callers)]
    control, served = pair()

    def run() -> bool:
        control.close()
        server = Server(Probe(), Interface.of(Probe), lambda _: None, budget=20.0)
        for badge, (client, end) in enumerate(pairs, 1):
            client.close()
            server.add(badge, end, Caller("app", badge, WRITE_GRANT))
        server.serve_forever(served, lambda: bool(served.recv(1)))
        return True

    process = child(run)
    served.close()
    for _, end in pairs:
        end.close()
    try:
        yield [client for client, _ in pairs]
    finally:
        control.close()
        assert status(process) == 0
        for client, _ in pairs:
            client.close()


def test_a_forked_child_connects_anew_and_the_parents_connection_stays_its_own() -> None:
    with _serving(3) as ends:
        spare = iter(ends)
        probe = bind(None, Probe, target="probe", reconnect=lambda _left: next(spare))
        assert probe.who() == "app/1/6"

        def run() -> bool:
            # The second end is the child's; the grandchild takes the third.
            mine = probe.who() == "app/2/6" and probe.echo(bytes(100_000)) == bytes(100_000)
            return mine and status(child(lambda: probe.who() == "app/3/6")) == 0 and probe.who() == "app/2/6"

        process = child(run)
        for _ in range(200):
            assert probe.who() == "app/1/6"
        assert status(process) == 0
        assert probe.who() == "app/1/6"


def test_a_forked_child_does_not_keep_the_parents_end_open() -> None:
    with _serving(2) as ends:
        spare = iter(ends)
        probe = bind(None, Probe, target="probe", reconnect=lambda _left: next(spare))
        assert probe.who() == "app/1/6"
        inherited = ends[0].fileno()

        def run() -> bool:
            other = probe.who() == "app/2/6"
            with suppress(OSError):
                os.fstat(inherited)
                return False
            return other

        assert status(child(run)) == 0


def test_a_forked_child_that_cannot_reconnect_is_told_why() -> None:
    with _serving(1) as ends:
        probe = bind(ends[0], Probe, target="probe")

        def run() -> bool:
            with pytest.raises(Revoked, match=r"belongs to its parent; connect again with exclave\.connect"):
                probe.who()
            return True

        assert status(child(run)) == 0
        assert probe.who() == "app/1/6"


def test_many_children_at_once_each_have_their_own_badge() -> None:
    with _serving(9) as ends:
        mine = 0
        probe = bind(None, Probe, target="probe", reconnect=lambda _left: ends[mine])
        assert probe.who() == "app/1/6"
        children = []
        for number in range(1, 9):
            mine = number

            def run(badge: int = number + 1) -> bool:
                return all(probe.who() == f"app/{badge}/6" for _ in range(50))

            children.append(child(run))
        assert [status(process) for process in children] == [0] * 8
        assert probe.who() == "app/1/6"


def test_a_revoked_capability_raises_also_where_a_broken_pipe_would_kill() -> None:
    client, end = pair()

    def run() -> bool:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        probe = bind(None, Probe, target="probe", reconnect=lambda _left: client)
        end.close()
        with pytest.raises(Revoked):
            probe.who()
        return True

    process = child(run)
    end.close()
    assert status(process) == 0
    client.close()
