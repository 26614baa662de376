"""Whole systems for end-to-end tests: files of small examples, and running them as a user."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from support.ordinary import User, run_as

EXCLAVE = (sys.executable, "-m", "exclave.cli.main")

SIGNER = """
import hashlib
import hmac

from exclave import Caller, Component, ComponentError, protected


class TooLong(ComponentError):
    pass


class Signer(Component):
    def init(self) -> None:
        self.count = 0

    @protected
    def sign(self, message: bytes) -> bytes:
        self.count += 1
        return hmac.digest(bytes(self.secrets["key"].view()), message, "sha256")

    @protected
    def who(self, caller: Caller) -> str:
        return f"{caller.name} {caller.badge} {caller.rights}"

    @protected(raises=[TooLong])
    def short(self, message: bytes) -> int:
        if len(message) > 4:
            raise TooLong(len(message))
        return len(message)
"""

ECHO = """
from exclave import Component, protected


class Echo(Component):
    @protected
    def echo(self, value: bytes) -> bytes:
        return value
"""

DESCRIPTION = """
[system]
name = "small"

[exclave.signer]
component = "signer:Signer"
secrets = ["key"]

[exclave.echo]
component = "echo:Echo"

[monolith]
command = ["python", "app.py"]
use = ["signer", "echo"]
"""

PREAMBLE = """
import exclave
from echo import Echo
from signer import Signer, TooLong

signer = exclave.connect("signer", Signer)
echo = exclave.connect("echo", Echo)
"""


@dataclass(slots=True)
class System:
    """One system on disk: its program below `app`, its secrets beside it."""

    user: User
    root: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def app(self) -> Path:
        """The description's directory."""
        return self.root / "app"

    def command(self, *words: str, secrets: bool = True) -> list[str]:
        """The command line of `exclave run`."""
        given = ["--secret", f"signer.key={self.root / 'keys' / 'key'}"] if secrets else []
        return [*EXCLAVE, "run", str(self.app / "exclave.toml"), *given, *words]

    def run(self, *words: str, secrets: bool = True, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return run_as(self.user, self.command(*words, secrets=secrets), env=self.environment, input=stdin)

    def exclave(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run another subcommand as the same user."""
        return run_as(self.user, [*EXCLAVE, *words], cwd=self.app, env=self.environment)


def small(user: User, write: Callable[[Mapping[str, str]], Path], **changes: str) -> System:
    """A system with a signer and an echo.

    Args:
        user: who runs it.
        write: the fixture write_system.
        changes: files of its program, "app" and "description" for those two by their short names; an app
            that does not import exclave gets connected clients `signer` and `echo` before it.
    """
    app = changes.pop("app", "")
    files = {
        "app/exclave.toml": changes.pop("description", DESCRIPTION),
        "app/app.py": app if "import exclave" in app else PREAMBLE + app,
        "app/signer.py": SIGNER,
        "app/echo.py": ECHO,
        "keys/key": "a secret of the signer, thirty-four",
    }
    files |= {f"app/{name}.py": text for name, text in changes.items()}
    root = write(files)
    (root / "keys" / "key").chmod(0o600)
    return System(user, root)
