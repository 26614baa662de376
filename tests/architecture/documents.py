"""Links and named paths in the documents, as functions from text to what is broken."""

from __future__ import annotations

import re
from pathlib import Path

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *#*$", re.MULTILINE)
NAMED_PATH = re.compile(r"`((?:src|tests|docs|examples|proofs|bench|changes\.d)/[\w./-]+)`")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchor(heading: str) -> str:
    """The fragment that a heading gets: lower case, words joined by hyphens, other signs dropped."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def broken_links(path: Path, root: Path) -> list[str]:
    """Links of a document that lead to no file or heading of the project; other sites are not asked."""
    text = FENCE.sub("", path.read_text())
    broken: list[str] = []
    for link in LINK.findall(text):
        target, _, fragment = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (path.parent / target).resolve() if target else path.resolve()
        if not file.exists() or not file.is_relative_to(root.resolve()):
            broken.append(f"{link}: no such file")
        elif fragment and fragment not in {anchor(found) for found in HEADING.findall(file.read_text())}:
            broken.append(f"{link}: no such heading")
    return broken


def missing_paths(path: Path, root: Path) -> list[str]:
    """Paths that a document names in code type and that do not exist below root."""
    return [name for name in NAMED_PATH.findall(path.read_text()) if not (root / name).exists()]
