from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from exclave.nucleus.shell.pins import load

Run = Callable[..., Result]


def test_pin_writes_the_hashes_of_every_component(shop: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("x = 1\n")
    (tmp_path / "signer.py").write_text("import helper\n\n\nclass Signer:\n    pass\n")
    result = run("pin")
    lock = tmp_path / "exclave.lock"
    assert result.exit_code == 0
    assert result.stdout == f"signer: 2 files\nnic: 1 files\npinned in {lock}\n"
    pins = load(lock)
    assert pins is not None
    assert pins.components["signer"]["helper.py"] == hashlib.sha256(b"x = 1\n").hexdigest()
    assert set(pins.components) == {"signer", "nic"}


def test_json_has_the_lock_and_the_hashes(shop: Path, run: Run, tmp_path: Path) -> None:
    answer = json.loads(run("pin", "--json").stdout)
    pins = load(tmp_path / "exclave.lock")
    assert pins is not None
    assert answer == {"lock": str(tmp_path / "exclave.lock"), "components": pins.components}


def test_pinning_again_takes_over_a_change(shop: Path, run: Run, tmp_path: Path) -> None:
    run("pin")
    before = (tmp_path / "exclave.lock").read_text()
    (tmp_path / "nic.py").write_text("class Nic:\n    x = 1\n")
    assert run("pin").exit_code == 0
    assert (tmp_path / "exclave.lock").read_text() != before


def test_component_that_cannot_be_measured_exits_78_and_leaves_the_lock_as_it_was(
    shop: Path, run: Run, tmp_path: Path
) -> None:
    run("pin")
    before = (tmp_path / "exclave.lock").read_text()
    text = 'component = "signer:Signer"\npackages = ["no-such-distribution"]'
    shop.write_text(shop.read_text().replace('component = "signer:Signer"', text))
    result = run("pin")
    assert result.exit_code == 78
    assert '"no-such-distribution" is not installed beside exclave' in result.stderr
    assert result.stdout == ""
    assert (tmp_path / "exclave.lock").read_text() == before


def test_bad_description_exits_78_and_writes_nothing(shop: Path, run: Run, tmp_path: Path) -> None:
    shop.write_text("[system]\n")
    assert run("pin").exit_code == 78
    assert not (tmp_path / "exclave.lock").exists()
    assert run("pin", "--no-such").exit_code == 2
