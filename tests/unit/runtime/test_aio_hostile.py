"""Trust: outside.

The asyncio client before hostile servers: tasks get typed exceptions, and the loop keeps turning.
"""

from __future__ import annotations

import asyncio
import os
import socket
from threading import Event

import msgspec
import pytest

from exclave.abi import payload
from exclave.abi.exceptions import DeadlineExceeded, Fault, Revoked
from exclave.abi.wire import HEADER, INLINE_LIMIT, Kind, encode
from exclave.runtime.aio import bind
from exclave.runtime.aiolink import IN_FLIGHT
from exclave.runtime.deadline import deadline
from exclave.runtime.outcome import DISCARD_LIMIT
from support.probe import Probe
from support.serving import PATIENCE, Peer, acting


def _welcome(peer: Peer) -> int:
    assert peer.receive().kind == Kind.HELLO
    peer.send(encode(Kind.WELCOME))
    return peer.receive().sequence


def test_a_server_that_breaks_the_protocol_fails_every_waiting_task() -> None:
    def script(peer: Peer) -> None:
        _welcome(peer)
        peer.receive()
        peer.send(b"garbage that is long enough")
        assert peer.drained() >= 0

    async def main(sock: socket.socket) -> None:
        probe = await bind(sock, Probe, target="probe")
        ended = await asyncio.gather(*(probe.echo(b"x") for _ in range(10)), return_exceptions=True)
        assert all(isinstance(end, Fault) and end.kind == "protocol" for end in ended[:IN_FLIGHT])
        assert all(isinstance(end, (Fault, Revoked)) for end in ended)
        assert sock.fileno() == -1

    with acting(script) as sock:
        asyncio.run(main(sock))


@pytest.mark.parametrize(
    "body", [b"", b"\xa1x", b"\x91" * 50_000, b"\xc6\xff\xff\xff\xff", msgspec.msgpack.encode([1])]
)
def test_a_wrong_answer_fails_one_call(body: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.send(encode(Kind.REPLY, _welcome(peer), body))
        peer.send(encode(Kind.REPLY, peer.receive().sequence, msgspec.msgpack.encode(b"good")))
        assert peer.ended()

    async def main(sock: socket.socket) -> None:
        probe = await bind(sock, Probe, target="probe")
        with pytest.raises(Fault, match="answered wrongly"):
            await probe.echo(b"x")
        assert await probe.echo(b"x") == b"good"
        probe.close()

    with acting(script) as sock:
        asyncio.run(main(sock))


def test_answers_in_another_order_reach_the_right_tasks() -> None:
    def script(peer: Peer) -> None:
        first = _welcome(peer)
        others = [peer.receive().sequence for _ in range(IN_FLIGHT - 1)]
        for sequence in (*reversed(others), 12345, first):
            peer.send(encode(Kind.REPLY, sequence, msgspec.msgpack.encode(b"%d" % sequence)))
        assert peer.ended()

    async def main(sock: socket.socket) -> None:
        probe = await bind(sock, Probe, target="probe")
        answers = await asyncio.gather(*(probe.echo(b"x") for _ in range(IN_FLIGHT)))
        assert answers == [b"%d" % sequence for sequence in range(1, IN_FLIGHT + 1)]
        probe.close()

    with acting(script) as sock:
        asyncio.run(main(sock))


def test_a_flood_of_answers_leaves_the_loop_its_turns_and_ends_in_a_fault() -> None:
    def script(peer: Peer) -> None:
        sequence = _welcome(peer)
        for _ in range(DISCARD_LIMIT + 10):
            peer.send(encode(Kind.REPLY, sequence + 1, b"\xc0"))

    async def main(sock: socket.socket) -> None:
        probe = await bind(sock, Probe, target="probe")
        turns = 0
        task = asyncio.create_task(probe.call(Probe.echo, b"x"))
        while not task.done():
            turns += 1
            await asyncio.sleep(0)
        assert turns > DISCARD_LIMIT // 32
        with pytest.raises(Fault, match="calls that nobody made"):
            await task

    with acting(script) as sock:
        asyncio.run(main(sock))


def test_a_smuggled_descriptor_is_a_fault_and_closed() -> None:
    reader, writer = os.pipe()

    def script(peer: Peer) -> None:
        sequence = _welcome(peer)
        peer.send(encode(Kind.REPLY, sequence, msgspec.msgpack.encode(b"x")), [reader])
        os.close(reader)
        assert peer.ended()

    async def main(sock: socket.socket) -> None:
        probe = await bind(sock, Probe, target="probe")
        with pytest.raises(Fault, match="1 descriptors came"):
            await probe.echo(b"x")

    with acting(script) as sock:
        asyncio.run(main(sock))
    with pytest.raises(BrokenPipeError):
        os.write(writer, b"x")
    os.close(writer)


def test_a_frame_is_the_result() -> None:
    def script(peer: Peer) -> None:
        sequence = _welcome(peer)
        body = msgspec.msgpack.encode(bytes(INLINE_LIMIT))
        frame = payload.seal(body)
        peer.send(HEADER.pack(Kind.REPLY, 1, 0, sequence, len(body), 0), [frame])
        os.close(frame)
        assert peer.ended()

    async def main(sock: socket.socket) -> None:
        probe = await bind(sock, Probe, target="probe")
        assert await probe.echo(b"x") == bytes(INLINE_LIMIT)
        probe.close()

    with acting(script) as sock:
        asyncio.run(main(sock))


def test_a_silent_server_costs_the_deadline() -> None:
    def script(peer: Peer) -> None:
        assert peer.drained() == 1

    async def main(sock: socket.socket) -> None:
        with deadline(0.02), pytest.raises(DeadlineExceeded, match=r"probe\.connect"):
            await bind(sock, Probe, target="probe")
        assert sock.fileno() == -1

    with acting(script) as sock:
        asyncio.run(main(sock))


def test_calls_wait_for_room_in_the_queue_of_a_server_that_does_not_receive() -> None:
    stop = Event()

    def script(peer: Peer) -> None:
        peer.receive()
        peer.send(encode(Kind.WELCOME))
        assert stop.wait(PATIENCE)
        for _ in range(2 * IN_FLIGHT):
            message = peer.receive()
            while message.kind == Kind.CANCEL:
                message = peer.receive()
            peer.send(encode(Kind.REPLY, message.sequence, msgspec.msgpack.encode(b"")))
        assert peer.drained() >= 0

    async def main(sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 70_000)
        probe = await bind(sock, Probe, target="probe")
        tasks = [asyncio.create_task(probe.call(Probe.echo, bytes(60_000))) for _ in range(2 * IN_FLIGHT)]
        for _ in range(5):
            await asyncio.sleep(0)
        stop.set()
        assert await asyncio.gather(*tasks) == [b""] * (2 * IN_FLIGHT)
        probe.close()

    with acting(script) as sock:
        asyncio.run(main(sock))
