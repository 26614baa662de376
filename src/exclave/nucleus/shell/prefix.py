"""Trust: reviewed.

Measurement of what all exclaves share with the host: the interpreter's prefix and exclave's own runtime.

Rules:
 1. Contents are hashed, bytecode included, because all of it can run in an exclave.
 2. A file's hash is reused only while its inode, size, modification and change times are the same
    (inode(7): the change time cannot be set by a program).
 3. The system's shared libraries are not measured; see the caveats.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from exclave.nucleus.shell.plan import Bind
from exclave.nucleus.shell.view import shared_libraries

CACHE_LIMIT: Final = 64 * 1024 * 1024

Cache = dict[str, tuple[tuple[int, int, int, int], str]]


def measure_binds(binds: tuple[Bind, ...], cache_file: Path | None) -> bytes:
    """Hash names and contents of all files below the binds' sources, shared libraries excepted.

    Args:
        binds: what is visible; names that a bind hides are left out.
        cache_file: where hashes are kept between boots; None hashes everything.

    Returns:
        32 bytes.

    Raises:
        OSError: a file cannot be read; the installation's fault.
    """
    known = _load(cache_file)
    fresh: Cache = {}
    summary = hashlib.sha256()
    libraries, _ = shared_libraries()
    for bind in sorted(binds, key=lambda bind: bind.target):
        if bind.source in libraries:
            continue
        for entry in _files(bind):
            info = entry.stat(follow_symlinks=False)
            key = (info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
            before = known.get(entry.path)
            digest = before[1] if before is not None and before[0] == key else _hash(entry.path)
            fresh[entry.path] = key, digest
            name = entry.path.removeprefix(bind.source)
            summary.update(f"{bind.target}{name}\0{digest}\n".encode())
    if cache_file is not None and fresh != known:
        _save(cache_file, fresh)
    return summary.digest()


def _files(bind: Bind) -> Iterator[os.DirEntry[str]]:
    """The regular files that a bind shows, each directory in the order of names."""
    parent, name = os.path.split(bind.source)
    directories = [bind.source] if Path(bind.source).is_dir() else []
    if not directories:
        with os.scandir(parent) as entries:
            yield from (entry for entry in entries if entry.name == name)
    while directories:
        here = directories.pop()
        with os.scandir(here) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_dir(follow_symlinks=False):
                    if here != bind.source or entry.name not in bind.hidden:
                        directories.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    yield entry


def _hash(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load(cache_file: Path | None) -> Cache:
    if cache_file is None:
        return {}
    try:
        with cache_file.open("rb") as file:
            return msgspec.json.decode(file.read(CACHE_LIMIT), type=Cache)
    except (OSError, msgspec.DecodeError):
        return {}


def _save(cache_file: Path, cache: Cache) -> None:
    temporary = cache_file.with_name(f".{cache_file.name}.{os.getpid()}")
    # A cache that cannot be written costs time at the next boot, and nothing else.
    with contextlib.suppress(OSError):
        temporary.write_bytes(msgspec.json.encode(cache))
        temporary.replace(cache_file)
