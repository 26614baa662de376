"""Ordinary work of an ordinary program, one piece per run; it must work inside of a monolith. A program."""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing
import os
import pty
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing import shared_memory
from pathlib import Path


def threads() -> object:
    done: list[int] = []
    started = [threading.Thread(target=done.append, args=(number,)) for number in range(5)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return sorted(done) == list(range(5))


def processes() -> object:
    shell = subprocess.run(["sh", "-c", "echo $((6*7)); exit 3"], capture_output=True, check=False)
    sleeper = subprocess.Popen(["sleep", "60"])
    sleeper.terminate()
    return shell.stdout == b"42\n" and shell.returncode == 3 and sleeper.wait() == -signal.SIGTERM


def pool(method: str) -> bool:
    with multiprocessing.get_context(method).Pool(2) as workers:
        return workers.map(abs, [-1, -2]) == [1, 2]


def forked_pool() -> object:
    return pool("fork")


def spawned_pool() -> object:
    return pool("spawn")


def manager() -> object:
    with multiprocessing.Manager() as shared:
        items = shared.list([1])
        items.append(2)
        return list(items) == [1, 2]


def shared() -> object:
    block = shared_memory.SharedMemory(create=True, size=100)
    block.close()
    block.unlink()
    return True


async def _asyncio() -> bool:
    process = await asyncio.create_subprocess_exec("echo", "x", stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(echo, "/tmp/echo")
    reader, writer = await asyncio.open_unix_connection("/tmp/echo")
    writer.write(b"line\n")
    line = await reader.readline()
    writer.close()
    server.close()
    return output == b"x\n" and line == b"line\n" and await asyncio.to_thread(lambda: True)


def event_loop() -> object:
    return asyncio.run(_asyncio())


def database() -> object:
    connection = sqlite3.connect(f"{sys.argv[2]}/database")
    connection.execute("pragma journal_mode=wal")
    connection.execute("create table if not exists numbers (number)")
    connection.execute("insert into numbers values (7)")
    connection.commit()
    return connection.execute("select max(number) from numbers").fetchall() == [(7,)]


def tls() -> object:
    left, right = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(left, right, server_hostname="example.org")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return right.pending > 0
    return False


def files() -> object:
    place = Path(tempfile.mkdtemp())
    (place / "file").write_text("x")
    os.mkfifo(place / "fifo")
    (place / "fifo").unlink()
    shutil.copytree(place, place / "copy", dirs_exist_ok=False, ignore=shutil.ignore_patterns("copy"))
    os.replace(place / "file", place / "moved")  # noqa: PTH105
    os.utime(place / "moved", (1, 1))
    (place / "moved").chmod(0o600)
    shutil.rmtree(place)
    return Path.home().is_dir() and os.access(Path.home(), os.W_OK)


def devices() -> object:
    with open("/dev/null", "wb") as sink, open("/dev/urandom", "rb") as source:
        sink.write(source.read(8))
    return Path("/dev/stdin").exists()


def terminal() -> object:
    child, end = pty.fork()
    if child == 0:
        os.write(1, b"inside")
        os._exit(0)
    said = os.read(end, 100)
    os.waitpid(child, 0)
    return said == b"inside"


def callbacks() -> object:
    return ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 4)() == 4


def names() -> object:
    return socket.getaddrinfo("localhost", 80) and time.localtime().tm_zone


def own_processes() -> object:
    return {entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()} >= {
        "1",
        str(os.getpid()),
    }


def packages() -> object:
    import msgspec
    from nacl.signing import SigningKey

    key = SigningKey.generate()
    key.verify_key.verify(key.sign(b"message"))
    return msgspec.msgpack.decode(msgspec.msgpack.encode([1, "a"])) == [1, "a"]


WORK: dict[str, Callable[[], object]] = {
    work.__name__: work
    for work in (
        *(threads, processes, forked_pool, spawned_pool, manager, shared, event_loop, database, tls),
        *(files, devices, terminal, callbacks, names, own_processes, packages),
    )
}

if __name__ == "__main__":
    if not WORK[sys.argv[1]]():
        sys.exit("wrong result")
