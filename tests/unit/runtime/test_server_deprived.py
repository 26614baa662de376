"""Trust: outside.

A server that can open no file and import no module any more, as in an exclave: it still answers everything.
"""

from __future__ import annotations

import os
import sys

import pytest

from exclave.abi.exceptions import Fault, Refused
from exclave.abi.interface import Caller, Interface
from exclave.abi.rights import WRITE_GRANT
from exclave.abi.wire import INLINE_LIMIT, Kind, encode
from exclave.runtime.client import bind
from exclave.runtime.report import Report
from exclave.runtime.server import Server
from support.children import child, status
from support.probe import LimitExceeded, Probe
from support.serving import Peer, pair

_OPENED = 3


def _deprive() -> None:
    """End this process as soon as it opens a file or imports a module."""

    def hook(event: str, _arguments: tuple[object, ...]) -> None:
        if event in ("open", "import", "os.listdir", "os.scandir"):
            os._exit(_OPENED)

    sys.addaudithook(hook)


def test_the_deprivation_is_noticed() -> None:
    def run() -> bool:
        _deprive()
        with open("/dev/null"):
            return True

    assert status(child(run)) == _OPENED


def test_every_kind_of_answer_needs_no_file_and_no_module() -> None:
    ends = [pair(), pair()]
    control, served = pair()

    def run() -> bool:
        control.close()
        reports: list[Report] = []
        server = Server(Probe(), Interface.of(Probe), reports.append, budget=20.0)
        for number, (client, end) in enumerate(ends):
            client.close()
            server.add(number, end, Caller("app", 1, WRITE_GRANT))
        _deprive()
        server.serve_forever(served, lambda: bool(served.recv(1)))
        return len(reports) >= 8

    process = child(run)
    served.close()
    for _, end in ends:
        end.close()
    probe = bind(ends[0][0], Probe, target="probe")
    assert probe.echo(b"x") == b"x"
    assert probe.who(loud=True) == "APP/1/6"
    assert probe.echo(bytes(2 * INLINE_LIMIT)) == bytes(2 * INLINE_LIMIT)
    for how in ("value", "exit", "memory", "crossing", "undeclared"):
        with pytest.raises(Fault):
            probe.fail(how)
    for how in ("str", "object", "int"):
        with pytest.raises(Fault):
            probe.wrong(how)
    with pytest.raises(Fault, match="RecursionError"):
        probe.recurse()
    with pytest.raises(LimitExceeded):
        probe.fail("limit")
    with pytest.raises(Refused):
        probe.echo("text")  # type: ignore[arg-type]
    peer = Peer(ends[1][0])
    peer.hello(Probe)
    peer.call(Probe, "echo", b"late", deadline=1)
    assert peer.notice()[1] == "DeadlineExceeded"
    for data, code in (
        (encode(Kind.CALL, 1, b"\x91\xa1\xff", method=1), "BadArguments"),
        (encode(Kind.CALL, 1, b"\x91" * 9000, method=0), "BadArguments"),
        (encode(Kind.CALL, 1, method=999), "UnknownMethod"),
        (b"short", "Malformed"),
        (encode(Kind.REPLY, 1), "Malformed"),
    ):
        peer.send(data)
        assert peer.notice()[1] == code
    peer.send(b"\xff" * 70_000)
    assert peer.ended()
    control.close()
    ends[0][0].close()
    peer.sock.close()
    assert status(process) == 0
