"""Trust: hostile.

Files: secrets, credentials, neighbours, and a foothold in the program's code.
"""

from __future__ import annotations

import contextlib
import os
import sysconfig
from pathlib import Path

from heist.attempts.kit import Known, Stopped, attempt

NO_SUCH_FILE = {"ENOENT": "mount namespace"}
READ_ONLY = {"EROFS": "read-only mount"}


@attempt("all, at every start of Python", {"EACCES": "Landlock network"})
def startup_theft(known: Known) -> str:
    """Attacker holds a .pth file in site-packages; wants to send off the loot; must get no connection."""
    from prettyprice import warmup

    if not warmup.outcome.startswith("sent"):
        raise Stopped(warmup.outcome, "what the .pth file met when the app started")
    return warmup.outcome


@attempt("the key that signs receipts", NO_SUCH_FILE)
def signing_key_file(known: Known) -> str:
    """Attacker holds the app and the key file's path; wants the key; must get no such file."""
    return "signing key " + Path(known.secrets, "signer", "signing-key").read_bytes().hex()


@attempt("the pepper of the passwords", NO_SUCH_FILE)
def pepper_file(known: Known) -> str:
    """Attacker holds the app and the pepper's path; wants the pepper; must get no such file."""
    return "pepper " + Path(known.secrets, "vault", "pepper").read_bytes().hex()


@attempt("the operator's SSH key", NO_SUCH_FILE)
def ssh_key(known: Known) -> str:
    """Attacker holds the operator's home path; wants ~/.ssh/id_ed25519; must get no such file."""
    return Path(known.home, ".ssh", "id_ed25519").read_text().splitlines()[1]


@attempt("the operator's cloud credentials", NO_SUCH_FILE)
def cloud_credentials(known: Known) -> str:
    """Attacker holds the operator's home path; wants ~/.aws/credentials; must get no such file."""
    return Path(known.home, ".aws", "credentials").read_text().splitlines()[-1]


@attempt("what lies beside the program", NO_SUCH_FILE)
def neighbour_file(known: Known) -> str:
    """Attacker holds the program's directory; wants deploy.env beside it; must get no such file."""
    return Path(known.beside, "deploy.env").read_text().strip()


@attempt("a token in the environment", {"absent": "environment not passed"})
def environment(known: Known) -> str:
    """Attacker holds the app's process; wants the token in anybody's environment; must not find it."""
    seen = [os.environb.get(b"SHOP_DEMO_TOKEN", b"")]
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            entries = path.read_bytes().split(b"\0")
            seen += [entry[16:] for entry in entries if entry.startswith(b"SHOP_DEMO_TOKEN=")]
    if not any(seen):
        raise Stopped("absent", f"{len(os.environ)} variables, none of them the operator's")
    return "SHOP_DEMO_TOKEN=" + max(seen).decode()


@attempt("to live on in app.py", READ_ONLY)
def rewrite_app(known: Known) -> str:
    """Attacker holds the app; wants to change its code; must get a read-only file system."""
    return append(Path(known.shop, "app.py"), "# the thief was here\n")


@attempt("to live on in the signer's code", READ_ONLY)
def rewrite_signer(known: Known) -> str:
    """Attacker holds the app; wants to change an exclave's code; must get a read-only file system."""
    return append(Path(known.shop, "signer.py"), "# the thief was here\n")


@attempt("to live on in site-packages", READ_ONLY)
def plant_startup_file(known: Known) -> str:
    """Attacker holds the app; wants one more .pth file in site-packages; must get a read-only file system."""
    return append(Path(sysconfig.get_paths()["purelib"], "thief.pth"), "# the thief was here\n")


def append(path: Path, text: str) -> str:
    """Write to the end of a file, making it when it is not there."""
    with path.open("a") as file:
        file.write(text)
    return f"wrote to {path.name}"
