"""Trust: reviewed.

The plan of an exclave's domain: exactly what its process sees, as data.

Rules:
 1. An exclave sees the interpreter's prefix, exclave's runtime, its packages and its own files, only.
 2. What was measured arrives as bytes; only the interpreter and the runtime are shared with the host.
 3. The interpreter starts isolated (-I) and without site (-S): no .pth file, PYTHON* variable or
    sitecustomize of anybody runs in it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import msgspec

from exclave.nucleus.shell import view
from exclave.nucleus.shell.distribution import CONNECTIONS
from exclave.nucleus.shell.measure import Measured
from exclave.nucleus.shell.plan import Bind, Kind, Limits, Plan
from exclave.system.description import Driver, Exclave

SITE: Final = "/exclave/site"
PACKAGES: Final = "/exclave/packages"
COMPONENT: Final = "/exclave/component"
BOOTSTRAP: Final = "import sys; sys.path += sys.argv[1:]; from exclave.{module} import main; main()"
ENVIRONMENT: Final = {"LANG": "C.UTF-8", "PATH": "/nonexistent"}


def program(executable: str, module: str, *paths: str) -> tuple[str, ...]:
    """The command line that runs one of exclave's own modules in an isolated interpreter."""
    return executable, "-I", "-S", "-B", "-c", BOOTSTRAP.format(module=module), *paths


def own_package() -> Path:
    """The directory that this very package lies in."""
    return Path(__file__).resolve().parents[2]


def runtime_binds(target: str) -> tuple[Bind, ...]:
    """The packages that exclave's own code in a domain consists of, below `target`."""
    packages = (own_package(), Path(str(msgspec.__file__)).resolve().parent)
    return tuple(Bind(str(path), f"{target}/{path.name}", as_owner=True) for path in packages)


def shared_binds() -> tuple[Bind, ...]:
    """What every exclave shares with the host: the interpreter and exclave's own runtime."""
    return (*view.python_view(sys.executable).binds, *runtime_binds(SITE))


def exclave_plan(entry: Exclave, measured: Measured, output: int, null: int, directory: str | None) -> Plan:
    """Plan the domain of an exclave or a driver.

    Args:
        entry: its table in the description.
        measured: what it consists of.
        output: the nucleus's descriptor for its standard output and error.
        null: the nucleus's descriptor of /dev/null.
        directory: where its files go in a tier without mount namespaces.
    """
    python = view.python_view(sys.executable)
    files = {f"{COMPONENT}/{name}": data for name, data in measured.own.items()}
    files |= {f"{PACKAGES}/{name}": data for name, data in measured.packages.items()}
    return Plan(
        name=entry.name,
        kind=Kind.DRIVER if isinstance(entry, Driver) else Kind.EXCLAVE,
        argv=program(python.executable, "runtime.start", SITE, PACKAGES, COMPONENT),
        env=ENVIRONMENT,
        binds=shared_binds(),
        files=files,
        devices=entry.devices if isinstance(entry, Driver) else (),
        symlinks=python.symlinks,
        limits=Limits(memory=entry.memory, processes=16, files=2 * CONNECTIONS),
        hostname=entry.name,
        stdio=(null, output, output),
        directory=directory,
    )
