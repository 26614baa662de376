"""From an answer to a result or an exception: what both clients do with a message from a server.

Trust: outside.
Purpose: turn one answer into the caller's result, believing nothing that the server says about itself.
Rules: 1. whatever a server sends, the caller gets a result of the declared type or a typed exception.
2. an answer that breaks the protocol is a Fault of kind "protocol" and ends the connection.
"""

from __future__ import annotations

from typing import Any, Final

from exclave.abi import payload
from exclave.abi.exceptions import ComponentError, DeadlineExceeded, Fault, Refused, Revoked
from exclave.abi.interface import ENCODER, NOTICE, RAISED, Interface, Method, can_cross
from exclave.abi.rights import GRANT
from exclave.abi.wire import FRAME_LIMIT, INLINE_LIMIT, Code, Data, Kind, Malformed, Message, decode

DISCARD_LIMIT: Final = 4096
"""Answers to nothing that one connection may bring: more is no accident of cancelled calls."""

REPLY: Final = int(Kind.REPLY)


class ProtocolFault(Fault):
    """The server broke the protocol, so that nothing more can be believed on this connection."""

    def __init__(self, target: str, text: str) -> None:
        self.target = target
        self.reason = text
        super().__init__("protocol", f"{target} broke the protocol: {text}; the connection was closed")

    def __reduce__(self) -> tuple[type[Fault], tuple[str, str]]:
        """Copy as the Fault that it is."""
        return Fault, (self.kind, self.text)


class WrongAnswer(Fault):
    """The answer to one call is not what the interface says; the connection is still in step."""

    def __init__(self, target: str, text: str) -> None:
        super().__init__("protocol", f"{target} answered wrongly: {text}")

    def __reduce__(self) -> tuple[type[Fault], tuple[str, str]]:
        """Copy as the Fault that it is."""
        return Fault, (self.kind, self.text)


def revoked(target: str) -> Revoked:
    """Return what a call on a closed connection raises."""
    return Revoked(
        f"the capability for {target} is gone: it was revoked, or {target} ended; `exclave status` says which"
    )


def late(target: str, method: str) -> DeadlineExceeded:
    """Return what a call raises whose deadline passed."""
    return DeadlineExceeded(
        f"{target}.{method} did not answer before the deadline; "
        "give it longer with `with exclave.deadline(seconds):`"
    )


def wrong_result(target: str, method: Method, error: Exception) -> WrongAnswer:
    """Return what a call raises whose result is not of the declared type."""
    return WrongAnswer(target, f"{method.name}: {error}")


def encode_arguments(target: str, method: Method, rights: int, arguments: tuple[Any, ...]) -> bytes:
    """Encode the arguments of a call.

    Raises:
        TypeError: one of them cannot travel; the caller's fault.
        Refused: they are too large for the rights of this capability, or for any.
    """
    try:
        body = ENCODER.encode(arguments)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise TypeError(f"{target}.{method.name}: an argument cannot travel: {error}") from None
    size = len(body)
    if size > INLINE_LIMIT:
        if not rights & GRANT:
            raise Refused(
                Code.NOT_GRANTED,
                f"{target}.{method.name}: {size} bytes of arguments need a frame; keep them under "
                f'{INLINE_LIMIT} bytes or add "frame" to the rights of `use` for {target}',
            )
        if size > FRAME_LIMIT:
            raise Refused(
                Code.TOO_LARGE,
                f"{target}.{method.name}: {size} bytes of arguments, a frame has at most {FRAME_LIMIT}",
            )
    return body


def parse(target: str, data: Data, overlong: bool, received: payload.Received) -> Message:
    """Return the message in a datagram.

    Raises:
        ProtocolFault: there is none, or its descriptors do not belong to it.
    """
    message = decode(data)
    if isinstance(message, Malformed):
        raise ProtocolFault(target, message.reason)
    if overlong:
        raise ProtocolFault(target, "more came than fits into a message")
    if received and not message.flags:
        raise ProtocolFault(target, f"{len(received)} descriptors came with a message that has no frame")
    if message.flags:
        reason = payload.check(received, message.length)
        if reason:
            raise ProtocolFault(target, reason)
    return message


def result_of(target: str, method: Method, message: Message, received: payload.Received) -> Any:
    """Return the result of a call, or raise what it raised.

    Args:
        target: name of the callee.
        method: what was called.
        message: the answer, from `parse`.
        received: its descriptors, which stay the caller's to close.

    Raises:
        Refused, Fault, DeadlineExceeded: as the answer says.
        ComponentError: one that the method declares.
    """
    body = message.body
    try:
        if message.flags:
            copied = payload.read(received[0], message.length)
            if copied is None:
                raise WrongAnswer(target, "its frame cannot be read")
            body = copied
        if message.kind == REPLY:
            return method.result.decode(body)
        if message.kind == Kind.RAISED:
            index, arguments = RAISED.decode(body)
            raise _declared(target, method, index, arguments)
        code, text = NOTICE.decode(body)
    except (Fault, ComponentError):
        raise
    except MemoryError:
        raise WrongAnswer(target, f"{message.length} bytes do not fit into memory") from None
    except Exception as error:
        raise wrong_result(target, method, error) from None
    raise _notice(target, method, message.kind, code, text)


def _notice(target: str, method: Method, kind: int, code: str, text: str) -> Exception:
    where = f"{target}.{method.name}"
    if kind == Kind.FAULT:
        return Fault(code, f"{where}: {text}")
    if kind == Kind.REFUSAL:
        if code == Code.DEADLINE_EXCEEDED:
            return late(target, method.name)
        return Refused(code, f"{where}: {text}")
    return WrongAnswer(target, f"a message of kind {kind}")


def _declared(target: str, method: Method, index: int, arguments: list[Any]) -> Exception:
    if not 0 <= index < len(method.raises):
        return WrongAnswer(target, f"{method.name} does not declare exception {index}")
    if not can_cross(arguments):
        return WrongAnswer(target, "an exception carries what cannot cross")
    kind = method.raises[index]
    try:
        return kind(*arguments)
    except Exception as error:
        return WrongAnswer(target, f"{kind.__name__} cannot be made from its arguments: {error}")


def welcomed(target: str, interface: Interface, message: Message) -> None:
    """Check the answer to HELLO.

    Raises:
        Refused: the server does not serve this interface.
        ProtocolFault: it is no answer to HELLO.
    """
    if message.sequence == 0:
        if message.kind == Kind.WELCOME:
            return
        if message.kind == Kind.REFUSAL:
            try:
                code, text = NOTICE.decode(message.body)
            except Exception:
                raise ProtocolFault(target, "its refusal cannot be read") from None
            raise Refused(code, f"{target} ({interface.name}): {text}")
    raise ProtocolFault(target, f"a message of kind {message.kind} came where WELCOME belongs")
