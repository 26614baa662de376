"""One connection of the asyncio client.

Trust: outside.
Purpose: match answers to the tasks that wait for them, on a socket that is never waited for.
Rules: 1. nothing here waits outside the event loop. 2. at most IN_FLIGHT calls are at the server, so that
their answers always fit its buffer and it never finds this caller slow.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from exclave.abi import payload
from exclave.abi.exceptions import Refused
from exclave.abi.interface import Interface, Method
from exclave.abi.wire import DATAGRAM_LIMIT, INLINE_LIMIT, SEQUENCE_LIMIT, Code, Kind, encode, encode_call
from exclave.runtime.outcome import DISCARD_LIMIT, ProtocolFault, parse, result_of, revoked, welcomed

IN_FLIGHT: Final = 4
_BATCH: Final = 16  # datagrams taken per turn of the loop, so that a flood leaves turns for others
_NOSIGNAL: Final = int(socket.MSG_NOSIGNAL)


class Link:
    """One connection, which belongs to the running event loop of this process.

    Args:
        sock: the client's end, owned by the link from now on.
        target: name of the callee, for messages.
    """

    def __init__(self, sock: socket.socket, target: str) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.loop = asyncio.get_running_loop()
        self.process = os.getpid()
        self.closed = False
        self._target = target
        self._sequence = 0
        self._discarded = 0
        self._free = IN_FLIGHT
        self._queued: deque[asyncio.Future[None]] = deque()
        self._senders: list[asyncio.Future[None]] = []
        self._answers: dict[int, tuple[Method | Interface, asyncio.Future[Any]]] = {}
        # One byte more than any message has, so that a longer one shows.
        self._buffer = bytearray(DATAGRAM_LIMIT + 1)
        self._view = memoryview(self._buffer)
        self.loop.add_reader(sock.fileno(), self._readable)

    async def greet(self, interface: Interface) -> None:
        """Agree on the interface with the server."""
        answer: asyncio.Future[Any] = self.loop.create_future()
        self._answers[0] = (interface, answer)
        try:
            await self._send(encode(Kind.HELLO, 0, interface.digest), -1)
            await answer
        finally:
            self._answers.pop(0, None)

    async def call(self, method: Method, body: bytes, end: int) -> Any:
        """Send one call and await its answer."""
        await self._enter()
        sequence = self._sequence = self._sequence % (SEQUENCE_LIMIT - 1) + 1
        answer: asyncio.Future[Any] = self.loop.create_future()
        self._answers[sequence] = (method, answer)
        sent = False
        try:
            if len(body) <= INLINE_LIMIT:
                await self._send(encode_call(sequence, method.index, end, body), -1)
            else:
                await self._send_frame(sequence, method, body, end)
            sent = True
            return await answer
        except asyncio.CancelledError:
            # Cancelling a task cancels the future that it awaits, so an unanswered one is done, too.
            if sent and (answer.cancelled() or not answer.done()):
                with suppress(OSError):
                    self.sock.send(encode(Kind.CANCEL, sequence), _NOSIGNAL)
            raise
        finally:
            self._answers.pop(sequence, None)
            self._leave()

    async def _enter(self) -> None:
        """Wait until fewer than IN_FLIGHT calls are at the server."""
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = self.loop.create_future()
        self._queued.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._leave()
            raise

    def _leave(self) -> None:
        while self._queued:
            turn = self._queued.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    async def _send_frame(self, sequence: int, method: Method, body: bytes, end: int) -> None:
        try:
            frame = payload.seal(body)
        except OSError as error:
            text = f"{self._target}.{method.name}: cannot make a frame of {len(body)} bytes: {error}"
            raise Refused(Code.TOO_LARGE, text) from None
        try:
            await self._send(
                encode(Kind.CALL, sequence, method=method.index, deadline=end, framed=len(body)), frame
            )
        finally:
            os.close(frame)

    async def _send(self, data: bytes, frame: int) -> None:
        while not self.closed:
            try:
                if frame < 0:
                    self.sock.send(data, _NOSIGNAL)
                else:
                    payload.send(self.sock, data, frame, _NOSIGNAL)
                return
            except BlockingIOError:
                await self._writable()
            except OSError:
                break
        self.shut(lambda: revoked(self._target))
        raise revoked(self._target)

    async def _writable(self) -> None:
        """Wait for room in the server's queue; all tasks that wait for it are woken together."""
        room: asyncio.Future[None] = self.loop.create_future()
        if not self._senders:
            self.loop.add_writer(self.sock.fileno(), self._wake_senders)
        self._senders.append(room)
        await room

    def _wake_senders(self) -> None:
        self.loop.remove_writer(self.sock.fileno())
        senders, self._senders = self._senders, []
        for room in senders:
            if not room.done():
                room.set_result(None)

    def _readable(self) -> None:
        for _ in range(_BATCH):
            try:
                size, overlong, received = payload.receive(self.sock, self._buffer)
            except BlockingIOError:
                return
            except OSError:
                self.shut(lambda: revoked(self._target))
                return
            try:
                if not size:
                    self.shut(lambda: revoked(self._target))
                    return
                self._take(size, overlong, received)
            except ProtocolFault as fault:
                self._break(fault.reason)
                return
            finally:
                received.close()

    def _take(self, size: int, overlong: bool, received: payload.Received) -> None:
        """Give one answer to the task that waits for it.

        Raises:
            ProtocolFault: it is no answer.
        """
        message = parse(self._target, self._view[:size], overlong, received)
        method, answer = self._answers.pop(message.sequence, (None, None))
        if method is None or answer is None:
            self._discarded += 1
            if self._discarded > DISCARD_LIMIT:
                raise ProtocolFault(self._target, f"{self._discarded} answers to calls that nobody made")
            return
        self._discarded = 0
        try:
            if isinstance(method, Interface):
                welcomed(self._target, method, message)
                result = None
            else:
                result = result_of(self._target, method, message, received)
        except ProtocolFault:
            self._answers[message.sequence] = (method, answer)
            raise
        except Exception as error:
            if not answer.done():
                answer.set_exception(error)
        else:
            if not answer.done():
                answer.set_result(result)

    def _break(self, reason: str) -> None:
        self.shut(lambda: ProtocolFault(self._target, reason))

    def shut(self, error: Callable[[], Exception]) -> None:
        """Close the connection from within its loop; every task that waits gets an exception."""
        if self.closed:
            return
        self.closed = True
        self.loop.remove_reader(self.sock.fileno())
        if self._senders:
            self._wake_senders()
        self.sock.close()
        answers, self._answers = self._answers, {}
        for _, answer in answers.values():
            if not answer.done():
                answer.set_exception(error())

    def abandon(self) -> None:
        """Close this process's descriptor of a connection whose loop is closed or another process's."""
        self.closed = True
        self.sock.close()
