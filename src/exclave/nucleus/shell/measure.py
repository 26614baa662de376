"""Trust: reviewed.

Measurement: what exactly a component consists of, read once, hashed, and handed to its domain as those bytes.

Rules:
 1. A component's own files and its packages are read once; what was hashed is what the domain imports.
    A later change of the files on disk does not reach it.
 2. The closure of a component's own files is found from its import statements, never by running it.
 3. A name of the standard library is never a component's own: its domain imports that one (sys.path order).
 4. No bytecode is taken over: a .pyc could say other than its source (PEP 552).
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE_LIMIT: Final = 64 * 1024 * 1024
FILES_LIMIT: Final = 5000
REQUIREMENT: Final = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)")
FOR_AN_EXTRA: Final = re.compile(r";.*\bextra\s*==")


class MeasureError(Exception):
    """Something that a component consists of is missing or unusable; names the file and the fix."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A component's content.

    Attributes:
        own: module files of the component, relative path -> bytes.
        packages: files of its packages, path relative to site-packages -> bytes.
        digest: 32 bytes over the names and contents of both.
    """

    own: Mapping[str, bytes]
    packages: Mapping[str, bytes]
    digest: bytes

    def hashes(self) -> dict[str, str]:
        """Name -> SHA-256 in hex, of every file; packages are prefixed with "site/"."""
        return {name: hashlib.sha256(data).hexdigest() for name, data in self._all()}

    def _all(self) -> list[tuple[str, bytes]]:
        return sorted(self.own.items()) + sorted(
            (f"site/{name}", data) for name, data in self.packages.items()
        )


def measure(directory: Path, module: str, packages: tuple[str, ...]) -> Measured:
    """Read and hash what a component consists of.

    Args:
        directory: where its modules are looked for: the description's directory.
        module: dotted name of the module with the component class.
        packages: names of the distributions it may import, from this environment.

    Raises:
        MeasureError: a file or distribution is missing, unreadable, or not Python; the user's fault.
    """
    own = own_files(directory, module)
    site: dict[str, bytes] = {}
    for name in closure(packages):
        site.update(distribution_files(name))
    summary = hashlib.sha256()
    for prefix, files in (("own", own), ("site", site)):
        for name, data in sorted(files.items()):
            summary.update(f"{prefix}\0{name}\0{hashlib.sha256(data).hexdigest()}\n".encode())
    return Measured(own, site, summary.digest())


def own_files(directory: Path, module: str) -> dict[str, bytes]:
    """The component's module and every module beside it that these import, relative path -> bytes."""
    if module.split(".")[0] in sys.stdlib_module_names:
        raise MeasureError(
            f'the module "{module}" has the name of one of Python\'s own, which comes first; rename it'
        )
    files: dict[str, bytes] = {}
    wanted = [module]
    seen: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        path = find_module(directory, name)
        if path is None:
            if name == module:
                raise MeasureError(
                    f'no module "{module}" in {directory}: expected {module.replace(".", "/")}.py'
                )
            continue
        relative = path.relative_to(directory).as_posix()
        files[relative] = read_file(path)
        if len(files) > FILES_LIMIT:
            raise MeasureError(f'"{module}" imports more than {FILES_LIMIT} files of its own')
        wanted += imports(path, name, files[relative])
    return files


def find_module(directory: Path, name: str) -> Path | None:
    """The file of a dotted module name below `directory`; None when it is not one of the component's own.

    A package wins over a module of its name, as in Python; one without `__init__.py` has no file of its own.
    """
    parts = name.split(".")
    if parts[0] in sys.stdlib_module_names:
        return None
    stem = directory.joinpath(*parts)
    for path in (stem / "__init__.py", stem.with_name(stem.name + ".py")):
        if path.is_file():
            return path
    return None


def imports(path: Path, module: str, source: bytes) -> list[str]:
    """Dotted names that a module's import statements could mean, its parent packages included."""
    try:
        tree = ast.parse(source, filename=str(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        raise MeasureError(f"{path}:{line}: not valid Python: {error}") from None
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: max(0, len(package) - node.level + 1)] if node.level else []
            stem = ".".join([*base, *(node.module.split(".") if node.module else [])])
            found += [stem] if stem else []
            found += [f"{stem}.{alias.name}" if stem else alias.name for alias in node.names]
    parts = [name.split(".") for name in [module, *found]]
    return sorted({".".join(part[:length]) for part in parts for length in range(1, len(part) + 1)})


def read_file(path: Path) -> bytes:
    """One file's bytes, once.

    Raises:
        MeasureError: it cannot be read or is over 64 MiB.
    """
    try:
        with path.open("rb") as file:
            data = file.read(FILE_LIMIT + 1)
    except OSError as error:
        raise MeasureError(f"{path}: {error.strerror}") from None
    if len(data) > FILE_LIMIT:
        raise MeasureError(f"{path}: over {FILE_LIMIT} bytes, too large for a component")
    return data


def closure(packages: tuple[str, ...]) -> list[str]:
    """The named distributions and, transitively, those they require and that are installed."""
    wanted = list(packages)
    found: dict[str, None] = {}
    while wanted:
        name = normalised(wanted.pop())
        if name in found:
            continue
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            if name in map(normalised, packages):
                raise MeasureError(
                    f'the package "{name}" is not installed beside exclave; pip install {name}'
                ) from None
            continue
        found[name] = None
        for requirement in distribution.requires or []:
            match = REQUIREMENT.match(requirement)
            if match and not FOR_AN_EXTRA.search(requirement):
                wanted.append(match[1])
    return sorted(found)


def normalised(name: str) -> str:
    """A distribution's normalised name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def distribution_files(name: str) -> dict[str, bytes]:
    """The importable files of an installed distribution, path relative to site-packages -> bytes.

    Raises:
        MeasureError: it has no RECORD, or only a link to its sources (an editable install), so that what it
            consists of is unknown.
    """
    distribution = importlib.metadata.distribution(name)
    if distribution.files is None:
        raise MeasureError(f'the package "{name}" has no list of its files; install it as a wheel')
    files: dict[str, bytes] = {}
    linked = False
    for entry in distribution.files:
        relative = entry.as_posix()
        linked = linked or relative.endswith(".pth")
        outside = relative.startswith("/") or ".." in relative.split("/")
        if outside or relative.endswith((".pyc", ".pth")) or "/tests/" in relative:
            continue
        files[relative] = read_file(Path(str(distribution.locate_file(entry))))
    if linked and all(".dist-info/" in relative for relative in files):
        raise MeasureError(f'the package "{name}" is only a link to its sources; install it as a wheel')
    return files
