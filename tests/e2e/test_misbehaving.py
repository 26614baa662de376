"""Components and monoliths that misbehave: a clear error at the right place, and nobody else is affected."""

from __future__ import annotations

from conftest import SystemWriter
from support.ordinary import User, both_users
from support.systems import DESCRIPTION, small

HEAD = """
import ctypes, os, time
from exclave import Component, protected

class Echo(Component):
"""


def echo(body: str, head: str = HEAD) -> str:
    """A component `Echo` with this body, indented by four."""
    lines = "".join(f"    {line}\n" if line else "\n" for line in body.strip("\n").splitlines())
    return head + lines


@both_users
def test_component_that_raises_at_import_stops_the_boot(user: User, write_system: SystemWriter) -> None:
    done = small(
        user, write_system, app="print('ran')", echo=HEAD + "    x = 1\n\nraise ValueError('no good')"
    ).run()
    assert done.returncode == 125
    assert done.stdout == ""
    assert "echo import raised ValueError" in done.stderr
    assert 'File "/exclave/component/echo.py", line 8' in done.stderr


@both_users
def test_component_that_raises_in_init_stops_the_boot(user: User, write_system: SystemWriter) -> None:
    broken = echo(
        """
def init(self) -> None:
    raise OSError(5, "no disk")
@protected
def echo(self, value: bytes) -> bytes:
    return value
"""
    )
    done = small(user, write_system, app="print('ran')", echo=broken).run()
    assert done.returncode == 125
    assert done.stdout == ""
    assert "echo init raised OSError" in done.stderr


@both_users
def test_component_without_the_named_class_is_reported(user: User, write_system: SystemWriter) -> None:
    description = DESCRIPTION.replace("echo:Echo", "echo:Ekko")
    done = small(user, write_system, app="print('ran')", description=description).run()
    assert done.returncode in (78, 125)
    assert done.stdout == ""
    assert "Ekko" in done.stderr


@both_users
def test_component_that_raises_in_a_call_gives_a_fault_and_serves_on(
    user: User, write_system: SystemWriter
) -> None:
    broken = echo("""
@protected
def echo(self, value: bytes) -> bytes:
    if value == b"bad":
        raise ValueError("the secret is 1234")
    return value
""")
    app = """
import exclave.abi.exceptions as ex
try:
    echo.echo(b"bad")
except ex.Fault as fault:
    print(fault.kind, "1234" in str(fault))
print(echo.echo(b"good"), len(signer.sign(b"")))
"""
    done = small(user, write_system, app=PRE + app, echo=broken).run()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ValueError False\nb'good' 32\n"
    assert "the secret is 1234" in done.stderr


PRE = """
import exclave
from echo import Echo
from signer import Signer
signer = exclave.connect("signer", Signer)
echo = exclave.connect("echo", Echo)
"""


@both_users
def test_component_that_never_returns_costs_its_caller_a_deadline_only(
    user: User, write_system: SystemWriter
) -> None:
    broken = echo("""
@protected
def echo(self, value: bytes) -> bytes:
    while True:
        time.sleep(1)
""")
    app = """
try:
    with exclave.deadline(0.3):
        echo.echo(b"")
except exclave.DeadlineExceeded:
    print("late")
print(len(signer.sign(b"")))
"""
    done = small(user, write_system, app=PRE + app, echo=broken).run()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "late\n32\n"


@both_users
def test_call_over_its_budget_is_ended_and_the_exclave_serves_on(
    user: User, write_system: SystemWriter
) -> None:
    broken = echo("""
@protected
def echo(self, value: bytes) -> bytes:
    while value == b"loop":
        pass
    return value
""")
    description = DESCRIPTION.replace('component = "echo:Echo"', 'component = "echo:Echo"\nbudget = "300ms"')
    app = """
try:
    echo.echo(b"loop")
except exclave.Fault as fault:
    print(fault.kind)
print(echo.echo(b"next"))
"""
    done = small(user, write_system, app=PRE + app, echo=broken, description=description).run()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "budget\nb'next'\n"


@both_users
def test_component_that_exhausts_memory_gives_a_fault_and_serves_on(
    user: User, write_system: SystemWriter
) -> None:
    broken = echo("""
@protected
def echo(self, value: bytes) -> bytes:
    return bytes(1 << 40) if value == b"big" else value
""")
    app = """
try:
    echo.echo(b"big")
except exclave.Fault as fault:
    print(fault.kind)
print(echo.echo(b"small"))
"""
    done = small(user, write_system, app=PRE + app, echo=broken).run()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "MemoryError\nb'small'\n"


@both_users
def test_component_that_closes_its_descriptors_is_stopped_alone(
    user: User, write_system: SystemWriter
) -> None:
    broken = echo("""
@protected
def echo(self, value: bytes) -> bytes:
    os.closerange(0, 256)
    return value
""")
    app = """
try:
    echo.echo(b"")
except (exclave.Revoked, exclave.Fault) as error:
    print("gone")
for _ in range(100):
    try:
        echo.echo(b"")
    except exclave.Fault as fault:
        print(fault.kind)
        break
    except exclave.Revoked:
        pass
print(len(signer.sign(b"")))
"""
    done = small(user, write_system, app=PRE + app, echo=broken).run()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "gone\nstopped\n32\n"
    assert "echo" in done.stderr


@both_users
def test_component_that_dies_is_reported_with_its_signal(user: User, write_system: SystemWriter) -> None:
    broken = echo("""
@protected
def echo(self, value: bytes) -> bytes:
    ctypes.string_at(0)
    return value
""")
    app = """
try:
    echo.echo(b"")
except (exclave.Revoked, exclave.Fault):
    print("gone")
print(len(signer.sign(b"")))
"""
    done = small(user, write_system, app=PRE + app, echo=broken).run()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "gone\n32\n"
    assert "echo was killed by signal 11" in done.stderr


@both_users
def test_what_an_exclave_prints_is_made_harmless(user: User, write_system: SystemWriter) -> None:
    chatty = echo("""
def init(self) -> None:
    print("hello \\x1b[31mred")
@protected
def echo(self, value: bytes) -> bytes:
    return value
""")
    done = small(user, write_system, app="", echo=chatty).run()
    assert done.returncode == 0, done.stderr
    assert "[echo] hello \\x1b[31mred" in done.stderr
    assert "\x1b" not in done.stderr


@both_users
def test_hostile_bytes_of_the_monolith_stall_nobody(user: User, write_system: SystemWriter) -> None:
    app = """
import os, socket
path = os.environ.get("EXCLAVE_SOCKET", "/run/exclave/nucleus")

def raw(first=None):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(10)
    sock.connect(path)
    if first is not None:
        sock.send(first)
    return sock

silent = [raw() for _ in range(20)]
ask = b"\\x93\\x13\\xa8endpoint\\xa4echo"
stranger = ask.replace(b"\\xa4echo", b"\\xa7nucleus")
for junk in (b"\\0", b"\\xff" * 90000, stranger, b"\\x93\\x13\\xa6region\\xa1x"):
    sock = raw(junk)
    try:
        print(sock.recv(200)[:1] in (b"", b"\\x93"))
    except ConnectionError:
        print(True)
for junk in (b"", b"\\1" * 19, b"\\3" * 40, bytes(100000)):
    sock = raw(ask)
    sock.recv(200)
    try:
        for _ in range(8):
            sock.send(junk or b"\\0")
    except OSError:
        pass
    print(echo.echo(b"still here"))
read_end, write_end = os.pipe()
sock = raw(ask)
sock.recv(200)
try:
    socket.send_fds(sock, [b"\\1" + bytes(19)], [read_end])
except OSError:
    pass
print(echo.echo(b"still here"), len(signer.sign(b"")))
"""
    done = small(user, write_system, app=PRE + app).run()
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:4] == ["True"] * 4
    assert lines[4:8] == ["b'still here'"] * 4
    assert lines[8] == "b'still here' 32"


@both_users
def test_connection_flood_is_refused_at_the_limit_and_others_are_served(
    user: User, write_system: SystemWriter
) -> None:
    app = """
kept = []
try:
    for _ in range(400):
        kept.append(exclave.connect("echo", Echo))
except exclave.Refused as refused:
    print(refused.code, len(kept) > 100)
print(len(signer.sign(b"")))
"""
    done = small(user, write_system, app=PRE + app).run()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "NOT_ENOUGH_MEMORY True\n32\n"
