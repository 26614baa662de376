from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exclave.nucleus.shell.pins import PinError, Pins, compare, load, lock_path, save

LOCK = Path("exclave.lock")
HASHES = {"signer.py": hashlib.sha256(b"one").hexdigest(), "site/x.py": hashlib.sha256(b"two").hexdigest()}


def test_lock_file_lies_beside_the_description() -> None:
    assert lock_path(Path("/a/b/exclave.toml")) == Path("/a/b/exclave.lock")


def test_pins_read_back_what_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "exclave.lock"
    save(path, {"signer": HASHES, "empty": {}})
    assert load(path) == Pins(1, {"signer": HASHES, "empty": {}})
    save(path, {"signer": {}})
    assert load(path) == Pins(1, {"signer": {}})
    assert [entry.name for entry in tmp_path.iterdir()] == ["exclave.lock"]


def test_lock_file_is_text_in_a_fixed_order(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    save(one, {"b": {"y": "2", "x": "1"}, "a": {}})
    save(other, {"a": {}, "b": {"x": "1", "y": "2"}})
    assert one.read_bytes() == other.read_bytes()
    assert one.read_text().endswith("}\n")
    assert not stat.S_IMODE(one.stat().st_mode) & 0o022


def test_no_lock_file_is_no_pins(tmp_path: Path) -> None:
    assert load(tmp_path / "exclave.lock") is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b'{"version": 1}',
        b'{"version": "1", "components": {}}',
        b'{"version": 1, "components": {"a": {"b": 3}}}',
        b'{"version": 1, "components": {}, "more": 1}',
        b'{"version": 1, "components": {"\xff": {}}}',
        b'{"version": 1, "components": ' + b'{"a":' * 5000,
        b"[" * 100_000,
    ],
)
def test_anything_else_is_a_pin_error_with_the_way_on(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "exclave.lock"
    path.write_bytes(data)
    with pytest.raises(PinError, match=r"exclave\.lock: not a lock file of exclave(.|\n)*exclave pin"):
        load(path)


def test_lock_file_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "exclave.lock"
    path.write_text('{"version": 2, "components": {}}')
    with pytest.raises(PinError, match="version 2 is from a newer exclave"):
        load(path)


def test_unreadable_lock_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "exclave.lock").mkdir()
    with pytest.raises(PinError, match="Is a directory"):
        load(tmp_path / "exclave.lock")


@given(st.binary(max_size=120) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_pins_or_a_pin_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.lock"
    path.write_bytes(data)
    with pytest.raises(PinError):
        load(path)


def test_equal_content_passes() -> None:
    pins = Pins(1, {"signer": HASHES, "none": {}})
    compare(LOCK, pins, "signer", dict(reversed(HASHES.items())))
    compare(LOCK, pins, "none", {})
    with pytest.raises(PinError, match=r"signer\.py is part of it now"):
        compare(LOCK, pins, "none", HASHES)


@pytest.mark.parametrize(
    ("domain", "change", "text"),
    [
        ("other", {}, "other was never pinned"),
        ("signer", {"signer.py": "0" * 64}, "signer.py changed since it was pinned"),
        ("signer", {"site/x.py": "0" * 64}, "site/x.py changed since it was pinned"),
        ("signer", {"new.py": "0" * 64}, "new.py is part of it now and was not pinned"),
        ("signer", {"signer.py": None}, "signer.py was pinned and is no longer part of it"),
    ],
)
def test_difference_is_named_with_the_fix(domain: str, change: dict[str, str | None], text: str) -> None:
    hashes = {name: value for name, value in (HASHES | change).items() if value is not None}
    with pytest.raises(PinError, match="then approve it with `exclave pin`") as caught:
        compare(LOCK, Pins(1, {"signer": HASHES}), domain, hashes)
    assert text in str(caught.value)


def test_changed_file_shows_both_hashes() -> None:
    with pytest.raises(PinError) as caught:
        compare(LOCK, Pins(1, {"signer": HASHES}), "signer", HASHES | {"signer.py": "f" * 64})
    assert HASHES["signer.py"] in str(caught.value)
    assert "f" * 64 in str(caught.value)
