"""Private instances are the installed text, and the hash covers what is proved."""

from __future__ import annotations

import sys

from exclave.nucleus.core import boot
from exclave.nucleus.core.caller import acts
from exclave.proofs.source import Instance, core_modules, digest_of, home_of, proved_files, source_digest


def test_instance_is_another_module_of_the_same_text() -> None:
    instance = Instance(symbolic=False)
    module = instance.module("exclave.nucleus.core.boot")
    assert module is not boot
    assert sys.modules["exclave.nucleus.core.boot"] is boot
    assert module.seal.__code__.co_code == boot.seal.__code__.co_code
    assert module.acts is instance.module("exclave.nucleus.core.caller").acts
    assert module.acts is not acts


def test_patch_reaches_only_its_instance() -> None:
    name = "exclave.nucleus.core.caller"
    text = "def acts(s: object, d: int) -> bool:\n    return False\n"
    patched = Instance(symbolic=False, patches={name: text})
    assert patched.module("exclave.nucleus.core.boot").acts(None, 0) is False
    assert Instance(symbolic=False).module(name).acts.__code__ != patched.module(name).acts.__code__


def test_predicates_of_a_symbolic_instance_are_summaries() -> None:
    module = Instance(symbolic=True).module("exclave.nucleus.core.capability")
    assert module.live.__qualname__.startswith("summarised")
    assert not module.put_child.__qualname__.startswith("summarised")


def test_hash_covers_the_core_and_its_vocabulary() -> None:
    files = proved_files()
    assert {"abi/types.py", "abi/rights.py", "abi/refusal.py", "nucleus/core/state.py"} <= files.keys()
    assert len(files) == len(core_modules()) + 3
    assert source_digest() == digest_of(files)
    for name in files:
        assert digest_of({**files, name: files[name] + "\n"}) != source_digest()


def test_every_operation_lies_in_a_proved_file() -> None:
    assert {module for module, _ in home_of().values()} <= set(core_modules())
