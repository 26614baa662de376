from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exclave.abi import control
from exclave.monolith.init import exit_code

RUN = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.close(int(sys.argv[1]))
from exclave.linux import calls
calls.set_child_subreaper()
from exclave.monolith.init import main
main()
"""


class First:
    """The monolith's first process, outside of any namespace, with this test as its nucleus."""

    def __init__(self, *command: str) -> None:
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(20)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", RUN, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        control.send(self.sock, control.Launch(command, b""))

    def hear(self) -> control.ControlMessage | None:
        """What it says next."""
        return control.receive(self.sock)[0]

    def line(self) -> str:
        """The next line that the command prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def code(self) -> int:
        """Its own exit code."""
        return self.process.wait(20)


Launch = Callable[..., First]


@pytest.fixture
def launch() -> Iterator[Launch]:
    """Launch a command; whatever is left at the end is killed."""
    started: list[First] = []

    def launcher(*command: str) -> First:
        started.append(First(*command))
        return started[-1]

    yield launcher
    for first in started:
        first.process.kill()
        first.process.communicate()
        first.sock.close()


def python(text: str) -> tuple[str, ...]:
    return sys.executable, "-I", "-S", "-c", text


@pytest.mark.parametrize(
    ("status", "code"), [(0, 0), (42 << 8, 42), (255 << 8, 255), (9, 137), (15, 143), (139, 139)]
)
def test_exit_code_is_the_shells(status: int, code: int) -> None:
    assert exit_code(status) == code


def test_command_runs_and_its_code_is_told(launch: Launch) -> None:
    first = launch("/bin/sh", "-c", "echo out; exit 42")
    assert first.hear() == control.Launched()
    assert first.line() == "out\n"
    assert first.hear() == control.Exited(42)
    assert first.code() == 42


def test_killed_command_has_the_shells_code(launch: Launch) -> None:
    first = launch("/bin/sh", "-c", "kill -TERM $$")
    assert [first.hear(), first.hear()] == [control.Launched(), control.Exited(143)]


def test_missing_and_unusable_commands_fail_as_in_a_shell(launch: Launch, tmp_path: Path) -> None:
    (tmp_path / "not-executable").write_text("")
    missing = launch(f"{tmp_path}/missing")
    assert missing.hear() == control.Failed("execve", "127", f"{tmp_path}/missing: No such file or directory")
    assert missing.code() == 127
    unusable = launch(f"{tmp_path}/not-executable")
    failed = unusable.hear()
    assert failed == control.Failed("execve", "126", f"{tmp_path}/not-executable: Permission denied")
    assert unusable.code() == 126


def test_signals_are_passed_on(launch: Launch) -> None:
    text = """
import signal, sys
signal.signal(15, lambda *_: sys.exit(42))
print("up", flush=True)
signal.pause()
"""
    first = launch(*python(text))
    assert first.hear() == control.Launched()
    assert first.line() == "up\n"
    control.send(first.sock, control.Signal(signal.SIGTERM))
    assert first.hear() == control.Exited(42)


def test_anything_else_said_meanwhile_is_ignored(launch: Launch) -> None:
    first = launch("/bin/sh", "-c", "read x; exit 3")
    assert first.hear() == control.Launched()
    first.sock.send(b"junk")
    control.send(first.sock, control.Begin())
    assert first.process.stdin is not None
    first.process.stdin.write("x\n")
    first.process.stdin.flush()
    assert first.hear() == control.Exited(3)


def test_orphans_are_reaped_and_do_not_end_it(launch: Launch) -> None:
    text = """
import os, sys
reading, writing = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        os.read(reading, 1)
        os._exit(5)
    os._exit(0)
os.wait()
print("orphaned", flush=True)
sys.stdin.readline()
os.write(writing, b"x")
sys.stdin.readline()
sys.exit(8)
"""
    first = launch(*python(text))
    assert first.hear() == control.Launched()
    assert first.line() == "orphaned\n"
    assert first.process.stdin is not None
    for _ in range(2):
        first.process.stdin.write("\n")
        first.process.stdin.flush()
    assert first.hear() == control.Exited(8)


def test_nucleus_that_is_gone_ends_it(launch: Launch) -> None:
    first = launch("/bin/cat")
    assert first.hear() == control.Launched()
    first.sock.close()
    assert first.code() == 125


def test_command_inherits_no_descriptor_and_no_ignored_signal(launch: Launch) -> None:
    text = """
import os, signal
own = os.open(".", os.O_RDONLY)
print(sorted(fd for fd in map(int, os.listdir("/proc/self/fd")) if fd < own))
status = open("/proc/self/status").read()
ignored = int(status.split("SigIgn:")[1].split()[0], 16)
print(ignored & sum(1 << (n - 1) for n in (2, 3, 15, 17, 20)))
"""
    first = launch(*python(text))
    assert first.hear() == control.Launched()
    assert first.line() == "[0, 1, 2]\n"
    assert first.line() == "0\n"
    assert first.hear() == control.Exited(0)


def test_broken_pipe_ends_a_command_as_it_does_in_a_shell(launch: Launch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    first = launch("/bin/sh", "-c", "trap '' USR1; exec /bin/sh -c 'kill -PIPE $$'")
    assert [first.hear(), first.hear()] == [control.Launched(), control.Exited(128 + signal.SIGPIPE)]
