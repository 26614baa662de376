"""Trust: outside.

The asyncio client: concurrency, cancellation, deadlines, and other loops.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from threading import Thread
from typing import assert_type

import pytest

from exclave.abi.exceptions import DeadlineExceeded, Fault, Refused, Revoked
from exclave.abi.interface import protected
from exclave.abi.rights import WRITE
from exclave.abi.wire import INLINE_LIMIT
from exclave.runtime.aio import AsyncProxy, bind
from exclave.runtime.aiolink import IN_FLIGHT
from exclave.runtime.component import Component
from exclave.runtime.deadline import deadline
from support.probe import LimitExceeded, Probe, Public
from support.serving import PATIENCE, Serving, serving


@pytest.fixture
def served() -> Iterator[Serving]:
    with serving(Probe()) as made:
        yield made


def _behind(served: Serving) -> Probe:
    assert isinstance(served.component, Probe)
    return served.component


async def _bound(served: Serving, rights: int = 6) -> AsyncProxy[Probe]:
    return await bind(served.connect("app", badge=4, rights=rights), Probe, target="probe", rights=rights)


def test_calls_by_name_and_by_method_are_the_same_and_the_latter_typed(served: Serving) -> None:
    async def main() -> None:
        probe = await _bound(served)
        assert await probe.echo(b"x") == b"x"
        assert_type(await probe.call(Probe.echo, b"y"), bytes)
        assert await probe.call(Probe.who, 2, loud=True) == "APP/4/6" * 2
        assert await probe.call(Probe.show) == Public(name="n")
        assert repr(probe) == "<async Probe at 'probe'>"
        with pytest.raises(AttributeError, match="has no protected method 'init'"):
            probe.init  # noqa: B018 - the access is the test
        with pytest.raises(TypeError, match="is not a protected method of Probe"):
            await probe.call(Probe.init)
        with pytest.raises(TypeError, match=r"echo\(data: bytes\) -> bytes: missing"):
            await probe.echo()
        probe.close()

    asyncio.run(main())


def test_exceptions_are_those_of_the_synchronous_client(served: Serving) -> None:
    async def main() -> None:
        probe = await _bound(served, WRITE)
        with pytest.raises(LimitExceeded, match="the limit is 7"):
            await probe.call(Probe.fail, "limit")
        with pytest.raises(Fault, match="ValueError"):
            await probe.call(Probe.fail, "value")
        with pytest.raises(Refused, match="BadArguments"):
            await probe.echo("text")
        with pytest.raises(Refused, match="NotGranted"):
            await probe.echo(bytes(70_000))
        assert await probe.large(70_000) == bytes(70_000)
        probe.close()

    asyncio.run(main())


def test_another_interface_is_refused_when_connecting(served: Serving) -> None:
    class Other(Component):
        @protected
        def echo(self, data: bytes) -> bytes:
            return data

    async def main() -> None:
        with pytest.raises(Refused, match="InterfaceMismatch"):
            await bind(served.connect(), Other, target="probe")

    asyncio.run(main())


def test_many_tasks_each_get_their_own_answer_whatever_the_sizes(served: Serving) -> None:
    async def main() -> None:
        probe = await _bound(served)
        sent = [bytes([i % 256]) * (100_000 if i % 7 == 0 else i * 400) for i in range(150)]
        assert await asyncio.gather(*(probe.echo(data) for data in sent)) == sent
        probe.close()

    asyncio.run(main())
    assert served.report().text == "closed"
    assert served.reports.empty()


def test_a_loop_that_is_busy_elsewhere_does_not_lose_its_connection(served: Serving) -> None:
    async def main() -> None:
        probe = await _bound(served)
        calls = [asyncio.create_task(probe.call(Probe.large, INLINE_LIMIT - 3)) for _ in range(20)]
        await asyncio.sleep(0)
        # The loop does not turn while the server answers everything that it was sent.
        other = served.peer()
        for _ in range(3 * IN_FLIGHT):
            other.call(Probe, "echo", b"x")
            assert other.answer() == b"x"
        assert [len(data) for data in await asyncio.gather(*calls)] == [INLINE_LIMIT - 3] * 20
        probe.close()

    asyncio.run(main())


def test_a_cancelled_task_cancels_its_call_at_the_server(served: Serving) -> None:
    async def main() -> None:
        probe = await _bound(served)
        holder = served.peer()
        holder.call(Probe, "hold")
        assert _behind(served).entered.wait(PATIENCE)
        task = asyncio.create_task(probe.call(Probe.echo, b"cancelled"))
        waiting = asyncio.create_task(probe.call(Probe.echo, b"waits"))
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        _behind(served).release.set()
        assert await waiting == b"waits"
        assert holder.answer() is None
        probe.close()

    asyncio.run(main())
    assert _behind(served).log == [b"waits"]


def test_cancelled_tasks_leave_no_turn_behind(served: Serving) -> None:
    async def main() -> None:
        probe = await _bound(served)
        holder = served.peer()
        holder.call(Probe, "hold")
        assert _behind(served).entered.wait(PATIENCE)
        tasks = [asyncio.create_task(probe.call(Probe.echo, bytes([i]))) for i in range(5 * IN_FLIGHT)]
        for _ in range(3):
            await asyncio.sleep(0)
        for task in tasks[1::2]:
            task.cancel()
        _behind(served).release.set()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert ended[::2] == [bytes([i]) for i in range(0, 5 * IN_FLIGHT, 2)]
        assert all(isinstance(end, asyncio.CancelledError) for end in ended[1::2])
        assert await asyncio.gather(*(probe.echo(bytes([i])) for i in range(40))) == [
            bytes([i]) for i in range(40)
        ]
        probe.close()

    asyncio.run(main())


def test_a_late_call_raises_and_its_answer_reaches_nobody(served: Serving) -> None:
    async def main() -> None:
        probe = await _bound(served)
        with deadline(0.02), pytest.raises(DeadlineExceeded, match=r"probe\.hold"):
            await probe.hold()
        _behind(served).release.set()
        assert await probe.echo(b"next") == b"next"
        with deadline(0), pytest.raises(DeadlineExceeded):
            await probe.echo(b"never")
        probe.close()

    asyncio.run(main())
    assert _behind(served).log == [b"next"]


def test_a_task_has_the_deadline_of_its_own_context(served: Serving) -> None:
    async def limited(probe: AsyncProxy[Probe]) -> str:
        with deadline(0.02):
            try:
                await probe.hold()
            except DeadlineExceeded:
                return "late"
        return "in time"

    async def main() -> None:
        probe = await _bound(served)
        task = asyncio.create_task(limited(probe))
        other = asyncio.create_task(probe.call(Probe.echo, b"x"))
        assert await task == "late"
        assert not other.done()
        _behind(served).release.set()
        assert await other == b"x"
        probe.close()

    asyncio.run(main())


def test_a_revocation_ends_every_waiting_task_and_later_calls(served: Serving) -> None:
    async def main() -> None:
        probe = await _bound(served)
        tasks = [asyncio.create_task(probe.call(Probe.hold)) for _ in range(10)]
        assert await asyncio.to_thread(_behind(served).entered.wait, PATIENCE)
        done = served.post(lambda: served.server.remove(1))
        _behind(served).release.set()
        assert await asyncio.to_thread(done.wait, PATIENCE)
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(end, Revoked) for end in ended[1:])
        with pytest.raises(Revoked, match=r"connect again with exclave\.aio\.connect"):
            await probe.echo(b"x")

    asyncio.run(main())


def test_another_loop_and_another_thread_have_their_own_connections(served: Serving) -> None:
    made: list[socket.socket] = []

    async def reconnect() -> socket.socket:
        made.append(served.connect("app", badge=10 + len(made)))
        return made[-1]

    async def start() -> AsyncProxy[Probe]:
        probe = await bind(None, Probe, target="probe", reconnect=reconnect)
        assert await asyncio.gather(*(probe.who() for _ in range(5))) == ["app/10/6"] * 5
        return probe

    probe = asyncio.run(start())

    async def again() -> str:
        answer: str = await probe.who()
        return answer

    assert asyncio.run(again()) == "app/11/6"
    answers: list[str] = []
    thread = Thread(target=lambda: answers.append(asyncio.run(again())))
    thread.start()
    thread.join(PATIENCE)
    assert answers == ["app/12/6"]
    probe.close()
    assert [sock.fileno() for sock in made] == [-1] * 3
    with pytest.raises(Revoked, match="was closed"):
        asyncio.run(again())


def test_an_exception_from_reconnecting_is_what_the_call_raises() -> None:
    async def reconnect() -> socket.socket:
        raise Refused("NotGranted", "add probe to `use`")

    async def main() -> None:
        probe = await bind(None, Probe, target="probe", reconnect=reconnect)
        with pytest.raises(Refused, match="add probe to `use`"):
            await probe.echo(b"x")

    asyncio.run(main())
