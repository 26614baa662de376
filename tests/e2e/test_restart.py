"""Exclaves that end are started again where their table says so, and nobody else notices."""

from __future__ import annotations

import json

from conftest import SystemWriter
from support.ordinary import User, both_users
from support.systems import DESCRIPTION, PREAMBLE, small

FRAGILE = """
import ctypes
import os

from exclave import Component, protected


class Echo(Component):
    def init(self) -> None:
        self.calls = 0

    @protected
    def echo(self, value: bytes) -> bytes:
        if value == b"die":
            os._exit(3)
        self.calls += 1
        return value + b"%d" % self.calls
"""

RESTARTED = DESCRIPTION.replace('component = "echo:Echo"', 'component = "echo:Echo"\nrestart = "always"')

ONCE = """
        self.calls = 0
        seen = self.regions["seen"]
        if seen[0]:
            raise OSError(5, "broken")
        seen[0] = 1
"""

UNTIL_BACK = """
def until_back(call):
    import select
    for _ in range(300):
        try:
            return call()
        except (exclave.Fault, exclave.Revoked) as error:
            reason = error
            select.select([], [], [], 0.05)
    raise reason
"""

KILL = """
import exclave.abi.exceptions
try:
    echo.echo(b"die")
except (exclave.Revoked, exclave.Fault):
    print("gone")
"""


@both_users
def test_ended_exclave_is_started_again_with_a_fresh_state(user: User, write_system: SystemWriter) -> None:
    app = PREAMBLE + UNTIL_BACK + "print(echo.echo(b'a'), echo.echo(b'b'))" + KILL
    app += "print(until_back(lambda: echo.echo(b'c')), len(signer.sign(b'')))\n"
    done = small(user, write_system, app=app, echo=FRAGILE, description=RESTARTED).run()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "b'a1' b'b2'\ngone\nb'c1' 32\n"
    assert "echo exited with 3" in done.stderr
    assert "echo starts again in 0.1 s" in done.stderr
    assert "echo serves again" in done.stderr


@both_users
def test_restarts_back_off_and_are_counted(user: User, write_system: SystemWriter) -> None:
    app = PREAMBLE + UNTIL_BACK
    app += (KILL + "until_back(lambda: echo.echo(b''))\n") * 3 + 'print("up", flush=True)\n'
    system = small(user, write_system, app=app, echo=FRAGILE, description=RESTARTED)
    system.environment = {"XDG_STATE_HOME": str(system.root / "state")}
    done = system.run()
    assert done.returncode == 0, done.stderr
    delays = [line.split()[-2] for line in done.stderr.splitlines() if "starts again in" in line]
    assert delays == ["0.1", "0.2", "0.4"]
    replayed = system.exclave("log", "--replay", "--json", "small")
    assert json.loads(replayed.stdout)["same"] is True


@both_users
def test_without_a_policy_an_ended_exclave_stays_ended(user: User, write_system: SystemWriter) -> None:
    app = (
        PREAMBLE
        + KILL
        + """
for _ in range(3):
    try:
        echo.echo(b"")
    except exclave.Fault as fault:
        print(fault.kind, fault.text)
    except exclave.Revoked:
        print("revoked")
print(len(signer.sign(b"")))
"""
    )
    done = small(user, write_system, app=app, echo=FRAGILE).run()
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "gone"
    assert lines[-2] == "stopped echo exited with 3"
    assert lines[-1] == "32"
    assert "starts again" not in done.stderr


@both_users
def test_caller_in_another_exclave_reaches_the_new_incarnation(
    user: User, write_system: SystemWriter
) -> None:
    description = RESTARTED.replace('secrets = ["key"]', 'secrets = ["key"]\nuse = ["echo"]')
    signer = """
import exclave
from exclave import Component, ComponentError, protected
from echo import Echo

class TooLong(ComponentError):
    pass

class Signer(Component):
    def init(self) -> None:
        self.echo = exclave.connect("echo", Echo)

    @protected
    def ask(self, value: bytes) -> bytes:
        try:
            return self.echo.echo(value)
        except (exclave.Revoked, exclave.Fault):
            return b"gone"
"""
    app = (
        PREAMBLE
        + """
import select
print(signer.ask(b"x"), signer.ask(b"die"))
for _ in range(300):
    answer = signer.ask(b"y")
    if answer != b"gone":
        break
    select.select([], [], [], 0.05)
print(answer)
"""
    )
    done = small(user, write_system, app=app, echo=FRAGILE, signer=signer, description=description).run()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "b'x1' b'gone'\nb'y1'\n"


@both_users
def test_component_that_cannot_come_back_is_tried_again_and_again(
    user: User, write_system: SystemWriter
) -> None:
    once = FRAGILE.replace("        self.calls = 0\n", ONCE)
    description = (
        RESTARTED
        + """
[region.seen]
size = "4K"
type = "EXCLAVE_PRIVATE"
owner = "echo"
"""
    )
    app = (
        PREAMBLE
        + KILL
        + """
import select
select.select([], [], [], 1.0)
try:
    echo.echo(b"")
except (exclave.Fault, exclave.Revoked) as error:
    print(type(error).__name__)
print(len(signer.sign(b"")))
"""
    )
    done = small(user, write_system, app=app, echo=once, description=description).run()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "32"
    assert done.stderr.count("echo init raised OSError") >= 2
    assert "echo starts again in 0.4 s" in done.stderr


@both_users
def test_secret_that_can_be_read_only_once_forbids_restarts(user: User, write_system: SystemWriter) -> None:
    description = DESCRIPTION.replace('secrets = ["key"]', 'secrets = ["key"]\nrestart = "always"')
    system = small(user, write_system, app="print('ran')", description=description)
    done = system.run("--secret", "signer.key=-", secrets=False, stdin="typed")
    assert done.returncode == 125
    assert "signer cannot be restarted" in done.stderr
    assert done.stdout == ""
