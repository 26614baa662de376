"""Trust: outside.

The demonstration: the same shop with the same poisoned dependency, attacked twice, first as one ordinary
process, then under exclave. Exit code 0 only if the thief succeeds in the first act, and in nothing at all in
the second.

Usage: python examples/shop/demo.py [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from heist import Failure, report
from heist.act import Act, play
from heist.agent import new_session_keyring

EXIT_NOT_HELD: Final = 1
EXIT_FAILED: Final = 125


def act(console: Console, root: Path, title: str, *, exclave: bool) -> Act:
    """Play one act and say how far it is."""
    console.print(f"[bold]{title}[/bold]", highlight=False)
    with console.status("the shop opens") as status:
        return play(
            root,
            exclave,
            lambda done, of, name: status.update(f"attempt {done + 1} of {of}: {name}"),
        )


def demonstrate(console: Console, root: Path, *, as_json: bool) -> bool:
    """Play both acts and report; returns whether all was as it should be."""
    began = time.monotonic()
    plain = act(console, root / "1", "1 of 2: without exclave, one process", exclave=False)
    for name, what in report.loot(plain):
        console.print(Text.assemble("  ", (f"{name:18}", "red"), what))
    console.print()
    exclave = act(console, root / "2", "2 of 2: under exclave, the same code", exclave=True)
    console.print(f"  the thief's collector got {exclave.loot} bytes", highlight=False)
    console.print()
    seconds = time.monotonic() - began
    if as_json:
        told = report.as_json(plain, exclave, seconds)
        print(json.dumps(told, indent=2, ensure_ascii=False))
        return bool(told["held"])
    return report.show(console, plain, exclave, seconds)


def main() -> int:
    """Run the demonstration; returns its exit code."""
    parser = argparse.ArgumentParser(description="Attack a small shop, without exclave and with it.")
    parser.add_argument(
        "--json", action="store_true", help="print the report as JSON, and progress on stderr"
    )
    arguments = parser.parse_args()
    os.umask(0o022)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))
    new_session_keyring()
    console = Console(
        stderr=arguments.json, highlight=False, width=None if sys.stdout.isatty() else report.WIDTH
    )
    root = Path(tempfile.mkdtemp(prefix="exclave-shop-"))
    root.chmod(0o755)
    try:
        return 0 if demonstrate(console, root, as_json=arguments.json) else EXIT_NOT_HELD
    except Failure as failure:
        Console(stderr=True, highlight=False).print(f"the demonstration failed: {failure}", markup=False)
        return EXIT_FAILED
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
