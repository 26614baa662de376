"""Trust: reviewed.

The plan of a process monolith: its command, and what the description grants it, as data.

Rules:
 1. What is not granted is not there: no path, no port, no device, no variable of the operator's environment
    beyond locale, terminal and time zone.
 2. Paths keep their names, so that the command runs as it does without exclave.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exclave.abi.control import DEFAULT_LISTENER
from exclave.nucleus.shell import view
from exclave.nucleus.shell.plan import Bind, Kind, Limits, Network, Plan
from exclave.nucleus.shell.plans import SITE, own_package, program, runtime_binds
from exclave.system.description import MONOLITH, Description, Monolith

PASSED: Final = ("COLORTERM", "COLUMNS", "LANG", "LANGUAGE", "LINES", "NO_COLOR", "PATH", "TERM", "TZ")
STANDARD_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
PROCESSES: Final = 512
HOME: Final = "/home/user"
USER: Final = "user"


class CommandError(Exception):
    """The monolith's command cannot be found; names it and the fix. The shell's exit codes apply."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command that was looked up: its program, and the directories that a Python one needs."""

    words: tuple[str, ...]
    places: tuple[str, ...]


def look_up(monolith: Monolith, directory: Path, path: str) -> Command:
    """Find the monolith's program as a shell in the description's directory would.

    "python" is the active virtual environment's, else the interpreter that runs exclave.

    Raises:
        CommandError: there is no such program.
    """
    first, *rest = monolith.command
    found = str(directory / first) if "/" in first else shutil.which(first, path=path)
    if first in ("python", "python3"):
        active = Path(os.environ.get("VIRTUAL_ENV", "/nonexistent"), "bin", first)
        found = str(active) if active.is_file() else sys.executable
    if found is None or not Path(found).is_file():
        raise CommandError(f"{first}: not found in {directory if '/' in first else path}")
    shebang = _interpreter_of(Path(found), path)
    interpreter = found if shebang is None and "python" in Path(found).resolve().name else shebang
    return Command((found, *rest), _places_of(Path(interpreter)) if interpreter else ())


def _interpreter_of(script: Path, path: str) -> str | None:
    """The Python interpreter that a script's first line names, itself or to env(1)."""
    try:
        with script.open("rb") as file:
            line = file.readline(512)
    except OSError:
        # A program that may be run and not read is no script.
        return None
    words = [os.fsdecode(word) for word in line[2:].split()] if line.startswith(b"#!") else []
    if words and Path(words[0]).name == "env":
        words = [shutil.which(word, path=path) or "" for word in words[1:] if not word.startswith("-")]
    name = words[0] if words else ""
    return name if "python" in Path(name).name and Path(name).exists() else None


def _places_of(interpreter: Path) -> tuple[str, ...]:
    """The virtual environment that an interpreter belongs to (PEP 405) and the prefix it was made from."""
    places = []
    root = interpreter.absolute().parent.parent
    if (root / "pyvenv.cfg").is_file():
        places.append(str(root))
    prefix = interpreter.resolve().parent.parent
    if prefix not in (Path("/"), Path("/usr")):
        places.append(str(prefix))
    return tuple(places)


def environment(description: Description, outer: Mapping[str, str]) -> dict[str, str]:
    """The command's environment: locale, terminal, and what the description sets or passes on."""
    monolith = description.monolith
    result = {name: outer[name] for name in outer if name in PASSED or name.startswith("LC_")}
    result.setdefault("PATH", STANDARD_PATH)
    result |= {"HOME": HOME, "USER": USER, "LOGNAME": USER, "SHELL": "/bin/sh", "TMPDIR": "/tmp"}
    result |= {name: outer[name] for name in monolith.pass_environment if name in outer}
    return result | monolith.environment


def network_of(monolith: Monolith) -> Network:
    """What of the network the plan grants."""
    if monolith.network.anywhere:
        return Network.all()
    if not monolith.network:
        return Network.none()
    return Network.tcp(listen=monolith.network.listen, connect=monolith.network.connect)


def monolith_plan(
    description: Description,
    command: Command,
    env: Mapping[str, str],
    directory: str | None,
    fds: Mapping[int, int],
) -> Plan:
    """Plan the monolith's domain.

    Args:
        description: checked.
        command: from look_up.
        env: its environment.
        directory: where its private files go in a tier without mount namespaces.
        fds: descriptors that it is started with.
    """
    monolith = description.monolith
    system = view.system_view(HOME)
    python = view.python_view(sys.executable)
    shown = (*(bind.target for bind in system.binds), *command.places)
    apart = [
        bind for bind in python.binds if not any(Path(bind.target).is_relative_to(path) for path in shown)
    ]
    binds = [*system.binds, *apart, *runtime_binds(SITE)]
    symlinks = system.symlinks | python.symlinks
    # An editable installation is imported from where its sources are, and without a view, finding it there
    # takes reading the directory above.
    here = str(own_package().parent if directory else own_package())
    binds.append(Bind(here, here, as_owner=True))
    readable = [monolith.program, *monolith.read, *command.places]
    for path, writable in [(path, False) for path in readable] + [(path, True) for path in monolith.write]:
        bind, links = view.granted(path, writable=writable, others=monolith.write)
        binds.append(bind)
        symlinks |= links
    return Plan(
        name=MONOLITH,
        kind=Kind.MONOLITH,
        argv=program(python.executable, "monolith.init", SITE),
        env=env,
        cwd=description.directory,
        binds=tuple(dict.fromkeys(binds)),
        files=system.files,
        tmpfs=system.tmpfs,
        devices=(*system.devices, *monolith.devices),
        symlinks=view.outside(symlinks, tuple(binds)),
        proc=True,
        pts=True,
        network=network_of(monolith),
        listener=None if directory else DEFAULT_LISTENER,
        limits=Limits(memory=monolith.memory, processes=PROCESSES, files=1024, file_size=None, locked=None),
        hostname=description.system.name,
        setsid=False,
        stdio=(0, 1, 2),
        fds=fds,
        directory=directory,
    )
