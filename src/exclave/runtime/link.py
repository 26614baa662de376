"""One connection of the synchronous client.

Trust: outside.
Purpose: exchange a call for its answer on one socket, never past a deadline.
Rules: 1. the socket does not block: time is spent in poll(2) alone, which is told how long.
2. the lock is held from the call to its answer: one call of this process is at the server at a time.
3. answers to other calls are discarded; what breaks the protocol ends the connection.
"""

from __future__ import annotations

import os
import select
import socket
from contextlib import suppress
from threading import Lock
from time import monotonic_ns
from typing import Any, Final, TypeAlias

from exclave.abi import payload
from exclave.abi.exceptions import Fault, Refused, Revoked
from exclave.abi.interface import Interface, Method
from exclave.abi.wire import (
    DATAGRAM_LIMIT,
    HEADER,
    HEADER_SIZE,
    INLINE_LIMIT,
    SEQUENCE_LIMIT,
    Code,
    Kind,
    Message,
    encode,
    encode_call,
)
from exclave.runtime.outcome import (
    DISCARD_LIMIT,
    REPLY,
    ProtocolFault,
    late,
    parse,
    result_of,
    revoked,
    welcomed,
    wrong_result,
)

_NOSIGNAL: Final = int(socket.MSG_NOSIGNAL)
_CLOEXEC: Final = int(socket.MSG_CMSG_CLOEXEC)
_ROOM: Final = payload.ANCILLARY_SIZE
_Datagram: TypeAlias = tuple[int, list[payload.Ancillary], int]
_LONGEST: Final = 2**31 - 1  # ms, the most that poll(2) takes


class Link:
    """What one process has of a client: a socket, and the lock that its threads share.

    Args:
        target: name of the callee, for messages.
    """

    __slots__ = ("_buffer", "_discarded", "_poll", "_sequence", "_target", "_view", "lock", "sock")

    def __init__(self, target: str) -> None:
        self.lock = Lock()
        self.sock: socket.socket | None = None
        self._target = target
        self._poll = select.poll()
        self._sequence = 0
        self._discarded = 0
        # One byte more than any message has, so that a longer one shows.
        self._buffer = bytearray(DATAGRAM_LIMIT + 1)
        self._view = memoryview(self._buffer)

    def open(self, sock: socket.socket, interface: Interface, end: int) -> None:
        """Take a socket and agree on the interface with the server; the lock is held.

        Args:
            sock: this process's end, owned by the link from now on, also when this raises.
            interface: what the server should serve.
            end: CLOCK_MONOTONIC, ns.

        Raises:
            Refused: the server serves another version.
            Revoked, DeadlineExceeded, Fault: it did not answer, or wrongly.
        """
        self.drop()
        self.sock = sock
        self._discarded = 0
        try:
            sock.setblocking(False)
            self._poll = select.poll()
            self._poll.register(sock, select.POLLIN)
            self._send(sock, encode(Kind.HELLO, 0, interface.digest), -1, "connect", end)
            first = self._receive(sock, "connect", end)
            message, received = self._match(sock, *first, 0, "connect", end)
            received.close()
            welcomed(self._target, interface, message)
        except BaseException:
            self.drop()
            raise

    def call(self, sock: socket.socket, method: Method, body: bytes, end: int) -> Any:
        """Send one call and return its result, or raise what it raised; the lock is held.

        Args:
            sock: the link's socket.
            method: what is called.
            body: its encoded arguments.
            end: CLOCK_MONOTONIC, ns.
        """
        sequence = self._sequence = self._sequence % (SEQUENCE_LIMIT - 1) + 1
        if len(body) <= INLINE_LIMIT:
            self._send(sock, encode_call(sequence, method.index, end, body), -1, method.name, end)
        else:
            self._send_frame(sock, sequence, method, body, end)
        try:
            size, messages, flags = self._receive(sock, method.name, end)
            if (
                not messages
                and HEADER_SIZE <= size <= DATAGRAM_LIMIT
                and HEADER.unpack_from(self._buffer) == (REPLY, 0, 0, sequence, size - HEADER_SIZE, 0)
            ):
                # The usual answer. What `parse` would check is in the comparison above.
                try:
                    return method.result.decode(self._view[HEADER_SIZE:size])
                except Exception as error:
                    raise wrong_result(self._target, method, error) from None
            message, received = self._match(sock, size, messages, flags, sequence, method.name, end)
        except (Revoked, Fault):
            raise
        except BaseException:
            # The deadline, or an exception of this process's own, such as KeyboardInterrupt.
            self._cancel(sock, sequence)
            raise
        try:
            return result_of(self._target, method, message, received)
        finally:
            received.close()

    def drop(self) -> None:
        """Close the socket."""
        sock, self.sock = self.sock, None
        if sock is not None:
            sock.close()

    def _receive(
        self, sock: socket.socket, method: str, end: int
    ) -> tuple[int, list[payload.Ancillary], int]:
        """Receive one datagram into the buffer.

        Raises:
            DeadlineExceeded: none came.
            Revoked: the server closed.
        """
        poll = self._poll.poll
        while True:
            left = (end - monotonic_ns()) / 1e6
            if left <= 0:
                raise late(self._target, method)
            if poll(left if left < _LONGEST else _LONGEST):
                try:
                    size, messages, flags, _ = sock.recvmsg_into(
                        (self._buffer,), payload.ANCILLARY_SIZE, _CLOEXEC
                    )
                except BlockingIOError:
                    continue
                except OSError:
                    raise revoked(self._target) from None
                if not size:
                    payload.descriptors(messages).close()
                    raise revoked(self._target)
                return size, messages, flags

    def _match(
        self,
        sock: socket.socket,
        size: int,
        messages: list[payload.Ancillary],
        flags: int,
        sequence: int,
        method: str,
        end: int,
    ) -> tuple[Message, payload.Received]:
        """Return the answer to `sequence`, from the datagram in the buffer or a later one."""
        while True:
            received = payload.descriptors(messages)
            try:
                message = parse(self._target, self._view[:size], flags & payload.TRUNCATED != 0, received)
                if message.sequence == sequence:
                    self._discarded = 0
                    return message, received
                self._discarded += 1
                if self._discarded > DISCARD_LIMIT:
                    raise ProtocolFault(self._target, f"{self._discarded} answers to calls that nobody made")
            except BaseException:
                received.close()
                raise
            received.close()
            size, messages, flags = self._receive(sock, method, end)

    def _send(self, sock: socket.socket, data: bytes, frame: int, method: str, end: int) -> None:
        """Send one datagram, waiting for room in the server's queue.

        Raises:
            DeadlineExceeded: there was none in time.
            Revoked: the server closed.
        """
        while True:
            try:
                if frame < 0:
                    sock.send(data, _NOSIGNAL)
                else:
                    payload.send(sock, data, frame, _NOSIGNAL)
                return
            except BlockingIOError:
                left = (end - monotonic_ns()) / 1e6
                if left <= 0:
                    raise late(self._target, method) from None
            except OSError:
                raise revoked(self._target) from None
            room = select.poll()
            room.register(sock, select.POLLOUT)
            room.poll(min(left, _LONGEST))

    def _send_frame(self, sock: socket.socket, sequence: int, method: Method, body: bytes, end: int) -> None:
        try:
            frame = payload.seal(body)
        except OSError as error:
            text = f"{self._target}.{method.name}: cannot make a frame of {len(body)} bytes: {error}"
            raise Refused(Code.TOO_LARGE, text) from None
        try:
            header = encode(Kind.CALL, sequence, method=method.index, deadline=end, framed=len(body))
            self._send(sock, header, frame, method.name, end)
        finally:
            os.close(frame)

    def _cancel(self, sock: socket.socket, sequence: int) -> None:
        """Tell the server that nobody waits any more, without waiting for it."""
        # Its queue is full or it is gone: the answer, if one comes, is discarded anyway.
        with suppress(OSError):
            sock.send(encode(Kind.CANCEL, sequence), _NOSIGNAL)
