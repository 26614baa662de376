from __future__ import annotations

import os
import socket
import typing
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exclave.abi import control
from support.descriptors import open_descriptors

SAMPLES: tuple[control.ControlMessage, ...] = (
    control.Configure("signer", "signer:Signer", b"\1", b"\2\3", 10.0),
    control.Entered("memfd_secret"),
    control.GiveSecret("key", 32),
    control.GiveEndpoint("ledger", 6),
    control.GiveRegion("orders", 4096, True),
    control.GiveNotification("paid", False, (1, 2)),
    control.Mapped("orders"),
    control.Begin(),
    control.Ready(("sign", "who"), bytes(16)),
    control.Failed("import", "ImportError", "no module"),
    control.Admit(7, "monolith", 3, 2),
    control.Withdraw(7),
    control.Dropped(7, "closed"),
    control.FaultReport("sign", "ValueError", "traceback"),
    control.Launch(("/bin/true", "-x"), b"\4"),
    control.Launched(),
    control.Signal(15),
    control.Exited(42),
    control.Ask("endpoint", "signer"),
    control.Granted(6, 4096, True, True, (1,)),
    control.Denied("FAILED_LOOKUP", "not yours"),
)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (one, other):
        end.settimeout(5)
    with one, other:
        yield one, other


def test_samples_cover_every_message() -> None:
    assert {type(sample) for sample in SAMPLES} == set(typing.get_args(control.ControlMessage))


@pytest.mark.parametrize("message", SAMPLES, ids=lambda message: type(message).__name__)
def test_message_crosses_unchanged(message: control.ControlMessage) -> None:
    assert control.decode(control.encode(message)) == message


@pytest.mark.parametrize("message", SAMPLES, ids=lambda message: type(message).__name__)
def test_cut_message_is_none_or_has_only_defaults_left_out(message: control.ControlMessage) -> None:
    data = control.encode(message)
    assert [control.decode(data[:end]) for end in range(len(data))] == [None] * len(data)


def test_tags_are_distinct() -> None:
    tags = [msgspec.msgpack.decode(control.encode(sample))[0] for sample in SAMPLES]
    assert sorted(tags) == list(range(1, len(SAMPLES) + 1))


@given(st.binary(max_size=200))
def test_decode_of_any_bytes_is_a_message_or_none(data: bytes) -> None:
    found = control.decode(data)
    assert found is None or isinstance(found, typing.get_args(control.ControlMessage))


BINARY = st.binary()


@given(
    st.integers(0, 25),
    st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | BINARY,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
            max_leaves=6,
        ),
        max_size=6,
    ),
)
def test_decode_of_any_structure_is_a_message_of_the_declared_types_or_none(
    tag: int, fields: list[object]
) -> None:
    found = control.decode(msgspec.msgpack.encode([tag, *fields]))
    if found is not None:
        assert control.decode(control.encode(found)) == found or "nan" in repr(found)
        for name, kind in typing.get_type_hints(type(found)).items():
            value = getattr(found, name)
            outer = typing.get_origin(kind) or kind
            assert isinstance(value, outer)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x91" * 90_000,
        b"\xdd\xff\xff\xff\xff",
        b"\x93\x08\xa1x\xdd\xff\xff\xff\xff",
        b"\x92\x02\xa1\xff",
        b"\x92\xc3\xa1x",
        b"\x92\x13",
        control.encode(control.Begin()) + b"\0",
        bytes(control.CONTROL_LIMIT + 1),
    ],
)
def test_hostile_bytes_are_none(data: bytes) -> None:
    assert control.decode(data) is None


def test_message_over_the_limit_is_not_encoded() -> None:
    with pytest.raises(ValueError, match=r"Entered is \d+ bytes, the limit is 98304"):
        control.encode(control.Entered("x" * control.CONTROL_LIMIT))


def test_send_and_receive_with_descriptors_in_order(pair: tuple[socket.socket, socket.socket]) -> None:
    reading, writing = os.pipe()
    control.send(pair[0], control.Mapped("x"), (reading, writing))
    message, received = control.receive(pair[1], 2)
    assert message == control.Mapped("x")
    os.write(received[1], b"through")
    assert os.read(reading, 16) == b"through"
    assert [os.get_inheritable(descriptor) for descriptor in received] == [False, False]
    control.close_all([reading, writing, *received])


@pytest.mark.parametrize("room", [0, 1])
def test_descriptors_beyond_what_is_wanted_are_not_kept(
    pair: tuple[socket.socket, socket.socket], room: int
) -> None:
    reading, writing = os.pipe()
    before = open_descriptors()
    control.send(pair[0], control.Begin(), (reading, writing, reading))
    message, received = control.receive(pair[1], room)
    assert (message, received) == (control.Begin(), [])
    assert open_descriptors() == before
    control.close_all([reading, writing])


@pytest.mark.parametrize("data", [b"junk", b"\x00" * (control.CONTROL_LIMIT + 1)])
def test_junk_with_descriptors_is_none_and_leaks_none(
    pair: tuple[socket.socket, socket.socket], data: bytes
) -> None:
    reading, writing = os.pipe()
    before = open_descriptors()
    socket.send_fds(pair[0], [data], [reading, writing])
    assert control.receive(pair[1], 4) == (None, [])
    assert open_descriptors() == before
    control.close_all([reading, writing])


def test_closed_peer_is_the_end_of_file(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[0].close()
    for room in (0, 3):
        with pytest.raises(EOFError):
            control.receive(pair[1], room)


def test_expect_refuses_another_kind_and_closes_its_descriptors(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    reading, writing = os.pipe()
    before = open_descriptors()
    control.send(pair[0], control.Begin(), (reading,))
    with pytest.raises(ValueError, match="expected Launch, got Begin"):
        control.expect(pair[1], control.Launch, 1)
    assert open_descriptors() == before
    control.close_all([reading, writing])


def test_send_to_a_peer_that_does_not_read_fails_and_does_not_wait(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    pair[0].settimeout(None)

    def fill() -> None:
        while True:
            control.send(pair[0], control.Entered("x" * 60_000))

    with pytest.raises(BlockingIOError):
        fill()
