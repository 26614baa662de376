"""One caller's connection, as the server sees it.

Trust: reviewed.
Purpose: hold a caller's socket, its queue and its rights, and send to it without ever waiting.
Rules: 1. at most QUEUE_LIMIT calls wait, and at most one frame: each caller costs a bounded amount.
2. every descriptor that a caller sent is closed here or by who takes it.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from typing import Any, Final

from exclave.abi import payload
from exclave.abi.interface import ENCODER, Caller
from exclave.abi.rights import GRANT, WRITE
from exclave.abi.wire import FRAME_LIMIT, HEADER_SIZE, INLINE_LIMIT, Kind, Message, encode

QUEUE_LIMIT: Final = 16

_NOSIGNAL: Final = int(socket.MSG_NOSIGNAL)
SLOW: Final = "it does not read its replies"


class Connection:
    """One caller.

    Args:
        number: the nucleus's number for it.
        sock: the server's end, non-blocking.
        caller: who holds the other end.
    """

    __slots__ = (
        "callable",
        "caller",
        "closed",
        "fileno",
        "frame",
        "framing",
        "greeted",
        "malformed",
        "number",
        "queue",
        "sock",
    )

    def __init__(self, number: int, sock: socket.socket, caller: Caller) -> None:
        self.number = number
        self.sock = sock
        self.fileno = sock.fileno()
        self.caller = caller
        self.callable = bool(caller.rights & WRITE)
        self.framing = bool(caller.rights & GRANT)
        self.queue: deque[Message] = deque()
        self.frame = -1
        self.greeted = False
        self.malformed = 0
        self.closed = False

    @property
    def frame_fix(self) -> str:
        """What a caller without the right to send frames is told."""
        return (
            f"{self.caller.name} may not attach frames; keep arguments under {INLINE_LIMIT} bytes "
            'or add "frame" to the rights of its `use`'
        )

    def take_frame(self) -> int:
        """Return the descriptor of the frame in the queue; the caller of this closes it."""
        frame, self.frame = self.frame, -1
        return frame

    def cancel(self, sequence: int) -> bool:
        """Remove a waiting call; False when there is none with this sequence."""
        for index, message in enumerate(self.queue):
            if message.sequence == sequence:
                del self.queue[index]
                if message.flags:
                    os.close(self.take_frame())
                return True
        return False

    def send(self, kind: Kind, sequence: int, body: Any) -> str:
        """Send a message, with no body for None; return why the connection is lost, "" when it is not."""
        return self.send_bytes(encode(kind, sequence, b"" if body is None else ENCODER.encode(body)))

    def send_bytes(self, data: bytes | bytearray) -> str:
        """Send one datagram; return why the connection is lost, "" when it is not."""
        try:
            self.sock.send(data, _NOSIGNAL)
        except BlockingIOError:
            return SLOW
        except OSError as error:
            return f"sending failed: {os.strerror(error.errno or 0)}"
        return ""

    def send_frame(self, kind: int, sequence: int, data: bytearray) -> str | None:
        """Send a body that is too large for a datagram.

        Args:
            kind: REPLY or RAISED.
            sequence: which call it belongs to.
            data: room for a header, then the body.

        Returns:
            Why the connection is lost, "" when it is not, None when this domain cannot make the frame.
        """
        length = len(data) - HEADER_SIZE
        if length > FRAME_LIMIT:
            return None
        try:
            frame = payload.seal(memoryview(data)[HEADER_SIZE:])
        except OSError:
            return None
        try:
            payload.send(self.sock, encode(kind, sequence, framed=length), frame, _NOSIGNAL)
        except BlockingIOError:
            return SLOW
        except OSError as error:
            return f"sending failed: {os.strerror(error.errno or 0)}"
        finally:
            os.close(frame)
        return ""

    def close(self) -> None:
        """Close the socket and forget what waits."""
        self.closed = True
        self.queue.clear()
        if self.frame >= 0:
            os.close(self.take_frame())
        self.sock.close()
