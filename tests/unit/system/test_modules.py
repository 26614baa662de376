from __future__ import annotations

from pathlib import Path

import pytest

from exclave.system.modules import UnreadableModule, look


def test_names_and_protected_methods_are_seen(shop: Path) -> None:
    module = look(str(shop / "signer.py"))
    assert module.methods == {"Signer": ("sign", "pay")}
    assert {"Signer", "Component", "protected"} <= module.names
    assert module.complete


def test_protected_may_be_an_attribute_or_async(tmp_path: Path) -> None:
    file = tmp_path / "m.py"
    file.write_text(
        "import exclave as x\nclass C:\n    @x.protected\n    async def a(self): ...\n    def b(self): ...\n"
    )
    assert look(str(file)).methods == {"C": ("a",)}


def test_nothing_is_executed(tmp_path: Path) -> None:
    file = tmp_path / "m.py"
    file.write_text("raise SystemExit(1)\nclass C:\n    pass\n")
    assert "C" in look(str(file)).names


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"class C(:\n", 1), (b"a = 1\n  b = 2\n", 2), (b"\x00", 0), (b"(" * 9000, None), (b"#" * (1 << 21), 0)],
)
def test_what_is_not_python_is_unreadable(tmp_path: Path, content: bytes, line: int | None) -> None:
    file = tmp_path / "m.py"
    file.write_bytes(content)
    with pytest.raises(UnreadableModule) as caught:
        look(str(file))
    if line:
        assert caught.value.line == line


def test_missing_file_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableModule):
        look(str(tmp_path / "none.py"))
