"""Trust: reviewed.

`run`: a checked description to an exit code. Everything that can go wrong before the monolith runs comes out
of here as one of two errors.
"""

from __future__ import annotations

import os
import resource
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from exclave.linux import calls
from exclave.monolith import process as kind
from exclave.monolith.world import World
from exclave.nucleus.shell.audit import AuditError
from exclave.nucleus.shell.boot import BootError, boot
from exclave.nucleus.shell.nucleus import RUNTIME_FAILED, Nucleus, Options, Say
from exclave.nucleus.shell.pins import PinError
from exclave.nucleus.shell.places import (
    PlaceError,
    domain_directory,
    passable,
    private,
    runtime_directory,
    state_directory,
)
from exclave.nucleus.shell.provision import SecretError
from exclave.nucleus.shell.status import StatusSocket
from exclave.nucleus.shell.supervise import Supervisor
from exclave.nucleus.shell.tier import Tier, TierRefused, probe
from exclave.system.description import Description

NOT_FOUND: Final = 127
LOGS_KEPT: Final = 20


class RunError(Exception):
    """The system could not run. `code` is the exit code: 125, or 127 for a missing command."""

    def __init__(self, text: str, code: int = RUNTIME_FAILED) -> None:
        super().__init__(text)
        self.code = code


class Denied(Exception):
    """Policy forbids the run: a pin that does not match, or a tier below what is accepted."""


def run(description: Description, tier: Tier | None, options: Options, say: Say) -> int:
    """Boot, serve and end a system.

    Args:
        description: from system.check.
        tier: a weaker tier that the operator accepts by name; None takes the best the host gives.
        options: `directory` and `log` are chosen here.
        say: tells the operator.

    Returns:
        The monolith's exit code.

    Raises:
        Denied: a component is not as pinned, or the host is below the floor.
        RunError: anything else that stopped the boot. Nothing is left running.
    """
    _prepare_process()
    nucleus: Nucleus | None = None
    world: World | None = None
    status: StatusSocket | None = None
    try:
        host = probe().at(tier)
        directory = _run_directory(description)
        options = replace(options, directory=directory, domains=directory, log=_log_file(description))
        if host.uid == 0 and not host.namespaces:
            options = replace(options, domains=passable(domain_directory() / directory.name))
        nucleus = boot(description, host, options, say)
        status = StatusSocket(nucleus)
        Supervisor(nucleus)
        world = World(nucleus)
        world.start()
        assert host.tier is not None
        say("progress", f"{description.system.name} runs, tier {host.tier.value}")
        return nucleus.run()
    except (PinError, TierRefused) as error:
        raise Denied(str(error)) from None
    except kind.CommandError as error:
        raise RunError(str(error), NOT_FOUND) from None
    except (BootError, SecretError, PlaceError, AuditError) as error:
        raise RunError(str(error)) from None
    finally:
        if world is not None:
            world.close()
        if status is not None:
            status.close()
        if nucleus is not None:
            nucleus.close()
        _remove(options.directory)
        _remove(options.domains)


def look_up_command(description: Description, path: str) -> list[str]:
    """The monolith's command with its program looked up.

    Raises:
        RunError: there is no such program.
    """
    try:
        return list(kind.look_up(description.monolith, Path(description.directory), path).words)
    except kind.CommandError as error:
        raise RunError(str(error), NOT_FOUND) from None


def _prepare_process() -> None:
    """Make this process fit to be the nucleus: no ptrace target, parent of orphans, many descriptors."""
    calls.set_dumpable(False)
    calls.set_child_subreaper()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.umask(0o077)


def _run_directory(description: Description) -> Path:
    return private(runtime_directory() / f"{description.system.name}-{os.getpid()}")


def _log_file(description: Description) -> Path:
    """A new log file of this run; the oldest beyond LOGS_KEPT are removed."""
    directory = private(state_directory() / description.system.name)
    for old in sorted(directory.glob("*.jsonl"))[: -LOGS_KEPT + 1]:
        old.unlink(missing_ok=True)
    return directory / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}.jsonl"


def _remove(directory: Path) -> None:
    """Remove the run's own directory; one that never was is fine."""
    if directory != Path():
        shutil.rmtree(directory, ignore_errors=True)
