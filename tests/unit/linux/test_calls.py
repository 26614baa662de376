"""The raw calls do what they say, and say which call failed."""

from __future__ import annotations

import errno
import faulthandler
import mmap
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from exclave.linux import calls
from exclave.linux.bpf import ALLOW, Rule, assemble, fail


def in_child(action: Callable[[], object]) -> int:
    """Run an action in a child; 0 when it returned, its errno when it raised, -signal when it was killed."""
    child = os.fork()
    if child == 0:
        code = 0
        faulthandler.disable()
        try:
            action()
        except OSError as error:
            code = error.errno or 254
        except BaseException:
            code = 255
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_failure_names_the_call() -> None:
    with pytest.raises(OSError, match="setns") as caught:
        calls.setns(-1, 0)
    assert caught.value.errno == errno.EBADF


@pytest.mark.parametrize("on", [False, True])
def test_dumpable_is_set(on: bool) -> None:
    def action() -> None:
        calls.set_dumpable(on)
        assert calls.dumpable() == on

    assert in_child(action) == 0


def test_no_new_privs_and_name_show_in_proc() -> None:
    def action() -> None:
        calls.set_no_new_privs()
        calls.set_name("a-name-that-is-too-long")
        status = Path("/proc/self/status").read_text()
        assert "NoNewPrivs:\t1\n" in status
        assert "Name:\ta-name-that-is-\n" in status

    assert in_child(action) == 0


def test_close_range_closes_exactly_the_range() -> None:
    def action() -> None:
        first, second, third = (os.dup(2) for _ in range(3))
        calls.close_range(first, second)
        os.fstat(third)
        for closed in (first, second):
            with pytest.raises(OSError, match="Bad file"):
                os.fstat(closed)

    assert in_child(action) == 0


@pytest.mark.parametrize("program", [b"", b"1234567"])
def test_a_malformed_filter_is_refused_before_the_kernel_sees_it(program: bytes) -> None:
    with pytest.raises(OSError, match="seccomp"):
        calls.install_seccomp(program)


def test_capabilities_can_be_dropped_and_not_regained() -> None:
    def action() -> None:
        calls.clear_ambient_set()
        calls.drop_capabilities()
        status = Path("/proc/self/status").read_text()
        assert "CapEff:\t0000000000000000\n" in status
        assert "CapPrm:\t0000000000000000\n" in status
        with pytest.raises(PermissionError):
            os.setresuid(1, 1, 2)

    assert in_child(action) == 0


def test_parent_death_signal_is_delivered() -> None:
    reader, writer = os.pipe()
    middle = os.fork()
    if middle == 0:
        child = os.fork()
        if child == 0:
            calls.set_parent_death_signal(signal.SIGKILL)
            os.write(writer, b"armed")
            signal.pause()
            os._exit(0)
        os.read(reader, 5)
        os._exit(0)
    os.close(writer)
    os.waitpid(middle, 0)
    # The pipe reports its end when the last writer, the grandchild, is dead.
    assert os.read(reader, 9) == b""
    os.close(reader)


def test_secret_memory_is_private_to_the_process() -> None:
    memory = calls.secret_memory(5000)
    assert len(memory.view) == 2 * mmap.PAGESIZE
    assert bytes(memory.view[:5000]) == bytes(5000)
    memory.view[:6] = b"secret"
    assert bytes(memory.view[:6]) == b"secret"
    assert in_child(lambda: memory.view[0]) == -signal.SIGSEGV


def test_secret_memory_cannot_be_read_through_proc() -> None:
    memory = calls.secret_memory(1)
    plain = mmap.mmap(-1, mmap.PAGESIZE)
    assert memory.kind == "memfd_secret"
    with open("/proc/self/mem", "rb", buffering=0) as stream:
        assert os.pread(stream.fileno(), 4, calls.address_of(plain)) == bytes(4)
        with pytest.raises(OSError, match="Input/output"):
            os.pread(stream.fileno(), 4, calls.address_of(memory.view))


def without_memfd_secret(size: int) -> calls.SecretMemory:
    """Map secret memory under a filter that refuses memfd_secret, as an old kernel does."""
    calls.set_no_new_privs()
    calls.install_seccomp(assemble({"memfd_secret": Rule(then=fail(errno.ENOSYS))}, ALLOW, calls.arch()))
    return calls.secret_memory(size)


def test_without_memfd_secret_the_memory_is_locked_and_says_so() -> None:
    def action() -> None:
        assert without_memfd_secret(mmap.PAGESIZE).kind == "mlock"
        assert "VmLck:\t       4 kB" in Path("/proc/self/status").read_text()

    assert in_child(action) == 0


def test_memory_that_cannot_be_locked_is_an_error() -> None:
    def action() -> None:
        calls.drop_capabilities()
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
        without_memfd_secret(mmap.PAGESIZE)

    assert in_child(action) in (errno.ENOMEM, errno.EPERM)


def test_random_bytes_fill_the_whole_view() -> None:
    view = memoryview(bytearray(4096))
    calls.fill_random(view)
    assert len(set(bytes(view))) > 200
    assert bytes(view[-32:]) != bytes(32)


def test_importing_the_raw_calls_brings_in_nothing_of_the_nucleus() -> None:
    code = "import sys, exclave.linux.calls; sys.exit(any('nucleus' in name for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
