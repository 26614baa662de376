"""Regions, notifications, conclaves and revocation between real domains."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import SystemWriter
from support.ordinary import User, both_users
from support.systems import DESCRIPTION, System, small

LEDGER = """
import os

import exclave
from exclave import Component, protected
from signer import Signer


def attempt(action):
    try:
        return action() or "worked"
    except exclave.ExclaveError as error:
        return f"{type(error).__name__} {error}"


class Echo(Component):
    @protected
    def write(self, text: bytes) -> None:
        self.regions["orders"][: len(text)] = text

    @protected
    def read(self, name: str, size: int) -> bytes:
        return bytes(self.regions[name][:size])

    @protected
    def write_ring(self, text: bytes) -> None:
        exclave.region("ring")[: len(text)] = text

    @protected
    def others(self) -> list[str]:
        return [
            attempt(lambda: exclave.region("private")),
            attempt(lambda: exclave.notification("private")),
            attempt(lambda: exclave.connect("nobody", Signer)),
        ]

    @protected
    def pay(self) -> None:
        self.notifications["paid"].signal()

    @protected
    def wait(self) -> int:
        return exclave.notification("wake").wait(20)

    @protected
    def end(self) -> None:
        os._exit(9)
"""

SIGNER = """
import exclave
from exclave import Component, protected


class Signer(Component):
    @protected
    def read(self) -> bytes:
        return bytes(self.regions["orders"][:5])

    @protected
    def overwrite(self) -> str:
        try:
            self.regions["orders"][0] = 1
        except TypeError as error:
            return str(error)
        return "wrote"

    @protected
    def pay(self) -> None:
        exclave.notification("paid").signal()


class TooLong(Exception):
    pass
"""

SHARED = (
    DESCRIPTION.replace('secrets = ["key"]', "").replace('"echo:Echo"', '"echo:Echo"\nuse = ["signer"]')
    + """
[region.orders]
size = "8K"
type = "SHARED_RO"
owner = "echo"
shared = ["monolith", "signer"]

[region.ring]
size = "4K"
type = "SHARED_RW"
owner = "echo"
shared = ["monolith"]

[region.private]
size = "4K"
type = "EXCLAVE_PRIVATE"
owner = "signer"

[notification.paid]
signal = ["echo", "signer"]
wait = "monolith"

[notification.wake]
signal = ["monolith"]
wait = "echo"

[notification.private]
signal = ["signer"]
wait = "monolith"

[conclave.both]
members = ["signer", "echo"]
"""
)


def shared(user: User, write: SystemWriter, app: str) -> System:
    """The system of the description above, with this program."""
    return small(user, write, app=app, echo=LEDGER, signer=SIGNER, description=SHARED)


def run(system: System) -> list[str]:
    """Run it to its end; what its program printed."""
    done = system.run(secrets=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@both_users
def test_region_of_an_exclave_can_be_read_and_in_no_way_be_written(
    user: User, write_system: SystemWriter
) -> None:
    app = """
import errno, fcntl, json, mmap, os
from exclave.runtime import place

view = exclave.region("orders")
echo.write(b"hello")
print(bytes(view[:5]), len(view), view.readonly)
print(signer.read(), signer.overwrite())

def attempt(action):
    try:
        action()
        return "worked"
    except TypeError:
        return "TypeError"
    except OSError as error:
        return errno.errorcode[error.errno]

def store():
    view[0] = 1

_, granted, (descriptor,) = place.ask("region", "orders", 1)
both = mmap.PROT_READ | mmap.PROT_WRITE
print(json.dumps({
    "store": attempt(store),
    "write": attempt(lambda: os.pwrite(descriptor, b"x", 0)),
    "truncate": attempt(lambda: os.ftruncate(descriptor, 0)),
    "mmap": attempt(lambda: mmap.mmap(descriptor, 8192, mmap.MAP_SHARED, both)),
    "reopen": attempt(lambda: os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR)),
    "chmod": attempt(lambda: os.fchmod(descriptor, 0o777)),
    "seals": fcntl.fcntl(descriptor, 1034),
}))

def by_force():
    # An owner of the inode may be able to change its mode; the seal holds all the same.
    again = os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR)
    os.pwrite(again, b"x", 0)

print(attempt(by_force), bytes(view[:5]))
"""
    lines = run(shared(user, write_system, app))
    assert lines[0] == "b'hello' 8192 True"
    assert lines[1] == "b'hello' cannot modify read-only memory"
    tried = json.loads(lines[2])
    assert tried["store"] == "TypeError"
    assert tried["write"] == "EBADF"
    # Not opened for writing (ftruncate(2)); a seal or a filter may speak first.
    assert tried["truncate"] in ("EINVAL", "EBADF", "EPERM")
    assert tried["mmap"] in ("EACCES", "EPERM")
    assert tried["reopen"] == "EACCES"
    # F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_FUTURE_WRITE.
    assert tried["seals"] == 1 | 2 | 4 | 16
    assert lines[3] in ("EACCES b'hello'", "EPERM b'hello'")


@both_users
def test_region_for_both_is_written_by_both(user: User, write_system: SystemWriter) -> None:
    app = """
ring = exclave.region("ring")
ring[:4] = b"ping"
print(echo.read("ring", 4))
echo.write_ring(b"pong")
print(bytes(ring[:4]), bytes(exclave.region("ring")[:4]), ring.readonly)
"""
    assert run(shared(user, write_system, app)) == ["b'ping'", "b'pong' b'pong' False"]


@both_users
def test_region_is_shared_by_all_processes_of_the_monolith(user: User, write_system: SystemWriter) -> None:
    app = """
import os
ring = exclave.region("ring")
if os.fork() == 0:
    exclave.region("ring")[:5] = b"child"
    os._exit(0)
os.wait()
print(bytes(ring[:5]), echo.read("ring", 5))
"""
    assert run(shared(user, write_system, app)) == ["b'child' b'child'"]


@both_users
def test_notifications_go_both_ways_with_their_badge_bits(user: User, write_system: SystemWriter) -> None:
    app = """
paid = exclave.notification("paid")
print(paid.wait(0))
echo.pay()
print(paid.wait(20))
signer.pay()
print(paid.wait(20))
echo.pay(); signer.pay(); echo.pay()
print(paid.wait(20), paid.wait(0))
wake = exclave.notification("wake")
for _ in range(5000):
    wake.signal()
print(echo.wait())
try:
    wake.wait(0)
except exclave.Refused as error:
    print(error.code)
try:
    paid.signal()
except exclave.Refused as error:
    print(error.code)
"""
    expected = ["0", "1", "2", "3 0", "1", "IllegalOperation", "IllegalOperation"]
    assert run(shared(user, write_system, app)) == expected


@both_users
def test_what_belongs_to_others_is_denied_to_exclave_and_monolith(
    user: User, write_system: SystemWriter
) -> None:
    app = """
for line in echo.others():
    print(line)
for kind in (exclave.region, exclave.notification):
    try:
        kind("nobodys")
    except exclave.Refused as error:
        print(error.code)
try:
    exclave.region("private")
except exclave.Refused as error:
    print(error)
"""
    lines = run(shared(user, write_system, app))
    assert lines[0].startswith('Refused FailedLookup: this exclave was handed no region "private"')
    assert "it has: orders, ring" in lines[0]
    assert lines[1].startswith('Refused FailedLookup: this exclave was handed no notification "private"')
    assert lines[2].startswith('Refused FailedLookup: this exclave was handed no exclave "nobody"')
    assert "it has: signer" in lines[2]
    assert lines[3:5] == ["FAILED_LOOKUP", "FAILED_LOOKUP"]
    assert lines[5].startswith('FAILED_LOOKUP: no region "private" is shared with the monolith')


@both_users
def test_ended_exclave_is_revoked_for_its_clients_and_its_waiters(
    user: User, write_system: SystemWriter
) -> None:
    app = """
paid, wake = exclave.notification("paid"), exclave.notification("wake")
view = exclave.region("orders")
echo.write(b"last!")
echo.pay()

def attempt(action):
    try:
        return action()
    except exclave.ExclaveError as error:
        return type(error).__name__

print(attempt(echo.end))
print(attempt(lambda: echo.read("ring", 1)))
print(attempt(lambda: exclave.connect("echo", Echo)))
print(paid.wait(20))

# The signal that was sent stays; the signaller that lives is still heard; memory that is mapped stays.
signer.pay()
print(paid.wait(20), bytes(view[:5]))

def signal_on():
    while True:
        wake.signal()

print(attempt(signal_on))
"""
    system = shared(user, write_system, app)
    done = system.run(secrets=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["Revoked", "Fault", "Fault", "1", "2 b'last!'", "Revoked"]
    assert "echo exited with 9" in done.stderr


@both_users
def test_conclave_runs_and_its_members_are_shown(user: User, write_system: SystemWriter) -> None:
    app = """
echo.write(b"hello")
print(signer.read())
"""
    system = shared(user, write_system, app)
    state = system.root / "state"
    system.environment = {"XDG_STATE_HOME": str(state)}
    assert run(system) == ["b'hello'"]
    (log,) = Path(state).glob("exclave/small/*.jsonl")
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    decisions = [(entry["op"], entry["result"]) for entry in entries if entry["kind"] == "decision"]
    assert [op for op, _ in decisions].count("add_member") == 2
    order = [op for op, _ in decisions if op in ("launch_conclave", "start", "conclave_done")]
    # The conclave, its two members, its end of launching, and the monolith last.
    assert order == ["launch_conclave", "start", "start", "conclave_done", "start"]
    assert {result for _, result in decisions if result != "OK"} == set()
