"""Trust: outside.

Hostile callers and descriptors: only sealed frames are taken, and nothing that was sent stays open.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from exclave.abi import payload
from exclave.abi.interface import Interface
from exclave.abi.rights import WRITE
from exclave.abi.wire import DATAGRAM_LIMIT, HEADER, INLINE_LIMIT, Kind, encode
from exclave.runtime.server import MALFORMED_LIMIT
from support.probe import Probe
from support.serving import Serving, serving

_ECHO = Interface.of(Probe).by_name["echo"].index
_BODY = msgspec.msgpack.encode((bytes(INLINE_LIMIT + 1),))


@pytest.fixture
def served() -> Iterator[Serving]:
    with serving(Probe()) as made:
        yield made


def _another_gets_its_answer(served: Serving) -> None:
    peer = served.peer("other")
    peer.call(Probe, "echo", b"fine")
    assert peer.answer() == b"fine"
    peer.sock.close()


def _open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _settled(served: Serving) -> int:
    """Count once the server has finished the turn in which it answered."""
    served.within(lambda: None)
    return _open_descriptors()


def _pipe_end() -> int:
    reader, writer = os.pipe()
    os.close(writer)
    return reader


def _unsealed() -> int:
    made = os.memfd_create("x", os.MFD_ALLOW_SEALING)
    os.ftruncate(made, len(_BODY))
    return made


def _sealed(size: int) -> int:
    made = os.memfd_create("x", os.MFD_ALLOW_SEALING)
    os.ftruncate(made, size)
    fcntl.fcntl(made, fcntl.F_ADD_SEALS, payload.SEALS)
    return made


_SMUGGLED: dict[str, Callable[[], list[int]]] = {
    "none": list,
    "pipe": lambda: [_pipe_end()],
    "socket": lambda: [socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).detach()],
    "directory": lambda: [os.open("/", os.O_RDONLY)],
    "path only": lambda: [os.open("/", os.O_PATH)],
    "unsealed": lambda: [_unsealed()],
    "too small": lambda: [_sealed(len(_BODY) - 1)],
    "too large": lambda: [_sealed(len(_BODY) + 1)],
    "two frames": lambda: [payload.seal(_BODY), payload.seal(_BODY)],
    "many": lambda: [payload.seal(_BODY), *(_pipe_end() for _ in range(30))],
}


@pytest.mark.parametrize("make", _SMUGGLED.values(), ids=_SMUGGLED.keys())
@pytest.mark.parametrize("framed", [True, False])
def test_smuggled_descriptors_are_refused_and_closed(
    served: Serving, make: Callable[[], list[int]], framed: bool
) -> None:
    peer = served.peer("smuggler")
    _another_gets_its_answer(served)
    served.report()
    before = _settled(served)
    for _ in range(MALFORMED_LIMIT - 1):
        descriptors = make()
        if not framed and not descriptors:
            descriptors = [payload.seal(_BODY)]
        if framed:
            peer.send(encode(Kind.CALL, 1, method=_ECHO, framed=len(_BODY)), descriptors)
        else:
            peer.send(encode(Kind.CALL, 1, b"\x91\xc4\x00", method=_ECHO), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        assert peer.notice()[:2] == (Kind.REFUSAL, "Malformed")
    assert _settled(served) == before
    assert served.component.log == [b"fine"]  # type: ignore[attr-defined]
    _another_gets_its_answer(served)


def test_a_caller_without_the_frame_right_cannot_put_descriptors_into_the_exclave(served: Serving) -> None:
    peer = served.peer("ungranted", rights=WRITE)
    before = _settled(served)
    frame = payload.seal(_BODY)
    try:
        peer.send(encode(Kind.CALL, 1, method=_ECHO, framed=len(_BODY)), [frame])
    except PermissionError:
        # Linux 6.16 and later: SO_PASSRIGHTS refuses at the sender.
        peer.send(encode(Kind.CALL, 1, method=_ECHO, framed=len(_BODY)))
    kind, code, text = peer.notice()
    assert (kind, code) == (Kind.REFUSAL, "NotGranted")
    assert '"frame"' in text
    os.close(frame)
    assert _settled(served) == before
    peer.call(Probe, "echo", b"x")
    assert peer.answer() == b"x"


def test_frames_that_wait_cost_one_descriptor_for_each_caller(served: Serving) -> None:
    probe, holder, peer = served.component, served.peer(), served.peer()
    assert isinstance(probe, Probe)
    frame = payload.seal(_BODY)
    before = _settled(served)
    holder.call(Probe, "hold")
    assert probe.entered.wait(20)
    for sequence in range(1, 6):
        peer.send(encode(Kind.CALL, sequence, method=_ECHO, framed=len(_BODY)), [frame])
    counts: list[int] = []
    done = served.post(lambda: counts.append(_open_descriptors()))
    probe.release.set()
    assert done.wait(20)
    assert holder.answer() is None
    buffer = bytearray(DATAGRAM_LIMIT)
    for sequence in range(1, 6):
        _, _, received = payload.receive(peer.sock, buffer)
        assert HEADER.unpack_from(buffer)[3] == sequence
        assert payload.read(received[0], 5)
        received.close()
    assert all(count <= before + 1 for count in counts)
    os.close(frame)


def test_a_frame_that_was_cancelled_is_closed(served: Serving) -> None:
    probe, holder, peer = served.component, served.peer(), served.peer()
    assert isinstance(probe, Probe)
    before = _settled(served)
    holder.call(Probe, "hold")
    assert probe.entered.wait(20)
    frame = payload.seal(_BODY)
    peer.send(encode(Kind.CALL, 1, method=_ECHO, framed=len(_BODY)), [frame])
    os.close(frame)
    done = served.post(lambda: served.server.remove(2))
    probe.release.set()
    assert done.wait(20)
    assert holder.answer() is None
    _another_gets_its_answer(served)
    peer.sock.close()
    assert _settled(served) <= before
    assert probe.log == [b"fine"]
