"""Trust: outside.

What a server answers: results, declared exceptions, faults and refusals, one answer for each call.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread
from time import monotonic_ns

import msgspec
import pytest

from exclave.abi import payload
from exclave.abi.interface import Caller, Interface
from exclave.abi.rights import GRANT, WRITE
from exclave.abi.wire import INLINE_LIMIT, Kind, encode
from exclave.runtime.server import ReportKind, Server
from support.probe import Probe
from support.serving import Peer, Serving, pair, readable, serving


@pytest.fixture
def served() -> Iterator[Serving]:
    with serving(Probe()) as made:
        yield made


def _ask(peer: Peer, method: str, *arguments: object, sequence: int = 1, deadline: int = 0) -> None:
    peer.call(Probe, method, *arguments, sequence=sequence, deadline=deadline)


def test_a_call_is_answered_with_its_sequence(served: Serving) -> None:
    peer = served.peer()
    _ask(peer, "echo", b"x", sequence=77)
    answer = peer.receive()
    assert (answer.kind, answer.sequence) == (Kind.REPLY, 77)
    assert msgspec.msgpack.decode(answer.body) == b"x"


def test_each_caller_has_the_name_badge_and_rights_of_its_connection(served: Serving) -> None:
    peers = [served.peer(f"d{i}", badge=10 + i, rights=WRITE) for i in range(5)]
    for peer in peers:
        _ask(peer, "who", 1, False)
    for index, peer in enumerate(peers):
        assert peer.answer() == f"d{index}/{10 + index}/{WRITE}"


def test_keyword_only_parameters_arrive_by_name(served: Serving) -> None:
    peer = served.peer("app")
    _ask(peer, "who", 2, True)
    assert peer.answer() == "APP/1/6" * 2


@pytest.mark.parametrize("kind", ["greeting", "call"])
def test_without_the_right_greeting_nothing_runs(served: Serving, kind: str) -> None:
    peer = Peer(served.connect())
    if kind == "greeting":
        peer.send(encode(Kind.HELLO, 9, bytes(16)))
        assert peer.notice()[:2] == (Kind.REFUSAL, "InterfaceMismatch")
    _ask(peer, "echo", b"x")
    assert peer.notice()[:2] == (Kind.REFUSAL, "HelloFirst")
    assert served.component.log == []  # type: ignore[attr-defined]
    peer.hello(Probe)
    _ask(peer, "echo", b"x")
    assert peer.answer() == b"x"


def test_a_caller_without_the_call_right_is_refused(served: Serving) -> None:
    peer = served.peer(rights=GRANT)
    _ask(peer, "echo", b"x")
    kind, code, text = peer.notice()
    assert (kind, code) == (Kind.REFUSAL, "NotGranted")
    assert "monolith" in text


def test_a_method_that_does_not_exist_is_refused(served: Serving) -> None:
    peer = served.peer()
    peer.send(encode(Kind.CALL, 1, b"\x90", method=len(Interface.of(Probe).methods)))
    assert peer.notice()[:2] == (Kind.REFUSAL, "UnknownMethod")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x90",
        b"\x91\xa1x",
        b"\x92\xc4\x00\xc4\x00",
        b"\x91\xc4\x05x",
        b"\x91" * 5000,
        b"\x91\xdd\xff\xff\xff\xff",
    ],
)
def test_arguments_that_do_not_decode_are_refused(served: Serving, body: bytes) -> None:
    peer, other = served.peer(), served.peer()
    peer.send(encode(Kind.CALL, 1, body, method=Interface.of(Probe).by_name["echo"].index))
    assert peer.notice()[:2] == (Kind.REFUSAL, "BadArguments")
    _ask(other, "echo", b"still")
    assert other.answer() == b"still"
    assert served.reports.empty()


def test_arguments_nested_without_end_are_refused(served: Serving) -> None:
    peer = served.peer()
    body = b"\x91\x91\x82\xa4name\xa1x\xa1?" + b"\x91" * 60000
    peer.send(encode(Kind.CALL, 1, body, method=Interface.of(Probe).by_name["count"].index))
    kind, code, text = peer.notice()
    assert (kind, code) == (Kind.REFUSAL, "BadArguments")
    assert "nested too deeply" in text


def test_a_deadline_that_passed_is_refused_before_the_method_runs(served: Serving) -> None:
    peer = served.peer()
    _ask(peer, "echo", b"late", deadline=monotonic_ns() - 1)
    assert peer.notice()[:2] == (Kind.REFUSAL, "DeadlineExceeded")
    _ask(peer, "echo", b"early", deadline=monotonic_ns() + 10**11)
    assert peer.answer() == b"early"
    assert served.component.log == [b"early"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("how", "body"), [("limit", [0, [7]]), ("declared", [1, ["x", b"y", 1, None, 2.5, True]])]
)
def test_a_declared_exception_crosses_with_its_arguments(
    served: Serving, how: str, body: list[object]
) -> None:
    peer = served.peer()
    _ask(peer, "fail", how)
    answer = peer.receive()
    assert answer.kind == Kind.RAISED
    assert msgspec.msgpack.decode(answer.body) == body
    assert served.reports.empty()


@pytest.mark.parametrize(
    ("method", "arguments", "kind"),
    [
        ("fail", ("crossing",), "Declared"),
        ("fail", ("undeclared",), "Undeclared"),
        ("fail", ("value",), "ValueError"),
        ("fail", ("exit",), "SystemExit"),
        ("fail", ("interrupt",), "KeyboardInterrupt"),
        ("fail", ("generator",), "GeneratorExit"),
        ("fail", ("memory",), "MemoryError"),
        ("fail", ("no such",), "KeyError"),
        ("recurse", (), "RecursionError"),
        ("exhaust", (), "MemoryError"),
        ("wrong", ("str",), "result"),
        ("wrong", ("none",), "result"),
        ("wrong", ("object",), "result"),
        ("wrong", ("int",), "result"),
        ("wrong", ("list",), "result"),
        ("number", ("large",), "result"),
        ("number", ("bool",), "result"),
        ("number", ("float",), "result"),
        ("spoil", (), "result"),
    ],
)
def test_what_is_not_declared_is_a_fault_for_both_and_its_text_for_the_handler_alone(
    served: Serving, method: str, arguments: tuple[object, ...], kind: str
) -> None:
    peer = served.peer("app")
    _ask(peer, method, *arguments)
    notice = peer.notice()
    assert notice[:2] == (Kind.FAULT, kind)
    assert "secret" not in notice[2]
    report = served.report()
    assert (report.kind, report.caller, report.method, report.text) == (ReportKind.FAULT, "app", method, kind)
    assert "dispatch.py" in report.detail
    if arguments in (("value",), ("undeclared",)):
        assert "secret text" in report.detail
    _ask(peer, "echo", b"still")
    assert peer.answer() == b"still"


def test_what_is_sent_is_what_the_annotation_shows(served: Serving) -> None:
    peer = served.peer()
    _ask(peer, "show")
    answer = peer.receive()
    assert msgspec.msgpack.decode(answer.body) == {"name": "n"}
    assert b"s3cret" not in bytes(answer.body)


@pytest.mark.parametrize("size", [0, 1, INLINE_LIMIT - 3, INLINE_LIMIT - 2, 300_000])
def test_large_results_come_in_a_frame_and_others_inline(served: Serving, size: int) -> None:
    peer = served.peer(rights=WRITE)
    _ask(peer, "large", size)
    buffer = bytearray(INLINE_LIMIT + 100)
    length, overlong, received = payload.receive(peer.sock, buffer)
    framed = size > INLINE_LIMIT - 3
    assert not overlong
    assert len(received) == framed
    if framed:
        length = int.from_bytes(buffer[8:12], "little")
        body = payload.read(received[0], length) if not payload.check(received, length) else None
    else:
        body = bytes(buffer[20:length])
    received.close()
    assert body is not None
    assert msgspec.msgpack.decode(body) == bytes(size)


def test_a_large_argument_in_a_frame_is_the_argument(served: Serving) -> None:
    peer = served.peer()
    body = msgspec.msgpack.encode((bytes(100_000),))
    frame = payload.seal(body)
    index = Interface.of(Probe).by_name["count"].index
    peer.send(encode(Kind.CALL, 1, method=index, framed=len(body)), [frame])
    assert peer.notice()[:2] == (Kind.REFUSAL, "BadArguments")
    items = msgspec.msgpack.encode(([{"name": "x"}] * 20_000,))
    again = payload.seal(items)
    peer.send(encode(Kind.CALL, 2, method=index, framed=len(items)), [again])
    assert peer.answer() == 20_000
    payload.Received([frame, again]).close()


def test_a_cancelled_call_that_waits_does_not_run(served: Serving) -> None:
    probe, holder, peer = served.component, served.peer(), served.peer()
    assert isinstance(probe, Probe)
    _ask(holder, "hold")
    assert probe.entered.wait(20)
    _ask(peer, "echo", b"one", sequence=1)
    _ask(peer, "echo", b"two", sequence=2)
    peer.send(encode(Kind.CANCEL, 1))
    peer.send(encode(Kind.CANCEL, 99))
    probe.release.set()
    assert holder.answer() is None
    answer = peer.receive()
    assert (answer.sequence, msgspec.msgpack.decode(answer.body)) == (2, b"two")
    assert probe.log == [b"two"]


def test_callers_take_turns_however_much_one_of_them_sends(served: Serving) -> None:
    probe, holder, greedy, modest = served.component, served.peer(), served.peer(), served.peer()
    assert isinstance(probe, Probe)
    _ask(holder, "hold")
    assert probe.entered.wait(20)
    for sequence in range(1, 13):
        _ask(greedy, "echo", b"greedy", sequence=sequence)
    _ask(modest, "echo", b"modest", sequence=1)
    _ask(modest, "echo", b"modest", sequence=2)
    probe.release.set()
    for _ in range(12):
        greedy.receive()
    # Each of the modest caller's calls waited for at most one of the greedy one's.
    assert probe.log.index(b"modest") <= 1
    assert probe.log[:4].count(b"modest") == 2


def test_a_removed_connection_is_closed_and_its_waiting_calls_do_not_run(served: Serving) -> None:
    probe, holder, peer = served.component, served.peer(), served.peer()
    assert isinstance(probe, Probe)
    _ask(holder, "hold")
    assert probe.entered.wait(20)
    _ask(peer, "echo", b"never")
    done = served.post(lambda: served.server.remove(2))
    probe.release.set()
    assert done.wait(20)
    assert holder.answer() is None
    assert peer.ended()
    served.within(lambda: served.server.remove(2))
    assert probe.log == []
    assert served.reports.empty()


def test_add_a_number_in_use_is_refused(served: Serving) -> None:
    served.peer()
    one, other = pair()
    failures: list[str] = []

    def add() -> None:
        try:
            served.server.add(1, other, Caller("x", 1, WRITE))
        except ValueError as error:
            failures.append(str(error))

    served.within(add)
    assert failures == ["connection 1 exists; remove it first"]
    one.close()
    other.close()


def test_watch_runs_the_callback_until_unwatch(served: Serving) -> None:
    one, other = pair()
    seen = []

    def callback() -> None:
        seen.append(other.recv(10))
        if len(seen) == 2:
            served.server.unwatch(other.fileno())

    served.within(lambda: served.server.watch(other.fileno(), callback))
    peer = served.peer()
    for data in (b"a", b"b", b"c"):
        one.send(data)
        _ask(peer, "echo", b"x")
        assert peer.answer() == b"x"
    served.within(lambda: None)
    assert seen == [b"a", b"b"]
    assert readable(other)
    one.close()
    other.close()


def test_a_budget_needs_the_main_thread() -> None:
    server = Server(Probe(), Interface.of(Probe), print, budget=1.0)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            server.serve_forever(None, lambda: True)
        except ValueError as error:
            failures.append(error)

    thread = Thread(target=run)
    thread.start()
    thread.join(20)
    server.close()
    assert len(failures) == 1
