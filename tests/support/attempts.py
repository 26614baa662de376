"""What a hostile program tries, and the harmless twins of it; runs inside of a domain.

Hostile by design. It gets a list of attempts and tries each: in a child of its own where it may fork, so
that one attempt's end is not the end of all. An answer is "ok ...", an errno's name, or "signal N".
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys

from exclave.linux import calls
from support import attempts_network
from support.attempt_registry import ATTEMPTS, attempt


@attempt
def read_grant(given: dict[str, str]) -> str:
    with open(given["grant"] + "/file") as stream:
        return stream.read()


@attempt
def write_grant(given: dict[str, str]) -> str:
    with open(given["grant"] + f"/new-{os.getpid()}", "w") as stream:
        return str(stream.write("x"))


@attempt
def write_read_only(given: dict[str, str]) -> str:
    with open(given["shown"] + "/file", "w") as stream:
        return str(stream.write("x"))


@attempt
def read_shown(given: dict[str, str]) -> str:
    with open(given["shown"] + "/file") as stream:
        return stream.read()


@attempt
def read_host_file(given: dict[str, str]) -> str:
    with open(given["hidden"] + "/file") as stream:
        return stream.read()


@attempt
def read_private(given: dict[str, str]) -> str:
    with open("/exclave/private/file") as stream:
        return stream.read()


@attempt
def use_device(given: dict[str, str]) -> str:
    descriptor = os.open(given["device"], os.O_RDWR)
    return str(os.write(descriptor, b"x"))


@attempt
def list_hidden(given: dict[str, str]) -> str:
    return ",".join(os.listdir("/exclave/partly/hidden"))  # noqa: PTH208


@attempt
def list_beside_hidden(given: dict[str, str]) -> str:
    return ",".join(sorted(os.listdir("/exclave/partly")))  # noqa: PTH208


@attempt
def own_bytes(given: dict[str, str]) -> str:
    with open("/exclave/bytes", "rb") as stream:
        return stream.read().hex()


@attempt
def change_own_bytes(given: dict[str, str]) -> str:
    with open("/exclave/bytes", "wb") as stream:
        return str(stream.write(b"x"))


@attempt
def signal_self(given: dict[str, str]) -> str:
    os.kill(os.getpid(), 0)
    return "reached"


@attempt
def signal_victim(given: dict[str, str]) -> str:
    os.kill(int(given["victim"]), 0)
    return "reached"


@attempt
def io_uring(given: dict[str, str]) -> str:
    os.close(calls._call("io_uring_setup", 4, ctypes.create_string_buffer(120)))
    return "made"


@attempt
def user_fault(given: dict[str, str]) -> str:
    os.close(calls.userfaultfd(1))
    return "made"


@attempt
def new_user_namespace(given: dict[str, str]) -> str:
    calls.unshare(calls.CLONE_NEWUSER)
    return "entered"


@attempt
def clone_user_namespace(given: dict[str, str]) -> str:
    child = calls._call("clone", calls.CLONE_NEWUSER | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "cloned"


@attempt
def clone3_user_namespace(given: dict[str, str]) -> str:
    fields = struct.pack("=11Q", calls.CLONE_NEWUSER, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, 0)
    child = calls._call("clone3", ctypes.create_string_buffer(fields, 88), 88)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "cloned"


@attempt
def fork_child(given: dict[str, str]) -> str:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "forked"


@attempt
def session_key(given: dict[str, str]) -> str:
    """Find the key that the tests put into the session keyring of the nucleus."""
    return str(calls._call("keyctl", 10, -3, b"user", given["key"].encode(), 0) > 0)


@attempt
def dumpable_again(given: dict[str, str]) -> str:
    calls.set_dumpable(True)
    return "set"


@attempt
def type_into_terminal(given: dict[str, str]) -> str:
    fcntl.ioctl(3, 0x5412, b"#")
    return "typed"


@attempt
def executable_memory(given: dict[str, str]) -> str:
    mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
    return "mapped"


@attempt
def plain_memory(given: dict[str, str]) -> str:
    mmap.mmap(-1, mmap.PAGESIZE).close()
    return "mapped"


@attempt
def make_executable(given: dict[str, str]) -> str:
    view = mmap.mmap(-1, mmap.PAGESIZE)
    calls._call("mprotect", calls.address_of(view), mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC)
    return "changed"


@attempt
def run_program(given: dict[str, str]) -> str:
    child = os.fork()
    if child == 0:
        try:
            os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", "pass"])
        except OSError as error:
            os._exit(error.errno or 255)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise OSError(code, "execv")
    return "ran"


@attempt
def execute(given: dict[str, str]) -> str:
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", "import os; os.write(3, b'replaced')"])
    raise AssertionError


@attempt
def open_for_reading(given: dict[str, str]) -> str:
    os.close(os.open("/exclave/bytes", os.O_RDONLY))
    return "opened"


@attempt
def open_for_writing(given: dict[str, str]) -> str:
    os.close(os.open("/exclave/scratch", os.O_RDWR | os.O_CREAT, 0o600))
    return "opened"


@attempt
def memory_file(given: dict[str, str]) -> str:
    os.close(os.memfd_create("x"))
    return "made"


@attempt
def x32_call(given: dict[str, str]) -> str:
    return f"result {calls._SYSCALL(ctypes.c_long(0x4000_0000 | 39))}"


@attempt
def many_processes(given: dict[str, str]) -> str:
    children: list[int] = []
    try:
        for _ in range(int(given["processes"]) + 8):
            child = os.fork()
            if child == 0:
                signal.pause()
                os._exit(0)
            children.append(child)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return "forked"


@attempt
def many_descriptors(given: dict[str, str]) -> str:
    held = [os.dup(1) for _ in range(int(given["files"]) + 8)]
    return f"held {len(held)}"


@attempt
def much_memory(given: dict[str, str]) -> str:
    mmap.mmap(-1, int(given["memory"]) + (64 << 20)).close()
    return "mapped"


@attempt
def large_file(given: dict[str, str]) -> str:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    descriptor = os.memfd_create("x")
    os.ftruncate(descriptor, int(given["file-size"]) + 1)
    return "grown"


def work(name: str, given: dict[str, str]) -> str:
    """Do a piece of ordinary work in a program of its own."""
    words = [sys.executable, "-B", "/exclave/workload.py", name, given["grant"]]
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": "/home/user",
        "PYTHONPATH": "/exclave/site",
        "LANG": "C.UTF-8",
    }
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    return "ok" if done.returncode == 0 else done.stderr[-200:]


def try_here(name: str, given: dict[str, str]) -> str:
    """Try in this process."""
    if name.startswith("work:"):
        return work(name.removeprefix("work:"), given)
    try:
        return "ok " + ATTEMPTS[name](given)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "timeout")


def try_in_child(name: str, given: dict[str, str]) -> str:
    """Try in a child, and say how it ended when it does not answer."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        try:
            os.write(writer, try_here(name, given).encode()[:300])
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        answer = stream.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return answer or f"signal {-code}"


assert attempts_network.ATTEMPTS is ATTEMPTS


def main() -> None:
    """Take filters and attempts from the control socket, and answer on it."""
    control = socket.socket(fileno=3)
    calls.set_dumpable(False)
    filters = [control.recv(1 << 16) for _ in range(int(control.recv(16)))]
    for program in filters:
        if len(program) > 1:
            calls.install_seccomp(program)
    control.send(b"installed")
    question = json.loads(control.recv(1 << 16))
    run = try_in_child if question["children"] else try_here
    for name in question["attempts"]:
        control.send(json.dumps([name, run(name, question["given"])]).encode())
    control.send(b"[]")


if __name__ == "__main__":
    main()
