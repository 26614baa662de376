"""Imports go only downwards, and the checker that says so is seen to find each kind of breach."""

from __future__ import annotations

from pathlib import Path

import pytest

from architecture.layers import LAYERS, check_tree, layer_of, modules_of

ROOT = Path(__file__).resolve().parents[2]


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_source_tree_obeys_the_layers() -> None:
    assert "exclave.nucleus.core" in modules_of(ROOT / "src"), "looking at the wrong tree"
    assert [str(violation) for violation in check_tree(ROOT / "src")] == []


def test_examples_use_the_public_names_alone(tmp_path: Path) -> None:
    checked = tmp_path / "tree"
    checked.mkdir()
    for path in (ROOT / "examples").rglob("*.py"):
        copy = checked / "examples" / path.relative_to(ROOT / "examples")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    assert [str(violation) for violation in check_tree(checked)] == []


GOOD = {
    "exclave/__init__.py": "def f():\n    from exclave.runtime import component\n",
    "exclave/abi/types.py": "from dataclasses import dataclass\nimport enum\n",
    "exclave/abi/wire.py": "import struct\nimport msgspec\nfrom exclave.abi import types\n",
    "exclave/linux/calls.py": "import ctypes\nfrom exclave.abi.types import X\n",
    "exclave/nucleus/core/state.py": "from exclave.abi.types import X\nfrom collections.abc import Mapping\n",
    "exclave/nucleus/core/mint.py": "from exclave.nucleus.core.state import S\nfrom . import state\n",
    "exclave/nucleus/shell/loop.py": "import os\nfrom exclave.nucleus.core import mint\n",
    "exclave/runtime/component.py": "import importlib\nfrom exclave.abi import wire\n",
    "exclave/system/check.py": "import importlib.metadata\nfrom exclave.abi.rights import R\n",
    "exclave/proofs/s.py": "import z3\nfrom exclave.nucleus.core.state import S\n",
    "exclave/monolith/process.py": "from exclave.nucleus.shell import loop\n",
    "exclave/cli/main.py": "import click\nfrom exclave.attacks import x\n",
    "exclave/attacks/x.py": "import pickle, ctypes\nfrom exclave.nucleus.core import mint\neval('1')\n",
}
"""A small tree that breaks nothing: each bad tree is this one with one file more."""


def test_good_tree_passes(tmp_path: Path) -> None:
    _write(tmp_path, GOOD)
    assert [str(violation) for violation in check_tree(tmp_path)] == []


@pytest.mark.parametrize(
    ("file", "text", "rule"),
    [
        ("exclave/nucleus/core/a.py", "import os\n", "is pure and must not import os"),
        ("exclave/nucleus/core/a.py", "import typing, time\n", "is pure and must not import time"),
        (
            "exclave/nucleus/core/a.py",
            "from collections import deque\n",
            "is pure and must not import collections",
        ),
        ("exclave/nucleus/core/a.py", "from exclave.abi import wire\n", "must not import exclave.abi"),
        (
            "exclave/nucleus/core/a.py",
            "from exclave.nucleus import shell\n",
            "must not import exclave.nucleus.shell",
        ),
        ("exclave/nucleus/core/a.py", "from ..shell import loop\n", "must not import exclave.nucleus.shell"),
        ("exclave/nucleus/core/a.py", "from ...abi.wire import x\n", "must not import exclave.abi"),
        ("exclave/nucleus/core/a.py", "def f():\n    import random\n", "is pure and must not import random"),
        ("exclave/abi/rights.py", "import msgspec\n", "is pure and must not import msgspec"),
        ("exclave/abi/rights.py", "from exclave.abi import wire\n", "must not import exclave.abi"),
        ("exclave/abi/a.py", "import exclave.linux.calls\n", "must not import exclave.linux"),
        ("exclave/linux/a.py", "from exclave.runtime import component\n", "must not import exclave.runtime"),
        ("exclave/linux/a.py", "import msgspec\n", "must not import msgspec"),
        ("exclave/linux/a.py", "import ctypes.util\n", "raw calls live in exclave.linux.calls alone"),
        (
            "exclave/runtime/a.py",
            "from exclave.nucleus.core import mint\n",
            "must not import exclave.nucleus.core",
        ),
        ("exclave/runtime/a.py", "from exclave.system import check\n", "must not import exclave.system"),
        ("exclave/runtime/a.py", "from pickle import loads\n", "never code or objects from data"),
        (
            "exclave/runtime/a.py",
            "from exclave.abi.wire import *\n",
            "imports everything from exclave.abi.wire",
        ),
        ("exclave/runtime/a.py", "x = eval('1')\n", "uses eval"),
        ("exclave/runtime/a.py", "run = exec\n", "uses exec"),
        (
            "exclave/system/a.py",
            "from exclave.nucleus.shell import loop\n",
            "must not import exclave.nucleus.shell",
        ),
        ("exclave/system/a.py", "from importlib import import_module\n", "must not import importlib"),
        (
            "exclave/nucleus/shell/a.py",
            "import exclave.runtime.component\n",
            "must not import exclave.runtime",
        ),
        ("exclave/nucleus/shell/a.py", "import multiprocessing\n", "never code or objects from data"),
        ("exclave/nucleus/shell/a.py", "from exclave.cli.main import main\n", "must not import exclave.cli"),
        ("exclave/nucleus/shell/a.py", "import exclave\n", "must not import exclave (exclave)"),
        (
            "exclave/monolith/init.py",
            "from exclave.nucleus.shell import loop\n",
            "must not import exclave.nucleus",
        ),
        ("exclave/monolith/a.py", "from exclave.attacks import x\n", "must not import exclave.attacks"),
        (
            "exclave/cli/a.py",
            "from exclave.nucleus.core import mint\n",
            "must not import exclave.nucleus.core",
        ),
        ("exclave/attacks/a.py", "from exclave.cli import main\n", "must not import exclave.cli"),
        ("exclave/system/a.py", "import click\n", "must not import click"),
        ("exclave/runtime/a.py", "import requests\n", "must not import requests"),
        ("exclave/nucleus/shell/a.py", "from exclave.proofs import s\n", "must not import exclave.proofs"),
        (
            "exclave/proofs/a.py",
            "from exclave.runtime import component\n",
            "must not import exclave.runtime",
        ),
        ("exclave/system/a.py", "import z3\n", "must not import z3"),
        ("exclave/utils.py", "", "lies in no layer"),
        (
            "exclave/nucleus/core/a.py",
            "from exclave.nucleus.shell import (\n    loop,\n)\n",
            "exclave.nucleus.shell",
        ),
        ("examples/shop/app.py", "from exclave.runtime import client\n", "must not import exclave.runtime"),
        ("examples/shop/app.py", "import exclave.linux.calls\n", "must not import exclave.linux"),
        ("examples/shop/app.py", "import requests\n", "must not import requests"),
    ],
)
def test_bad_tree_is_found(tmp_path: Path, file: str, text: str, rule: str) -> None:
    _write(tmp_path, GOOD | {file: text})
    found = [str(violation) for violation in check_tree(tmp_path)]
    assert len(found) == 1
    assert rule in found[0]


def test_every_layer_is_allowed_only_layers() -> None:
    for allowed in LAYERS.values():
        assert allowed <= LAYERS.keys()


def test_nobody_below_cli_may_import_it_or_the_attacks_or_the_proofs() -> None:
    assert [layer for layer, allowed in LAYERS.items() if "exclave.cli" in allowed] == []
    assert [layer for layer, allowed in LAYERS.items() if "exclave.attacks" in allowed] == ["exclave.cli"]
    assert [layer for layer, allowed in LAYERS.items() if "exclave.proofs" in allowed] == ["exclave.cli"]


def test_layer_is_the_longest_row() -> None:
    assert layer_of("exclave.abi.types") == "exclave.abi.types"
    assert layer_of("exclave.abi.wire") == "exclave.abi"
    assert layer_of("exclave.monolith.init") == "exclave.monolith.init"
    assert layer_of("examples.shop.app") == "examples"
    assert layer_of("examples.shop.heist.kit") == "exclave.attacks"
    assert layer_of("exclave.unknown") is None
