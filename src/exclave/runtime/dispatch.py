"""From a call to its answer.

Trust: reviewed.
Purpose: decode a call's arguments, run the method, and encode exactly one answer.
Rules: 1. every call gets one answer, whatever the method does.
2. a caller learns of an undeclared exception only the class; the fault handler gets the rest.
3. what is sent is what the method's annotation says: a result that is anything else is a fault.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic_ns
from typing import Final

import msgspec

from exclave.abi import payload
from exclave.abi.exceptions import ComponentError, printable
from exclave.abi.interface import ENCODER, Interface, Method, can_cross
from exclave.abi.wire import DATAGRAM_LIMIT, HEADER, HEADER_SIZE, Code, Data, Kind, Message
from exclave.runtime.budget import Budget, BudgetExceeded
from exclave.runtime.connection import Connection
from exclave.runtime.deadline import current
from exclave.runtime.report import Report, ReportKind, describe

_REPLY: Final = int(Kind.REPLY)
_RAISED: Final = int(Kind.RAISED)
_SAID: Final = {
    ReportKind.FAULT: "failed; its fault handler has the details",
    ReportKind.BUDGET: "ran longer than its budget",
}


class WrongResult(TypeError):
    """The method returned something else than its annotation says."""


class _Entry:
    """One method, bound to the component, with what a call needs of it."""

    __slots__ = ("decode", "method", "plain", "run", "wants_caller")

    def __init__(self, component: object, method: Method) -> None:
        bound: Callable[..., object] = getattr(component, method.name)
        names = method.keyword_only

        def by_keyword(*arguments: object) -> object:
            split = len(arguments) - len(names)
            return bound(*arguments[:split], **dict(zip(names, arguments[split:], strict=True)))

        self.method = method
        self.run: Callable[..., object] = by_keyword if names else bound
        self.decode: Callable[[Data], tuple[object, ...]] = method.arguments.decode
        self.wants_caller = method.wants_caller
        self.plain = method.plain


class Dispatcher:
    """Answers calls to one component.

    Args:
        component: the component.
        interface: its interface.
        report: told of each fault.
        budget: of each call.
    """

    def __init__(
        self, component: object, interface: Interface, report: Callable[[Report], None], budget: Budget
    ) -> None:
        self._name = interface.name
        self._entries = tuple(_Entry(component, method) for method in interface.methods)
        self._report = report
        self._budget = budget
        # Room for a header, then the body of the answer that is being made.
        self._data = bytearray(HEADER_SIZE)

    def answer(self, connection: Connection, message: Message) -> str:
        """Run one call and send its answer.

        Returns:
            Why the connection is lost, "" when it is not.
        """
        body = message.body
        if message.flags:
            # Taken first: whatever is answered, the descriptor is closed and the queue open again.
            copied = _copy_frame(connection, message.length)
            if copied is None:
                return _refuse(connection, message, Code.TOO_LARGE, "the frame does not fit into its memory")
            body = copied
        now = monotonic_ns()
        deadline = message.deadline
        if deadline and now > deadline:
            return _refuse(connection, message, Code.DEADLINE_EXCEEDED, "it passed before the call began")
        if not connection.callable:
            text = f'{connection.caller.name} has no "call" right; add it to the rights of its `use`'
            return _refuse(connection, message, Code.NOT_GRANTED, text)
        if message.method >= len(self._entries):
            return _refuse(connection, message, Code.UNKNOWN_METHOD, f"there is no method {message.method}")
        entry = self._entries[message.method]
        budget = self._budget
        end = now + budget.length
        # Calls that the method makes end when this one must.
        token = current.set(deadline if deadline and deadline < end else end)
        arguments = None
        try:
            try:
                budget.begin(now)
                arguments = entry.decode(body)
                result = (
                    entry.run(connection.caller, *arguments) if entry.wants_caller else entry.run(*arguments)
                )
                self._encode(entry, result)
            finally:
                budget.since = 0
        except BaseException as error:
            budget.since = 0
            if arguments is None and isinstance(error, Exception):
                return _refuse(connection, message, *_bad_arguments(entry.method, error))
            return self._failed(connection, message.sequence, entry.method, error)
        finally:
            current.reset(token)
        return self._send(connection, _REPLY, message.sequence, entry.method)

    def _encode(self, entry: _Entry, result: object) -> None:
        """Put a result into `_data`, as what its annotation says and nothing else.

        Raises:
            WrongResult: it is something else; the component's fault.
        """
        data = self._data
        if entry.plain is not None and type(result) is entry.plain:
            try:
                ENCODER.encode_into(result, data, HEADER_SIZE)
            except (OverflowError, ValueError) as error:
                raise WrongResult(str(error)) from None
            return
        method = entry.method
        try:
            ENCODER.encode_into(result, data, HEADER_SIZE)
            shown = method.result.decode(memoryview(data)[HEADER_SIZE:])
            if method.canonical:
                # A subclass with more fields encodes them all: send only the declared ones.
                ENCODER.encode_into(shown, data, HEADER_SIZE)
        except MemoryError:
            raise
        except Exception as error:
            raise WrongResult(str(error)) from None

    def _send(self, connection: Connection, kind: int, sequence: int, method: Method) -> str:
        """Send what is in `_data`."""
        data = self._data
        if len(data) <= DATAGRAM_LIMIT:
            HEADER.pack_into(data, 0, kind, 0, 0, sequence, len(data) - HEADER_SIZE, 0)
            return connection.send_bytes(data)
        self._data = bytearray(HEADER_SIZE)
        reason = connection.send_frame(kind, sequence, data)
        if reason is None:
            error = WrongResult(f"{len(data) - HEADER_SIZE} bytes do not fit into a frame or into memory")
            return self._failed(connection, sequence, method, error)
        return reason

    def _failed(self, connection: Connection, sequence: int, method: Method, error: BaseException) -> str:
        """Answer a call whose method raised."""
        if isinstance(error, ComponentError) and self._encode_declared(method, error):
            return self._send(connection, _RAISED, sequence, method)
        self._data = bytearray(HEADER_SIZE)
        kind, report = type(error).__name__, ReportKind.FAULT
        if isinstance(error, BudgetExceeded):
            kind, report = "budget", ReportKind.BUDGET
        elif isinstance(error, WrongResult):
            kind = "result"
        reason = connection.send(Kind.FAULT, sequence, (kind, f"{self._name}.{method.name} {_SAID[report]}"))
        try:
            detail = describe(error)
        except Exception as other:
            detail = f"(no traceback: {type(other).__name__})"
        self._report(Report(report, connection.number, connection.caller.name, method.name, kind, detail))
        return reason

    def _encode_declared(self, method: Method, error: ComponentError) -> bool:
        """Put a declared exception into `_data`; False when it is not declared or cannot cross."""
        for index, declared in enumerate(method.raises):
            if isinstance(error, declared):
                if not can_cross(error.crossing):
                    return False
                try:
                    ENCODER.encode_into((index, error.crossing), self._data, HEADER_SIZE)
                except Exception:
                    return False
                return True
        return False


def _copy_frame(connection: Connection, length: int) -> bytes | None:
    frame = connection.take_frame()
    try:
        return payload.read(frame, length)
    except MemoryError:
        return None
    finally:
        os.close(frame)


def _refuse(connection: Connection, message: Message, code: Code, text: str) -> str:
    return connection.send(Kind.REFUSAL, message.sequence, (str(code), text))


def _bad_arguments(method: Method, error: Exception) -> tuple[Code, str]:
    if isinstance(error, MemoryError):
        return Code.TOO_LARGE, "the arguments do not fit into its memory"
    if isinstance(error, RecursionError):
        return Code.BAD_ARGUMENTS, f"{method.name}: the arguments are nested too deeply"
    # Only msgspec's own text: another exception comes from the component's constructors.
    text = str(error) if isinstance(error, msgspec.DecodeError) else type(error).__name__
    return Code.BAD_ARGUMENTS, f"{method.name}: {printable(text)}"
