from __future__ import annotations

import errno
import fcntl
import mmap
import os
import socket
from collections.abc import Iterator
from typing import Literal

import pytest

from exclave.abi.exceptions import Revoked
from exclave.nucleus.shell.shared import Shared, SharedNotification, SharedRegion
from exclave.runtime.notification import Notification as Held
from exclave.system.description import Notification, Region
from support.descriptions import rich
from support.descriptors import open_descriptors

F_GET_SEALS = 1034
SHRINK, GROW, FUTURE_WRITE, SEAL = 2, 4, 16, 1


def made(kind: Literal["SHARED_RO", "SHARED_RW"] = "SHARED_RO") -> SharedRegion:
    return SharedRegion(Region(name="orders", size=8192, type=kind, owner="ledger", shared=("monolith",)))


@pytest.fixture
def region() -> Iterator[SharedRegion]:
    shared = made()
    yield shared
    shared.close()


def test_region_has_its_size_and_is_zero(region: SharedRegion) -> None:
    assert os.fstat(region.descriptor(True)).st_size == 8192
    assert os.pread(region.descriptor(False), 10_000, 0) == bytes(8192)


def test_region_cannot_change_its_size(region: SharedRegion) -> None:
    assert fcntl.fcntl(region.descriptor(True), F_GET_SEALS) == SHRINK | GROW
    for size in (0, 4096, 16384):
        with pytest.raises(PermissionError):
            os.ftruncate(region.descriptor(True), size)
    with pytest.raises(PermissionError):
        os.pwrite(region.descriptor(True), b"x", 8192)


def test_readers_descriptor_cannot_be_written_or_mapped_writable(region: SharedRegion) -> None:
    reading = region.descriptor(False)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        os.write(reading, b"x")
    with pytest.raises(PermissionError):
        mmap.mmap(reading, 8192, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    with mmap.mmap(reading, 8192, mmap.MAP_SHARED, mmap.PROT_READ) as view, mmap_of(region) as writable:
        writable[0:2] = b"ab"
        assert view[0:2] == b"ab"
        with pytest.raises(TypeError):
            view[0:2] = b"cd"


def mmap_of(region: SharedRegion) -> mmap.mmap:
    return mmap.mmap(region.descriptor(True), 8192)


def test_descriptor_gives_nobody_else_a_way_to_open_the_memory_anew(region: SharedRegion) -> None:
    assert os.fstat(region.descriptor(False)).st_mode & 0o777 == 0o400


def test_sealed_region_has_no_new_writers_and_keeps_the_old(region: SharedRegion) -> None:
    with mmap_of(region) as owner:
        region.seal()
        seals = fcntl.fcntl(region.descriptor(True), F_GET_SEALS)
        assert seals == SHRINK | GROW | FUTURE_WRITE | SEAL
        owner[0:5] = b"still"
        with mmap.mmap(region.descriptor(False), 8192, mmap.MAP_SHARED, mmap.PROT_READ) as reader:
            assert reader[0:5] == b"still"
        for descriptor in (region.descriptor(True), region.descriptor(False)):
            with pytest.raises(PermissionError):
                mmap.mmap(descriptor, 8192)
        with pytest.raises(PermissionError):
            os.write(region.descriptor(True), b"x")
        with pytest.raises(PermissionError):
            fcntl.fcntl(region.descriptor(True), 1033, 8)


class Scene:
    """A notification for which the monolith waits, and its holders with copies of their own."""

    def __init__(self, *signal: str) -> None:
        self.shared = SharedNotification(Notification(name="paid", signal=signal, wait="monolith"))
        self.sockets: list[socket.socket] = []

    def _copies(self, holder: str) -> list[socket.socket]:
        made = [socket.socket(fileno=os.dup(end)) for end in self.shared.ends(holder)[0]]
        self.sockets += made
        return made

    def signaller(self, name: str) -> Held:
        """The notification as the runtime of a signaller holds it."""
        return Held("paid", self._copies(name)[0], [])

    def waiter(self) -> Held:
        """The notification as the runtime of the waiter holds it."""
        badges = self.shared.ends("monolith")[1]
        return Held("paid", None, list(zip(self._copies("monolith"), badges, strict=True)))

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()
        self.shared.close()


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene("ledger", "nic", "signer")
    yield made
    made.close()


def test_each_signaller_has_its_own_badge_bit(scene: Scene) -> None:
    names = ("ledger", "nic", "signer")
    assert [scene.shared.ends(name)[1] for name in names] == [(1,), (2,), (4,)]
    assert scene.shared.ends("monolith")[1] == (1, 2, 4)
    word = scene.waiter()
    scene.signaller("nic").signal()
    assert word.wait(5) == 2
    scene.signaller("signer").signal()
    scene.signaller("ledger").signal()
    assert word.wait(5) == 5


def test_ended_signaller_is_gone_for_the_waiter_and_the_others_are_not(scene: Scene) -> None:
    word = scene.waiter()
    ledger, nic = scene.signaller("ledger"), scene.signaller("nic")
    ledger.signal()
    scene.shared.end("signer")
    scene.shared.end("ledger")
    scene.shared.end("ledger")
    with pytest.raises(Revoked):
        ledger.signal()
    # What it signalled before is not lost.
    assert word.wait(5) == 1
    nic.signal()
    assert word.wait(5) == 2
    scene.shared.end("nic")
    with pytest.raises(Revoked, match='every signaller of the notification "paid" is gone'):
        word.wait(5)


def test_ended_waiter_is_gone_for_all_signallers(scene: Scene) -> None:
    held = [scene.signaller(name) for name in ("ledger", "nic")]
    scene.shared.end("monolith")
    for one in held:
        with pytest.raises(Revoked):
            one.signal()


def test_end_of_a_domain_without_the_notification_changes_nothing(scene: Scene) -> None:
    word, ledger = scene.waiter(), scene.signaller("ledger")
    scene.shared.end("clock")
    ledger.signal()
    assert word.wait(5) == 1


def test_everything_of_a_description_is_made_and_closed() -> None:
    before = open_descriptors()
    shared = Shared(rich())
    assert set(shared.regions) == {"orders", "ring", "scratch"}
    assert set(shared.notifications) == {"paid", "wake"}
    shared.end("ledger")
    shared.close()
    assert open_descriptors() == before
