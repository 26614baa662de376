"""Trust: reviewed.

Process 1 of a process monolith: puts the monolith's filter on itself, runs the command, reaps orphans,
passes signals on, and ends with the command's exit code.

Rules:
 1. It runs in the finished sandbox and holds nothing but the control socket; a monolith that takes it
    over has gained nothing.
 2. It is not the command itself, because process 1 of a pid namespace ignores signals that have no
    handler (pid_namespaces(7)) and must reap what others leave behind.
 3. When it ends, the kernel ends every process of the monolith.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import sys
from typing import Final, NoReturn

from exclave.abi import control
from exclave.linux import calls

NOT_EXECUTABLE: Final = 126
NOT_FOUND: Final = 127
RUNTIME_FAILED: Final = 125


def exit_code(status: int) -> int:
    """Translate a wait status to the code a shell would report (128 + n for signal n)."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def run_command(launch: control.Launch, failure: int) -> NoReturn:
    """Become the command (in the forked child); report the errno of a failed execve and exit."""
    try:
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.execv(launch.command[0], launch.command)
    except OSError as error:
        os.write(failure, str(error.errno or errno.EIO).encode())
        os._exit(NOT_FOUND if error.errno == errno.ENOENT else NOT_EXECUTABLE)


def start(launch: control.Launch, sock: socket.socket) -> int:
    """Fork the command and say Launched, or Failed with the exit code of a shell; return its pid."""
    ready, failure = os.pipe()
    pid = os.fork()
    if pid == 0:
        sock.close()
        os.close(ready)
        run_command(launch, failure)
    os.close(failure)
    problem = os.read(ready, 16)
    os.close(ready)
    if not problem:
        control.send(sock, control.Launched())
        return pid
    number = int(problem)
    code = exit_code(os.waitpid(pid, 0)[1])
    text = f"{launch.command[0]}: {os.strerror(number)}"
    control.send(sock, control.Failed("execve", str(code), text))
    sys.exit(code)


def reap(command: int) -> int | None:
    """Reap every process that ended; return the command's exit code when it is among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == command:
            code = exit_code(status)


def supervise(command: int, sock: socket.socket) -> int:
    """Wait for the command, pass signals on meanwhile, and return its exit code.

    The nucleus closing the control socket ends the monolith: process 1 exits, and the kernel kills the rest.
    """
    wakeup, written = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    poll = select.poll()
    poll.register(wakeup, select.POLLIN)
    poll.register(sock, select.POLLIN)
    while (code := reap(command)) is None:
        for descriptor, _ in poll.poll():
            if descriptor == wakeup:
                os.read(wakeup, 4096)
                continue
            try:
                message, _ = control.receive(sock)
            except (EOFError, ConnectionError):
                return RUNTIME_FAILED
            if isinstance(message, control.Signal):
                pass_on(command, message.number)
    return code


def pass_on(command: int, number: int) -> None:
    """Send the command a signal that the nucleus got; one that ended meanwhile needs none."""
    try:
        os.kill(command, number)
    except ProcessLookupError:
        return


def main() -> NoReturn:
    """Serve as process 1 of the monolith's pid namespace."""
    sock = socket.socket(fileno=control.CONTROL_FD)
    os.set_inheritable(sock.fileno(), False)
    calls.set_dumpable(False)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(number, lambda _number, _frame: None)
    launch, _ = control.expect(sock, control.Launch)
    if launch.filter_monolith:
        calls.install_seccomp(launch.filter_monolith)
    command = start(launch, sock)
    code = supervise(command, sock)
    # A nucleus that is gone needs to know nothing.
    with contextlib.suppress(OSError):
        control.send(sock, control.Exited(code))
    sys.exit(code)


if __name__ == "__main__":
    main()
