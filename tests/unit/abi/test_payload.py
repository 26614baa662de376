"""Trust: outside.

Frames: sealed ones come through unchanged, anything else is refused, and no descriptor is left open.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from exclave.abi import payload
from exclave.abi.wire import FRAME_LIMIT

_BODY = bytes(range(256)) * 300


def _is_closed(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError as error:
        return error.errno == errno.EBADF
    return False


def _memfd(size: int, seals: int) -> int:
    made = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(made, size)
    if seals:
        fcntl.fcntl(made, fcntl.F_ADD_SEALS, seals)
    return made


def _pipe() -> int:
    reader, writer = os.pipe()
    os.close(writer)
    return reader


def _fifo() -> int:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "fifo"
        os.mkfifo(path)
        return os.open(path, os.O_RDWR)


def _plain_file() -> int:
    descriptor, path = tempfile.mkstemp()
    Path(path).unlink()
    os.ftruncate(descriptor, len(_BODY))
    return descriptor


def _socket() -> int:
    one, other = socket.socketpair()
    other.close()
    return one.detach()


def _listener() -> int:
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).detach()


_HOSTILE: dict[str, Callable[[], int]] = {
    "pipe": _pipe,
    "fifo": _fifo,
    "socket": _socket,
    "listener": _listener,
    "file": _plain_file,
    "directory": lambda: os.open("/", os.O_RDONLY | os.O_DIRECTORY),
    "path only": lambda: os.open("/", os.O_PATH),
    "device": lambda: os.open("/dev/zero", os.O_RDONLY),
    "event counter": lambda: os.eventfd(0),
    "unsealed": lambda: _memfd(len(_BODY), 0),
    "half sealed": lambda: _memfd(len(_BODY), fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW),
    "writable": lambda: _memfd(len(_BODY), payload.SEALS & ~fcntl.F_SEAL_WRITE),
    "seals not sealed": lambda: _memfd(len(_BODY), payload.SEALS & ~fcntl.F_SEAL_SEAL),
    "too short": lambda: _memfd(len(_BODY) - 1, payload.SEALS),
    "too long": lambda: _memfd(len(_BODY) + 1, payload.SEALS),
    "empty": lambda: _memfd(0, payload.SEALS),
}


@pytest.mark.parametrize("make", _HOSTILE.values(), ids=_HOSTILE.keys())
def test_check_anything_but_the_sealed_frame_is_refused(make: Callable[[], int]) -> None:
    descriptor = make()
    try:
        assert payload.check([descriptor], len(_BODY))
    finally:
        os.close(descriptor)


def test_check_none_or_several_descriptors_are_refused() -> None:
    frame = payload.seal(_BODY)
    try:
        assert payload.check([frame], len(_BODY)) == ""
        assert "0 descriptors" in payload.check([], len(_BODY))
        assert "2 descriptors" in payload.check([frame, frame], len(_BODY))
    finally:
        os.close(frame)


def test_check_over_the_frame_limit_is_refused() -> None:
    frame = _memfd(FRAME_LIMIT + 1, payload.SEALS)
    try:
        assert payload.check([frame], FRAME_LIMIT + 1)
    finally:
        os.close(frame)


def test_seal_gives_a_frame_that_nobody_can_change() -> None:
    frame = payload.seal(_BODY)
    try:
        assert payload.read(frame, len(_BODY)) == _BODY
        assert not os.get_inheritable(frame)
        for change in (
            lambda: os.pwrite(frame, b"x", 0),
            lambda: os.ftruncate(frame, 1),
            lambda: os.ftruncate(frame, len(_BODY) + 1),
            lambda: fcntl.fcntl(frame, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL),
        ):
            with pytest.raises(PermissionError):
                change()
    finally:
        os.close(frame)


def test_read_what_is_not_there_or_not_readable_gives_none() -> None:
    frame = payload.seal(_BODY)
    try:
        assert payload.read(frame, len(_BODY) + 1) is None
    finally:
        os.close(frame)
    assert payload.read(frame, len(_BODY)) is None


def test_seal_without_room_closes_what_it_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []
    create = os.memfd_create

    def remember(name: str, flags: int) -> int:
        opened.append(create(name, flags))
        return opened[-1]

    def full(_descriptor: int, _data: memoryview) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "memfd_create", remember)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="full"):
        payload.seal(_BODY)
    assert opened
    assert all(_is_closed(descriptor) for descriptor in opened)


def test_receive_gives_descriptors_that_close_once_and_are_not_inherited() -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    frame = payload.seal(_BODY)
    with one, other:
        payload.send(one, b"header", frame)
        os.close(frame)
        buffer = bytearray(64)
        size, overlong, received = payload.receive(other, buffer)
        assert (bytes(buffer[:size]), overlong, len(received)) == (b"header", False, 1)
        descriptor = received[0]
        assert not os.get_inheritable(descriptor)
        received.close()
        assert _is_closed(descriptor)
        received.close()


def test_receive_more_than_fits_says_so_and_still_owns_what_came() -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with one, other:
        reader, writer = os.pipe()
        socket.send_fds(one, [b"x" * 100], [reader] * 9)
        os.close(reader)
        size, overlong, received = payload.receive(other, bytearray(64))
        assert (size, overlong) == (64, True)
        assert 0 < len(received) <= 2
        received.close()
        # Every copy of the reading end is closed, or this would succeed.
        with pytest.raises(BrokenPipeError):
            os.write(writer, b"x")
        os.close(writer)
