"""The loop that an exclave runs: it takes calls and answers them, one at a time.

Trust: reviewed.
Purpose: serve every caller its turn, whatever the other callers do.
Rules: 1. one call per caller per turn, at most QUEUE_LIMIT waiting per caller.
2. no caller is waited for: who does not read its reply loses its connection.
3. everything that a caller sends is hostile until decoded; what it cannot do is answered or ends only it.
4. no file is opened and no module imported from here on: the domain cannot do either any more.
"""

from __future__ import annotations

import os
import select
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from exclave.abi import payload
from exclave.abi.interface import Caller, Interface
from exclave.abi.rights import GRANT
from exclave.abi.wire import DATAGRAM_LIMIT, Code, Kind, Malformed, Message, decode
from exclave.runtime.budget import Budget
from exclave.runtime.connection import QUEUE_LIMIT, Connection
from exclave.runtime.dispatch import Dispatcher
from exclave.runtime.report import Report, ReportKind

MALFORMED_LIMIT: Final = 3
"""Malformed messages after which a connection ends: a client that speaks the protocol sends none."""

_SO_PASSRIGHTS: Final = 83  # Linux 6.16, socket(7)
_GONE: Final = select.EPOLLHUP | select.EPOLLERR | select.EPOLLRDHUP
_READABLE: Final = select.EPOLLIN | select.EPOLLRDHUP
_CLOEXEC: Final = int(socket.MSG_CMSG_CLOEXEC)
_CALL: Final = int(Kind.CALL)
_CANCEL: Final = int(Kind.CANCEL)
_HELLO: Final = int(Kind.HELLO)


class Server:
    """Serves one component to its callers.

    Args:
        component: the initialised component.
        interface: `Interface.of(type(component))`.
        report: told of each fault and of each connection that ended; it must not wait.
        budget: seconds that one call may run; None = unbounded. Needs the main thread, for SIGALRM.
    """

    def __init__(
        self,
        component: object,
        interface: Interface,
        report: Callable[[Report], None],
        budget: float | None = None,
    ) -> None:
        self._interface = interface
        self._report = report
        self._budget = Budget(budget)
        self._dispatcher = Dispatcher(component, interface, report, self._budget)
        self._epoll = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._by_fileno: dict[int, Connection] = {}
        self._watched: dict[int, Callable[[], None]] = {}
        self._waiting: deque[Connection] = deque()
        # One byte more than any message has, so that a longer one shows.
        self._buffer = bytearray(DATAGRAM_LIMIT + 1)
        self._running = False

    def add(self, connection: int, sock: socket.socket, caller: Caller) -> None:
        """Serve one more caller; the server owns the socket from now on.

        Args:
            connection: the nucleus's number for it.
            sock: this end of a SOCK_SEQPACKET pair.
            caller: who holds the other end.

        Raises:
            ValueError: the number is in use; the nucleus's fault.
        """
        if connection in self._connections:
            raise ValueError(f"connection {connection} exists; remove it first")
        sock.setblocking(False)
        if not caller.rights & GRANT:
            # Kernels without it deliver descriptors, and `receive` without room for any drops them.
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, _SO_PASSRIGHTS, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * DATAGRAM_LIMIT)
        made = Connection(connection, sock, caller)
        self._connections[connection] = self._by_fileno[made.fileno] = made
        self._epoll.register(made.fileno, _READABLE)

    def remove(self, connection: int) -> None:
        """Stop serving a caller and forget its waiting calls; an unknown number is ignored."""
        found = self._connections.get(connection)
        if found is not None:
            self._forget(found)

    def watch(self, fileno: int, callback: Callable[[], None]) -> None:
        """Run `callback` in the loop whenever this descriptor is readable or closed."""
        self._watched[fileno] = callback
        self._epoll.register(fileno, _READABLE)

    def unwatch(self, fileno: int) -> None:
        """Stop watching a descriptor; call it before closing that."""
        if self._watched.pop(fileno, None) is not None:
            self._epoll.unregister(fileno)

    def stop(self) -> None:
        """Let `serve_forever` return after this turn; for callbacks and component methods."""
        self._running = False

    def close(self) -> None:
        """End every connection."""
        for connection in list(self._connections.values()):
            self._forget(connection)
        self._epoll.close()

    def serve_forever(self, control: socket.socket | None, on_control: Callable[[], bool]) -> None:
        """Serve until `on_control` returns False.

        Args:
            control: the domain's control socket; None when there is none.
            on_control: called when it is readable or closed.

        Raises:
            ValueError: a budget is set and this is not the main thread.
        """

        def controlled() -> None:
            if not on_control():
                self._running = False

        if control is not None:
            self.watch(control.fileno(), controlled)
        self._running = True
        with self._budget:
            while self._running:
                self._turn()
        if control is not None:
            self.unwatch(control.fileno())

    def _turn(self) -> None:
        """Take in what has arrived, then answer one call of each caller that has one."""
        self._take(self._epoll.poll(0 if self._waiting else -1))
        # A CANCEL or a withdrawal that is already here must be seen before the call that it is about. The
        # number of passes is bounded, or a caller that floods would keep the others' calls from running.
        for _ in range(QUEUE_LIMIT):
            if not self._waiting or not self._take(self._epoll.poll(0)):
                break
        for _ in range(len(self._waiting)):
            if not self._waiting:
                return
            connection = self._waiting.popleft()
            if connection.closed:
                continue
            # A call is never left half done by a stop: the flag is looked at between calls.
            message = connection.queue.popleft()
            reason = self._dispatcher.answer(connection, message)
            if reason:
                self._drop(connection, reason)
            elif connection.queue:
                self._waiting.append(connection)
            if not self._running:
                return

    def _take(self, events: list[tuple[int, int]]) -> bool:
        """Receive at most one message from each ready connection; False when none could be taken."""
        taken = False
        for fileno, event in events:
            connection = self._by_fileno.get(fileno)
            if connection is None:
                watcher = self._watched.get(fileno)
                if watcher is not None:
                    watcher()
            elif event & _GONE:
                # What a revoked or closed connection still has in its queue is not served.
                self._drop(connection, "closed")
            elif connection.frame < 0 and len(connection.queue) < QUEUE_LIMIT:
                # A frame fills the queue, because it holds a descriptor.
                taken = self._receive(connection) or taken
        return taken

    def _receive(self, connection: Connection) -> bool:
        received = None
        flags = 0
        try:
            if connection.framing:
                size, messages, flags, _ = connection.sock.recvmsg_into(
                    (self._buffer,), payload.ANCILLARY_SIZE, _CLOEXEC
                )
                if messages:
                    received = payload.descriptors(messages)
            else:
                # Without room for descriptors the kernel drops any that were sent.
                size = connection.sock.recv_into(self._buffer)
        except BlockingIOError:
            return False
        except OSError as error:
            self._drop(connection, f"receiving failed: {os.strerror(error.errno or 0)}")
            return True
        try:
            if not size:
                self._drop(connection, "closed")
                return True
            message = decode(self._buffer[:size])
            if size > DATAGRAM_LIMIT or flags & payload.TRUNCATED:
                message = Malformed(
                    "it is longer than a message can be, or brings more descriptors", message.sequence
                )
            if isinstance(message, Message):
                reason = self._accept(connection, message, received)
            else:
                reason = message.reason
            if reason:
                self._malformed(connection, message.sequence, reason)
        finally:
            if received is not None:
                received.close()
        return True

    def _accept(self, connection: Connection, message: Message, received: payload.Received | None) -> str:
        """Queue or handle one message; return why it is not acceptable, "" when it is."""
        kind = message.kind
        if received and not message.flags:
            return f"{len(received)} descriptors came with a message that has no frame"
        if kind == _CALL:
            if not connection.greeted:
                self._refuse(
                    connection, message.sequence, Code.HELLO_FIRST, "send HELLO before the first call"
                )
                return ""
            if message.flags:
                if not connection.framing:
                    self._refuse(connection, message.sequence, Code.NOT_GRANTED, connection.frame_fix)
                    return ""
                reason = payload.check(received or (), message.length)
                if reason or received is None:
                    return reason
                connection.frame = received.pop()
            if not connection.queue:
                self._waiting.append(connection)
            connection.queue.append(message)
            return ""
        if kind == _CANCEL:
            self._cancel(connection, message.sequence)
            return ""
        if kind == _HELLO:
            self._greet(connection, message)
            return ""
        return f"kind {kind} is for a server to send"

    def _cancel(self, connection: Connection, sequence: int) -> None:
        if connection.cancel(sequence) and not connection.queue:
            self._waiting.remove(connection)

    def _greet(self, connection: Connection, message: Message) -> None:
        if bytes(message.body) != self._interface.digest:
            self._refuse(
                connection,
                message.sequence,
                Code.INTERFACE_MISMATCH,
                f"the exclave serves another version of {self._interface.name} than the caller knows; "
                "run both from the same source",
            )
            return
        connection.greeted = True
        self._send(connection, Kind.WELCOME, message.sequence, None)

    def _refuse(self, connection: Connection, sequence: int, code: Code, text: str) -> None:
        self._send(connection, Kind.REFUSAL, sequence, (str(code), text))

    def _send(self, connection: Connection, kind: Kind, sequence: int, body: Any) -> None:
        reason = connection.send(kind, sequence, body)
        if reason:
            self._drop(connection, reason)

    def _malformed(self, connection: Connection, sequence: int, reason: str) -> None:
        connection.malformed += 1
        if connection.malformed >= MALFORMED_LIMIT:
            self._drop(connection, f"{connection.malformed} malformed messages, the last: {reason}")
        else:
            self._refuse(connection, sequence, Code.MALFORMED, reason)

    def _drop(self, connection: Connection, reason: str) -> None:
        if not connection.closed:
            self._forget(connection)
            self._report(
                Report(ReportKind.DROPPED, connection.number, connection.caller.name, "", reason, "")
            )

    def _forget(self, connection: Connection) -> None:
        if connection.queue:
            self._waiting = deque(other for other in self._waiting if other is not connection)
        del self._connections[connection.number]
        del self._by_fileno[connection.fileno]
        self._epoll.unregister(connection.fileno)
        connection.close()


__all__ = ["MALFORMED_LIMIT", "QUEUE_LIMIT", "Report", "ReportKind", "Server"]
