from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from exclave.abi import control
from exclave.nucleus.shell.provision import (
    SECRET_LIMIT,
    SecretError,
    find,
    generate,
    open_checked,
    refuse_exposed,
    send_secret,
)
from exclave.system.description import Description, Monolith
from support.descriptions import describe, exclave
from support.descriptors import open_descriptors

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (one, other):
        end.settimeout(5)
    with one, other:
        yield one, other


def file(path: Path, data: bytes = b"a secret", mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def received(sock: socket.socket) -> bytes:
    """What an exclave gets of a secret, put together."""
    message, _ = control.expect(sock, control.GiveSecret)
    data = b""
    while len(data) < message.size:
        data += sock.recv(control.SECRET_CHUNK)
    assert len(data) == message.size
    return data


@pytest.mark.parametrize("size", [1, 32, 32 * 1024, 32 * 1024 + 1, SECRET_LIMIT])
def test_secret_of_any_allowed_size_arrives_whole(pair: Pair, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    path = file(tmp_path / "key", data)
    before = open_descriptors()
    assert send_secret(pair[0], "key", str(path)) == size
    assert received(pair[1]) == data
    assert open_descriptors() == before


@pytest.mark.parametrize(("size", "reason"), [(0, "empty"), (SECRET_LIMIT + 1, "over 64 KiB")])
def test_empty_and_too_large_secret_is_refused_and_nothing_is_sent(
    pair: Pair, tmp_path: Path, size: int, reason: str
) -> None:
    path = file(tmp_path / "key", bytes(size))
    before = open_descriptors()
    with pytest.raises(SecretError, match=f'the secret "key": {path}: {reason}'):
        send_secret(pair[0], "key", str(path))
    pair[0].close()
    with pytest.raises(EOFError):
        control.receive(pair[1])
    assert len(before - open_descriptors()) == 1


def test_secret_from_standard_input_is_read_to_its_end(pair: Pair) -> None:
    reading, writing = os.pipe()
    kept = os.dup(0)
    os.dup2(reading, 0)
    os.close(reading)
    try:

        def write() -> None:
            os.write(writing, b"one ")
            os.write(writing, b"two")
            os.close(writing)

        writer = threading.Thread(target=write)
        writer.start()
        assert send_secret(pair[0], "key", "-") == 7
        writer.join()
        assert received(pair[1]) == b"one two"
        assert os.fstat(0)
    finally:
        os.dup2(kept, 0)
        os.close(kept)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o660, 0o777, 0o601])
def test_file_that_others_may_use_is_refused_with_the_fix(tmp_path: Path, mode: int) -> None:
    path = file(tmp_path / "key", mode=mode)
    with pytest.raises(SecretError, match=f"others may read it; chmod 600 {path}"):
        open_checked(str(path), "key")


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_file_of_the_operators_own_is_opened(tmp_path: Path, mode: int) -> None:
    descriptor = open_checked(str(file(tmp_path / "key", mode=mode)), "key")
    assert not os.get_inheritable(descriptor)
    assert os.read(descriptor, 20) == b"a secret"
    os.close(descriptor)


@pytest.mark.root
def test_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = file(tmp_path / "key")
    os.chown(path, 65534, 65534)
    with pytest.raises(SecretError, match="belongs to somebody else; make it your own"):
        open_checked(str(path), "key")


def test_link_is_judged_by_what_it_leads_to(tmp_path: Path) -> None:
    file(tmp_path / "good")
    file(tmp_path / "bad", mode=0o644)
    (tmp_path / "to-good").symlink_to("good")
    (tmp_path / "to-bad").symlink_to("bad")
    (tmp_path / "loop").symlink_to("loop")
    os.close(open_checked(str(tmp_path / "to-good"), "key"))
    with pytest.raises(SecretError, match="others may read it"):
        open_checked(str(tmp_path / "to-bad"), "key")
    with pytest.raises(SecretError, match="Too many levels of symbolic links"):
        open_checked(str(tmp_path / "loop"), "key")


def test_anything_but_a_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    (tmp_path / "directory").mkdir(mode=0o700)
    listener = socket.socket(socket.AF_UNIX)
    with listener:
        listener.bind(str(tmp_path / "socket"))
        before = open_descriptors()
        for name in ("fifo", "directory"):
            with pytest.raises(SecretError, match="not a regular file"):
                open_checked(str(tmp_path / name), "key")
        with pytest.raises(SecretError, match="not a regular file"):
            open_checked("/dev/null", "key")
        with pytest.raises(SecretError, match="No such device or address"):
            open_checked(str(tmp_path / "socket"), "key")
        with pytest.raises(SecretError, match="No such file"):
            open_checked(str(tmp_path / "missing"), "key")
        assert open_descriptors() == before


def test_exclave_that_is_gone_or_does_not_read_is_a_secret_error(pair: Pair, tmp_path: Path) -> None:
    path = str(file(tmp_path / "key", bytes(SECRET_LIMIT)))
    pair[0].settimeout(0.01)

    def send_on() -> None:
        for _ in range(100):
            send_secret(pair[0], "key", path)

    with pytest.raises(SecretError, match=r"timed out|temporarily unavailable"):
        send_on()
    pair[1].close()
    with pytest.raises(SecretError, match=r"Broken pipe|Connection reset"):
        send_secret(pair[0], "key", path)


SENDER = """
import socket, sys
from exclave.nucleus.shell.provision import send_secret
one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
send_secret(one, "key", sys.argv[1])
held = open(sys.argv[1], "rb").read() if sys.argv[2] == "hold" else b""
print("sent", flush=True)
sys.stdin.read()
"""


def occurrences(pid: int, needle: bytes) -> int:
    """How often some bytes are in the memory of a process that can be read."""
    count = 0
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory, open(f"/proc/{pid}/maps") as maps:
        for line in maps.read().splitlines():
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if match is None or "[v" in line:
                continue
            start, end = int(match[1], 16), int(match[2], 16)
            try:
                count += os.pread(memory.fileno(), end - start, start).count(needle)
            except OSError:
                # Secret memory cannot be read through the kernel (memfd_secret(2)).
                continue
    return count


@pytest.mark.parametrize(("mode", "found"), [("send", 0), ("hold", 1)])
def test_secret_is_nowhere_in_memory_after_sending(tmp_path: Path, mode: str, found: int) -> None:
    """The mode "hold" is the control: a secret on the heap is found."""
    data = os.urandom(4096)
    path = file(tmp_path / "key", data)
    command = [sys.executable, "-c", SENDER, str(path), mode]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as sender:
        assert sender.stdout is not None
        assert sender.stdout.readline() == b"sent\n"
        assert min(occurrences(sender.pid, data[at : at + 16]) for at in (0, 1000, 4080)) == found
        assert max(occurrences(sender.pid, data[at : at + 16]) for at in (0, 1000, 4080)) == found
        sender.communicate()


def description(tmp_path: Path, *, length: int | None = None, secrets: str = "keys") -> Description:
    """A description with one secret "key" of signer and a program directory."""
    (tmp_path / "app").mkdir(exist_ok=True)
    signer = exclave("signer", secrets=("key",))
    if length is not None:
        signer = msgspec.structs.replace(signer, generate={"key": length})
    monolith = Monolith(
        command=("python",), program=str(tmp_path / "app"), write=(str(tmp_path / "var"),), read=()
    )
    return describe(signer, directory=str(tmp_path), monolith=monolith, secrets=str(tmp_path / secrets))


def test_secret_is_found_in_the_systems_directory_or_where_the_operator_says(tmp_path: Path) -> None:
    described = description(tmp_path)
    path = tmp_path / "keys" / "signer" / "key"
    with pytest.raises(SecretError) as missing:
        find(described, "signer", "key", {})
    assert str(path) in str(missing.value)
    assert "--secret signer.key=FILE (- for standard input)" in str(missing.value)
    path.parent.mkdir(parents=True)
    path.write_text("x")
    assert find(described, "signer", "key", {}) == str(path)
    other = file(tmp_path / "other")
    assert find(described, "signer", "key", {"signer.key": str(other)}) == str(other)
    assert find(described, "signer", "key", {"signer.key": "-"}) == "-"
    with pytest.raises(SecretError, match="is not there: /nonexistent/key"):
        find(described, "signer", "key", {"signer.key": "/nonexistent/key"})


@pytest.mark.parametrize("place", ["app/key", "app/below/key", "var/key"])
def test_file_that_the_monolith_may_read_is_refused(tmp_path: Path, place: str) -> None:
    described = description(tmp_path)
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    file(path)
    link = tmp_path / "link"
    link.symlink_to(path)
    for source in (path, link):
        with pytest.raises(SecretError, match="which the monolith may read"):
            refuse_exposed(described, str(source), "signer.key")
        with pytest.raises(SecretError, match="which the monolith may read"):
            find(described, "signer", "key", {"signer.key": str(source)})
    refuse_exposed(described, str(file(tmp_path / "application")), "signer.key")


def test_missing_secret_is_made_when_the_description_says_so(tmp_path: Path) -> None:
    described = description(tmp_path, length=32)
    path = Path(find(described, "signer", "key", {}))
    first = path.read_bytes()
    assert len(first) == 32
    assert len(set(first)) > 8
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert find(described, "signer", "key", {}) == str(path)
    assert path.read_bytes() == first
    os.close(open_checked(str(path), "key"))


def test_secret_is_never_made_where_the_monolith_may_read(tmp_path: Path) -> None:
    described = description(tmp_path, length=32, secrets="app/keys")
    with pytest.raises(SecretError, match="which the monolith may read"):
        find(described, "signer", "key", {})
    assert list((tmp_path / "app").iterdir()) == []


def test_making_a_secret_never_replaces_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = file(tmp_path / "key", b"there already")
    with pytest.raises(SecretError, match="File exists"):
        generate(path, "signer.key", 32)
    assert path.read_bytes() == b"there already"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(SecretError, match="cannot be made"):
        generate(path / "below", "signer.key", 32)


def test_made_secrets_differ(tmp_path: Path) -> None:
    for name in ("one", "other"):
        generate(tmp_path / name, "signer.key", 16)
    assert (tmp_path / "one").read_bytes() != (tmp_path / "other").read_bytes()
