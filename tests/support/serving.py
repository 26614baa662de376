"""Trust: outside.

A server in a thread, and peers that speak to it in raw bytes, so that a test can misbehave on either end.
"""

from __future__ import annotations

import select
import socket
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

import msgspec

from exclave.abi.interface import Caller, Interface
from exclave.abi.rights import WRITE_GRANT
from exclave.abi.wire import DATAGRAM_LIMIT, Kind, Message, decode, encode
from exclave.runtime.server import Report, Server

PATIENCE = 20.0
"""Seconds after which something that should have happened has not: never waited for when it does."""


def pair() -> tuple[socket.socket, socket.socket]:
    """A connected pair, as the nucleus makes for an endpoint."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class Peer:
    """One end of an endpoint, in raw messages."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        self.sock = sock

    def send(self, data: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send one datagram."""
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))] if descriptors else []
        self.sock.sendmsg([data], ancillary)

    def hello(self, component: type) -> None:
        """Greet as a client of this component does, and be welcomed."""
        self.send(encode(Kind.HELLO, 0, Interface.of(component).digest))
        assert self.receive().kind == Kind.WELCOME

    def call(
        self, component: type, method: str, *arguments: object, sequence: int = 1, deadline: int = 0
    ) -> None:
        """Send one call and do not wait for its answer."""
        index = Interface.of(component).by_name[method].index
        body = msgspec.msgpack.encode(arguments)
        self.send(encode(Kind.CALL, sequence, body, method=index, deadline=deadline))

    def receive(self) -> Message:
        """Receive one message; it must be well formed."""
        message = decode(self.sock.recv(DATAGRAM_LIMIT + 1))
        assert isinstance(message, Message), message
        return message

    def notice(self) -> tuple[int, str, str]:
        """Receive a REFUSAL or FAULT: its kind, its code and its text."""
        message = self.receive()
        code, text = msgspec.msgpack.decode(message.body, type=tuple[str, str])
        return message.kind, code, text

    def answer(self) -> Any:
        """Receive a REPLY and return what is in it."""
        message = self.receive()
        assert message.kind == Kind.REPLY, message
        return msgspec.msgpack.decode(message.body)

    def ended(self) -> bool:
        """Wait until the other end closes; False when something comes first."""
        try:
            return not self.sock.recv(DATAGRAM_LIMIT + 1)
        except ConnectionResetError:
            return True

    def drained(self) -> int:
        """Read until the other end closes; return how many messages there were."""
        count = 0
        while not self.ended():
            count += 1
        return count


class Serving:
    """A server in a thread of its own.

    Args:
        component: an initialised component.
    """

    def __init__(self, component: object) -> None:
        self.component = component
        self.reports: SimpleQueue[Report] = SimpleQueue()
        self._control, self._served = pair()
        self._jobs: SimpleQueue[tuple[Callable[[], object], Event]] = SimpleQueue()
        self._next = 0
        self.failure: BaseException | None = None
        self.server = Server(component, Interface.of(type(component)), self.reports.put)
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()
        self._sockets: list[socket.socket] = []

    def _run(self) -> None:
        try:
            self.server.serve_forever(self._served, self._on_control)
        except BaseException as error:
            self.failure = error
        finally:
            self.server.close()

    def _on_control(self) -> bool:
        if not self._served.recv(1):
            return False
        job, done = self._jobs.get()
        job()
        done.set()
        return True

    def post(self, job: Callable[[], object]) -> Event:
        """Let something run in the server's thread, between its turns; the event says that it has."""
        done = Event()
        self._jobs.put((job, done))
        self._control.send(b"!")
        return done

    def within(self, job: Callable[[], object]) -> None:
        """Run something in the server's thread, between its turns."""
        assert self.post(job).wait(PATIENCE), self.failure

    def connect(self, name: str = "monolith", badge: int = 1, rights: int = WRITE_GRANT) -> socket.socket:
        """Admit one more caller and return its end."""
        client, served = pair()
        self._next += 1
        number = self._next
        self.within(lambda: self.server.add(number, served, Caller(name, badge, rights)))
        self._sockets.append(client)
        return client

    def peer(self, name: str = "monolith", badge: int = 1, rights: int = WRITE_GRANT) -> Peer:
        """Admit one more caller that has greeted already."""
        peer = Peer(self.connect(name, badge, rights))
        peer.hello(type(self.component))
        return peer

    def report(self) -> Report:
        """Wait for the next report."""
        return self.reports.get(timeout=PATIENCE)

    def stop(self) -> None:
        """End the server, which must still be running."""
        failure = self.failure
        self._control.close()
        self._thread.join(PATIENCE)
        for sock in self._sockets:
            sock.close()
        self._served.close()
        assert failure is None, failure
        assert not self._thread.is_alive()


@contextmanager
def serving(component: object) -> Iterator[Serving]:
    """Serve a component; the server must have survived at the end."""
    made = Serving(component)
    try:
        yield made
    finally:
        made.stop()


@contextmanager
def acting(script: Callable[[Peer], object]) -> Iterator[socket.socket]:
    """Run a hostile server, a function of its Peer, in a thread; yields the client's end."""
    client, server = pair()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            script(Peer(server))
        except (BrokenPipeError, ConnectionResetError):
            pass
        except BaseException as error:
            failures.append(error)
        finally:
            server.close()

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        yield client
    finally:
        client.close()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        assert not failures, failures


def readable(sock: socket.socket) -> bool:
    """Whether something has arrived."""
    return bool(select.select([sock], [], [], 0)[0])
