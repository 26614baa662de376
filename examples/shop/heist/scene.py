"""Trust: hostile.

The scene: one temporary directory with the shop, its secrets, an operator's home with decoys, and the app's
own Python environment with the poisoned dependency in it.

Rules:
 1. Everything is inside one directory, and goes with it; nothing of the real home is read or written.
 2. exclave runs from its own environment, the app from the scene's: what the app installs, the nucleus never
    imports.
"""

from __future__ import annotations

import importlib
import os
import secrets
import shutil
import socket
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent.parent
PROGRAM: Final = ("exclave.toml", "app.py", "book.py", "signer.py", "vault.py", "till.py")
IMPORTED: Final = ("exclave", "msgspec", "nacl", "_cffi_backend")
KEY_BYTES: Final = 32
SYSTEM: Final = "shop-demo"


@dataclass(frozen=True)
class Scene:
    """Where everything is."""

    root: Path
    port: int
    collector: int

    @property
    def home(self) -> Path:
        """The operator's home, with decoys."""
        return self.root / "home"

    @property
    def shop(self) -> Path:
        """The program and its description."""
        return self.root / "shop"

    @property
    def secrets(self) -> Path:
        """The secrets of the exclaves, EXCLAVE/SECRET."""
        return self.root / "secrets"

    @property
    def environment(self) -> Path:
        """The app's Python environment."""
        return self.root / "app-venv"

    @property
    def description(self) -> Path:
        """The system description, with this scene's port."""
        return self.shop / "exclave.toml"

    def secret(self, exclave: str, name: str) -> bytes:
        """The bytes of one secret."""
        return (self.secrets / exclave / name).read_bytes()

    def variables(self) -> dict[str, str]:
        """The operator's environment, from which the shop is started, with the app's Python active."""
        return {
            "VIRTUAL_ENV": str(self.environment),
            "PATH": f"{self.environment / 'bin'}:{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.root / "run"),
            "LANG": "C.UTF-8",
            "SHOP_DEMO_TOKEN": "decoy-token-of-the-operator",
            "SHOP_PORT": str(self.port),
            "PRETTYPRICE_DEMO": f"127.0.0.1:{self.collector}",
        }


def build(root: Path, collector: int) -> Scene:
    """Lay out the scene in a new directory.

    Args:
        root: where; made here.
        collector: the port where the thief's collector listens.
    """
    scene = Scene(root, free_port(), collector)
    root.mkdir(mode=0o755)
    lay_program(scene)
    lay_decoys(scene)
    for exclave, name in (("signer", "signing-key"), ("vault", "pepper")):
        place(scene.secrets / exclave / name, secrets.token_bytes(KEY_BYTES), 0o600)
    lay_environment(scene)
    return scene


def lay_program(scene: Scene) -> None:
    """Copy the program as it is; in the description, change name and port, and let the demo's variable in."""
    scene.shop.mkdir()
    for name in PROGRAM:
        shutil.copy(HERE / name, scene.shop / name)
    (scene.shop / "var").mkdir()
    text = scene.description.read_text()
    changes = {
        'name = "shop"': f'name = "{SYSTEM}"',
        "8780": str(scene.port),
        '["SHOP_PORT"]': '["SHOP_PORT", "PRETTYPRICE_DEMO"]',
    }
    for old, new in changes.items():
        if text.count(old) != 1:
            raise ValueError(f"exclave.toml has {text.count(old)} times {old}, not once")
        text = text.replace(old, new)
    scene.description.write_text(text)


def lay_decoys(scene: Scene) -> None:
    """Put things worth stealing where thieves look for them."""
    kind = "OPENSSH PRIVATE KEY"
    ssh = f"-----BEGIN {kind}-----\ndecoy-ssh-key-of-the-operator\n-----END {kind}-----\n"
    aws = "[default]\naws_access_key_id = decoy\naws_secret_access_key = decoy-cloud-key-of-the-operator\n"
    place(scene.home / ".ssh" / "id_ed25519", ssh.encode(), 0o600)
    place(scene.home / ".aws" / "credentials", aws.encode(), 0o600)
    place(scene.root / "deploy.env", b"DATABASE_PASSWORD=decoy-password-beside-the-program\n", 0o644)
    (scene.root / "run").mkdir(mode=0o700)


def lay_environment(scene: Scene) -> None:
    """Make the app's Python environment: what it imports, and the poisoned package as an index serves it."""
    venv.EnvBuilder(with_pip=False, symlinks=True).create(scene.environment)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(scene.environment)}))
    for name in IMPORTED:
        origin = importlib.import_module(name).__file__
        if origin is None:
            raise ValueError(f"the module {name} has no file")
        source = Path(origin)
        if source.name == "__init__.py":
            shutil.copytree(source.parent, site / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, site / source.name)
    shutil.copytree(HERE / "dependency", site, dirs_exist_ok=True, ignore=shutil.ignore_patterns("README.md"))


def place(path: Path, data: bytes, mode: int) -> None:
    """Write a file with a mode, in a directory that is made for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)


def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
