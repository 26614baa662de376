from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from exclave.abi.exceptions import Fault, Refused
from exclave.abi.rights import GRANT, WRITE
from exclave.runtime import inline
from exclave.runtime.connect import connect, connect_async

LEDGER = """
from exclave import Caller, Component, ComponentError, protected


class Full(ComponentError):
    pass


class Fuller(Full):
    pass


class Other(ComponentError):
    pass


class Ledger(Component):
    made = 0

    def init(self) -> None:
        Ledger.made += 1
        self.entries: list[str] = []

    @protected
    def who(self, caller: Caller, /) -> tuple[str, int, int]:
        return caller.name, caller.badge, caller.rights

    @protected
    def add(self, text: str, *, times: int = 1) -> int:
        self.entries += [text] * times
        return len(self.entries)

    @protected
    def numbers(self, values: list[int]) -> list[int]:
        values.append(0)
        return values

    @protected(raises=[Full])
    def fail(self, how: str) -> None:
        if how == "bug":
            raise ValueError("secret detail")
        if how == "refused":
            raise __import__("exclave").Refused("X", "y")
        raise {"full": Full, "fuller": Fuller, "other": Other, "heavy": lambda: Full([1])}[how]()

    @protected
    def lie(self) -> int:
        return "not a number"

    @protected
    def kept(self) -> int:
        return len(self.secrets["pin"])
"""

SIGNER = """
import exclave
from exclave import Component, protected
from ledger_m import Ledger


class Signer(Component):
    def init(self) -> None:
        self.ledger = exclave.connect("ledger", Ledger)

    @protected
    def ledger_sees(self) -> tuple[str, int, int]:
        return self.ledger.who()

    @protected
    def reach(self, name: str) -> str:
        try:
            exclave.connect(name, Signer)
        except exclave.Refused as error:
            return error.text
        return "connected"
"""


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """An inline system of a ledger, a signer that uses it, and a monolith; gives a component's module."""
    (tmp_path / "ledger_m.py").write_text(LEDGER)
    (tmp_path / "signer_m.py").write_text(SIGNER)
    pin = tmp_path / "pin"
    pin.write_bytes(b"1234")
    described = {
        "exclaves": {
            "ledger": {"component": "ledger_m:Ledger", "secrets": {"pin": str(pin)}, "use": {}},
            "signer": {"component": "signer_m:Signer", "secrets": {}, "use": {"ledger": WRITE}},
        },
        "monolith": {"ledger": WRITE | GRANT, "signer": WRITE},
        "path": str(tmp_path),
    }
    monkeypatch.setenv("EXCLAVE_INLINE", json.dumps(described))
    monkeypatch.syspath_prepend(tmp_path)
    inline._system.cache_clear()
    inline._components.clear()

    def module(name: str) -> ModuleType:
        __import__(name)
        return sys.modules[name]

    yield module
    inline._system.cache_clear()
    inline._components.clear()
    for name in ("ledger_m", "signer_m"):
        sys.modules.pop(name, None)


def test_without_the_variable_nothing_is_inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXCLAVE_INLINE", raising=False)
    inline._system.cache_clear()
    assert not inline.active()
    inline._system.cache_clear()


def test_it_says_once_that_nothing_is_isolated(
    system: Callable[[str], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert inline.active()
    assert inline.active()
    assert capsys.readouterr().err == (
        "exclave: INLINE: nothing is isolated: this process holds every secret itself\n"
    )


def test_caller_has_the_badge_and_the_rights_of_the_description(system: Callable[[str], Any]) -> None:
    ledger = connect("ledger", system("ledger_m").Ledger)
    assert ledger.who() == ("monolith", 3, 6)
    signer = connect("signer", system("signer_m").Signer)
    assert signer.ledger_sees() == ("signer", 2, 2)


def test_component_is_made_once_and_keeps_its_state(system: Callable[[str], Any]) -> None:
    kind = system("ledger_m").Ledger
    assert connect("ledger", kind).add("a") == 1
    assert connect("ledger", kind).add("b", times=2) == 3
    assert kind.made == 1


def test_secrets_are_read_into_the_component(system: Callable[[str], Any]) -> None:
    assert connect("ledger", system("ledger_m").Ledger).kept() == 4


def test_use_of_the_holder_is_enforced(system: Callable[[str], Any]) -> None:
    signer_kind = system("signer_m").Signer
    with pytest.raises(Refused, match=r'monolith may not use "nobody" .it may use: ledger, signer'):
        connect("nobody", signer_kind)
    signer = connect("signer", signer_kind)
    assert (
        signer.reach("signer") == 'signer may not use "signer" (it may use: ledger); see `use` of its table'
    )
    # After the call the monolith's code runs in its own name again.
    assert connect("ledger", system("ledger_m").Ledger).who()[0] == "monolith"


def test_class_of_another_version_is_refused(system: Callable[[str], Any]) -> None:
    with pytest.raises(Refused, match="InterfaceMismatch: ledger runs another version of Signer"):
        connect("ledger", system("signer_m").Signer)


def test_arguments_and_results_are_copies(system: Callable[[str], Any]) -> None:
    values = [1, 2]
    result = connect("ledger", system("ledger_m").Ledger).numbers(values)
    assert (values, result) == ([1, 2], [1, 2, 0])
    assert result is not values


def test_wrong_arguments_fail_as_they_do_between_domains(system: Callable[[str], Any]) -> None:
    ledger = connect("ledger", system("ledger_m").Ledger)
    with pytest.raises(TypeError, match="missing a required argument"):
        ledger.add()
    with pytest.raises(TypeError, match=r"ledger\.add: an argument cannot travel"):
        ledger.add(object())
    with pytest.raises(Refused, match=r"BadArguments: ledger\.add: Expected `str`, got `int`"):
        ledger.add(5)


def test_arguments_that_need_a_frame_need_the_right(system: Callable[[str], Any]) -> None:
    assert connect("ledger", system("ledger_m").Ledger).add("x" * 70_000) == 1
    with pytest.raises(Refused, match="NotGranted"):
        connect("signer", system("signer_m").Signer).reach("x" * 70_000)


def test_declared_error_crosses_as_itself_and_its_subclass_as_the_declared(
    system: Callable[[str], Any],
) -> None:
    module = system("ledger_m")
    ledger = connect("ledger", module.Ledger)
    for how in ("full", "fuller"):
        with pytest.raises(module.Full) as caught:
            ledger.fail(how)
        assert type(caught.value) is module.Full


@pytest.mark.parametrize(
    ("how", "kind"), [("bug", "ValueError"), ("other", "Other"), ("refused", "Refused"), ("heavy", "Full")]
)
def test_any_other_error_is_a_fault_without_its_detail(
    system: Callable[[str], Any], how: str, kind: str
) -> None:
    with pytest.raises(Fault) as caught:
        connect("ledger", system("ledger_m").Ledger).fail(how)
    assert caught.value.kind == kind
    assert caught.value.text == "ledger.fail failed"
    # The cause is kept for whoever debugs.
    assert type(caught.value.__cause__).__name__ == kind


def test_result_that_is_not_as_declared_is_a_fault(system: Callable[[str], Any]) -> None:
    with pytest.raises(Fault, match=r"result: ledger\.lie: Expected `int`, got `str`"):
        connect("ledger", system("ledger_m").Ledger).lie()


def test_asyncio_client_calls_the_same_component(system: Callable[[str], Any]) -> None:
    kind = system("ledger_m").Ledger

    async def use() -> tuple[int, int, object]:
        ledger: Any = await connect_async("ledger", kind)
        first = await ledger.add("a")
        second = await ledger.call(kind.add, "b", times=3)
        who = await ledger.who()
        ledger.close()
        return first, second, who

    assert asyncio.run(use()) == (1, 4, ("monolith", 3, 6))
