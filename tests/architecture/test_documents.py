"""What the documents point to exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from architecture.documents import broken_links, missing_paths
from architecture.house import project_files

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [path for path in project_files(ROOT) if path.suffix == ".md"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_document_points_to_what_exists(path: Path) -> None:
    assert broken_links(path, ROOT) == []
    assert missing_paths(path, ROOT) == []


def test_broken_link_and_path_are_found(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/b.md").write_text("# The same user\n")
    document = tmp_path / "docs/a.md"
    document.write_text(
        "[x](b.md#the-same-user) [y](https://example.org/none) `docs/b.md`\n```\n[z](code)\n```\n"
    )
    assert (broken_links(document, tmp_path), missing_paths(document, tmp_path)) == ([], [])
    document.write_text("[x](c.md) [y](b.md#other) [z](../../etc) `src/none.py`\n")
    assert broken_links(document, tmp_path) == [
        "c.md: no such file",
        "b.md#other: no such heading",
        "../../etc: no such file",
    ]
    assert missing_paths(document, tmp_path) == ["src/none.py"]
