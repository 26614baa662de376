"""Trust: outside. `exclave doctor`: what this host can confine, what is missing, and the exact fix."""

from __future__ import annotations

import site
from pathlib import Path

import click
from rich.text import Text

from exclave.cli import output
from exclave.nucleus.shell.tier import FLOOR, Host, probe


def start_up_code() -> list[str]:
    """Files of exclave's own environment that run code whenever its interpreter starts (site, `.pth`).

    The nucleus runs in this environment, so whoever can add a package to it owns the nucleus.
    """
    found = []
    directories = site.getsitepackages() + ([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])
    for directory in map(Path, directories):
        for path in sorted(directory.glob("*.pth")):
            lines = path.read_text("utf-8", "replace").splitlines()
            if any(line.startswith(("import ", "import\t")) for line in lines):
                found.append(str(path))
        found += [
            str(path)
            for name in ("sitecustomize.py", "usercustomize.py")
            if (path := directory / name).exists()
        ]
    return found


def show(host: Host, code: list[str]) -> None:
    """Print every probe, the tier, and what runs at start-up."""
    out = output.console()
    width = max(len(item.name) for item in host.probes)
    for item in host.probes:
        mark = Text("ok     ", "green") if item.ok else Text("missing", "yellow")
        out.print(Text.assemble(mark, "  ", item.name.ljust(width), "  ", item.detail))
        if not item.ok:
            out.print(f"           lost: {item.lost}")
            if item.fix:
                out.print(f"           fix:  {item.fix}")
    tier = host.best.value if host.best else "none"
    below = "" if host.best in FLOOR else "  (below the floor: `exclave run` refuses unless --tier names it)"
    out.print(Text.assemble("tier: ", (tier, "bold"), below))
    for path in code:
        out.print(f"note: {path} runs code at every start of this environment, the nucleus included")
    if code:
        out.print("      install exclave in an environment of its own, apart from the application's packages")


@click.command()
@output.json_option
def command(as_json: bool) -> None:
    """Try every layer of confinement on this host, without changing it, and print the tier that follows.

    Exits 0 when the host reaches a tier that `exclave run` accepts by itself, else 77.
    """
    host = probe()
    code = start_up_code()
    if as_json:
        output.print_json(
            {
                "tier": host.best.value if host.best else None,
                "accepted": host.best in FLOOR,
                "uid": host.uid,
                "probes": [
                    {
                        "name": item.name,
                        "ok": item.ok,
                        "detail": item.detail,
                        "lost": item.lost or None,
                        "fix": item.fix or None,
                    }
                    for item in host.probes
                ],
                "start_up_code": code,
            }
        )
    else:
        show(host, code)
    raise click.exceptions.Exit(0 if host.best in FLOOR else output.EXIT_DENIED)
