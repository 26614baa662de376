"""Trust: reviewed.

Secrets on their way from a file, or standard input, to an exclave: read into secret memory, sent, wiped.

Rules:
 1. A secret is never on the nucleus's heap, in its log, in a message text, or in an environment.
 2. A secret file belongs to the operator or root, and nobody else may read it.
"""

from __future__ import annotations

import functools
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from exclave.abi import control
from exclave.linux import calls
from exclave.system.description import Description, secret_candidates

SECRET_LIMIT: Final = 64 * 1024
STANDARD_INPUT: Final = "-"


class SecretError(Exception):
    """A secret cannot be provided; names the secret, the file and the fix."""


def find(description: Description, exclave: str, secret: str, given: Mapping[str, str]) -> str:
    """The file of a secret, or "-" for standard input; it is made when the description says so.

    Args:
        given: `--secret EXCLAVE.SECRET=FILE` of the command line, by "EXCLAVE.SECRET".

    Raises:
        SecretError: there is no such file, or it lies inside what the monolith may read, or cannot be made.
    """
    name = f"{exclave}.{secret}"
    candidates = (given[name],) if name in given else secret_candidates(description, exclave, secret)
    length = description.components[exclave].generate.get(secret)
    for candidate in candidates:
        if candidate == STANDARD_INPUT:
            return candidate
        refuse_exposed(description, candidate, name)
        if Path(candidate).exists():
            return candidate
    if length is not None:
        generate(Path(candidates[-1]), name, length)
        return candidates[-1]
    raise SecretError(
        f'the secret "{secret}" of {exclave} is not there: {" or ".join(candidates)}\n'
        f"  fix: put it there (chmod 600), or give it with --secret {name}=FILE (- for standard input)"
    )


def generate(path: Path, name: str, length: int) -> None:
    """Make a secret of random bytes: readable to the operator only, and complete or not there.

    Raises:
        SecretError: its directory cannot be made or written.
    """
    memory = _arena()[:length]
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            calls.fill_random(memory)
            os.write(descriptor, memory)
            os.fsync(descriptor)
        finally:
            memory[:] = bytes(length)
            os.close(descriptor)
        try:
            # link(2), unlike rename(2), never replaces a secret that somebody else has just put there.
            os.link(temporary, path)
        finally:
            temporary.unlink()
    except OSError as error:
        raise SecretError(f'the secret "{name}" cannot be made: {path}: {error.strerror}') from None


def refuse_exposed(description: Description, source: str, name: str) -> None:
    """Refuse a secret file that lies inside what the monolith may read.

    The description's own directory of secrets was checked with the description; files that the command line
    names are checked here.

    Raises:
        SecretError: it does; the operator's fault.
    """
    monolith = description.monolith
    for granted in (monolith.program, *monolith.read, *monolith.write):
        if Path(os.path.realpath(source)).is_relative_to(os.path.realpath(granted)):
            raise SecretError(
                f'the secret "{name}": {source} lies inside {granted}, which the monolith may read\n'
                "  fix: keep secrets outside of its program, read and write paths"
            )


def open_checked(path: str, name: str) -> int:
    """Open a secret file after checking who else could read or change it.

    Raises:
        SecretError: it cannot be opened, or others may read or write it, or it is no regular file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SecretError(f'the secret "{name}": {path}: {error.strerror}') from None
    info = os.fstat(descriptor)
    problem = ""
    if not stat.S_ISREG(info.st_mode):
        problem = "not a regular file"
    elif info.st_uid not in (0, os.geteuid()):
        problem = "belongs to somebody else; make it your own"
    elif info.st_mode & 0o077:
        problem = f"others may read it; chmod 600 {path}"
    if problem:
        os.close(descriptor)
        raise SecretError(f'the secret "{name}": {path}: {problem}')
    return descriptor


@functools.cache
def _arena() -> memoryview:
    """The nucleus's one piece of secret memory, which every secret passes through."""
    return calls.secret_memory(SECRET_LIMIT + 1).view


def send_secret(sock: socket.socket, secret: str, source: str) -> int:
    """Send one secret to an exclave that is about to receive it.

    Args:
        sock: the exclave's control socket, blocking with a time-out.
        secret: its name.
        source: a file, or "-".

    Returns:
        Its size in bytes.

    Raises:
        SecretError: unreadable, empty, or over 64 KiB, or the exclave does not take it.
    """
    descriptor = 0 if source == STANDARD_INPUT else open_checked(source, secret)
    memory = _arena()
    size = 0
    try:
        while size <= SECRET_LIMIT and (count := os.readv(descriptor, [memory[size:]])):
            size += count
        if not 1 <= size <= SECRET_LIMIT:
            raise SecretError(f'the secret "{secret}": {source}: {"empty" if not size else "over 64 KiB"}')
        control.send(sock, control.GiveSecret(secret, size))
        for start in range(0, size, control.SECRET_CHUNK):
            sock.send(memory[start : min(start + control.SECRET_CHUNK, size)])
    except OSError as error:
        raise SecretError(f'the secret "{secret}": {source}: {error.strerror or error}') from None
    finally:
        memory[:size] = bytes(size)
        if descriptor:
            os.close(descriptor)
    return size
