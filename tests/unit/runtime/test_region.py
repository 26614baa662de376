from __future__ import annotations

import errno
import mmap
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from exclave.abi import control
from exclave.abi.exceptions import Refused
from exclave.nucleus.shell.shared import SharedRegion
from exclave.runtime import place
from exclave.runtime.region import map_region, region
from exclave.system.description import Region
from support.descriptors import open_descriptors

SIZE = 8192


@pytest.fixture
def shared() -> Iterator[SharedRegion]:
    described = Region(name="orders", size=SIZE, type="SHARED_RO", owner="ledger", shared=("monolith",))
    made = SharedRegion(described)
    yield made
    made.close()


def mapped(shared: SharedRegion, writable: bool) -> memoryview:
    return map_region(os.dup(shared.descriptor(writable)), SIZE, writable)


def test_writer_and_reader_see_the_same_memory(shared: SharedRegion) -> None:
    writer, reader = mapped(shared, True), mapped(shared, False)
    writer[10:15] = b"hello"
    assert bytes(reader[10:15]) == b"hello"
    assert len(reader) == len(writer) == SIZE


def test_reader_is_read_only_in_every_form(shared: SharedRegion) -> None:
    mapped(shared, True)
    shared.seal()
    reader = mapped(shared, False)
    assert reader.readonly
    assert reader[4:8].readonly
    assert reader.cast("Q").readonly
    with pytest.raises(TypeError, match="read-only memory"):
        reader[0] = 1
    with pytest.raises(TypeError):
        reader.obj[0] = 1  # type: ignore[index]
    with pytest.raises(PermissionError):
        mmap.mmap(shared.descriptor(False), SIZE, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        os.pwrite(shared.descriptor(False), b"x", 0)


def test_private_copy_does_not_reach_the_others(shared: SharedRegion) -> None:
    reader = mapped(shared, False)
    with mmap.mmap(shared.descriptor(False), SIZE, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as own:
        own[0:4] = b"mine"
    assert bytes(reader[0:4]) == bytes(4)


def test_descriptor_is_closed_whether_or_not_it_can_be_mapped(shared: SharedRegion) -> None:
    with pytest.raises(PermissionError):
        map_region(os.dup(shared.descriptor(False)), SIZE, True)
    with pytest.raises(ValueError, match="mmap length is greater than file size"):
        map_region(os.dup(shared.descriptor(True)), SIZE + 4096, True)
    before = open_descriptors()
    reading = os.dup(shared.descriptor(False))
    view = map_region(reading, SIZE, False)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        os.fstat(reading)
    view.release()
    assert len(open_descriptors()) <= len(before) + 1


def test_exclave_finds_what_it_was_handed(shared: SharedRegion, monkeypatch: pytest.MonkeyPatch) -> None:
    view = mapped(shared, True)
    monkeypatch.setattr(place, "_handed", place.Handed("ledger", regions={"orders": view}))
    assert region("orders") is view
    with pytest.raises(Refused, match=r'this exclave was handed no region "other" .it has: orders'):
        region("other")


def test_monolith_asks_the_nucleus(
    shared: SharedRegion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped(shared, True)[0:5] = b"hello"
    monkeypatch.setenv("EXCLAVE_SOCKET", str(tmp_path / "nucleus"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(tmp_path / "nucleus"))
        listener.listen()
        asked: list[control.Ask] = []

        def answer() -> None:
            with listener.accept()[0] as sock:
                asked.append(control.expect(sock, control.Ask)[0])
                granted = control.Granted(0, size=SIZE, writable=False)
                control.send(sock, granted, (shared.descriptor(False),))

        thread = threading.Thread(target=answer)
        thread.start()
        view = region("orders")
        thread.join()
    assert asked == [control.Ask("region", "orders")]
    assert bytes(view[0:5]) == b"hello"
    assert view.readonly
