"""Trust: outside.

The shop's components, each on its own: the vault, the till and the signer, without any domain around them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import VerifyKey

from exclave.abi.interface import Caller, Interface
from exclave.linux import calls
from exclave.runtime.component import Component, prepare
from exclave.runtime.secret import Secret, Secrets

SHOP = Path(__file__).resolve().parents[2] / "examples" / "shop"
SEED = bytes(range(32))
Load = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def load() -> Iterator[Load]:
    """Import a module of the shop as its own program does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SHOP))
        yield importlib.import_module


def with_secrets(component: Component, **secrets: bytes) -> None:
    """Give a component its secrets, and let it begin."""
    given_secrets = {}
    for name, data in secrets.items():
        memory = calls.secret_memory(len(data)).view[: len(data)]
        memory[:] = data
        given_secrets[name.replace("_", "-")] = Secret(name, memory)
    prepare(component, name="tested", secrets=Secrets(given_secrets), regions={}, notifications={}, uses={})
    component.init()


@pytest.fixture
def till(load: Load, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A till whose signer only repeats the statement, with the clock in the test's hands."""
    module = load("till")
    clock = SimpleNamespace(now=1000.0)
    signer = SimpleNamespace(sign=lambda statement: (f"tested: {statement}", b"signature"))
    monkeypatch.setattr(module, "connect", lambda _name, _component: signer)
    monkeypatch.setattr(module.time, "monotonic", lambda: clock.now)
    component = module.Till()
    component.init()
    return SimpleNamespace(module=module, clock=clock, pay=component.pay, component=component)


def test_payment_gives_a_receipt_in_the_tills_words(till: SimpleNamespace) -> None:
    assert till.pay(1, 24_00) == ("tested: paid 2400 cents for order 1", b"signature")


@pytest.mark.parametrize("amount", [0, -1, 500_01, 2**62])
def test_payment_outside_the_limit_is_refused_and_counts_nothing(till: SimpleNamespace, amount: int) -> None:
    with pytest.raises(till.module.LimitExceeded):
        till.pay(1, amount)
    assert till.component.total == 0
    assert till.pay(1, 1)


def test_the_days_limit_holds_and_ends_with_the_day(till: SimpleNamespace) -> None:
    for order in range(1, 11):
        till.pay(order, 500_00)
    with pytest.raises(till.module.LimitExceeded, match="0 cents are left"):
        till.pay(11, 1)
    till.clock.now += till.module.DAY
    assert till.pay(11, 500_00)


@pytest.mark.parametrize("order", [7, 6, 0, -1])
def test_an_order_is_paid_once(till: SimpleNamespace, order: int) -> None:
    till.pay(7, 100)
    with pytest.raises(till.module.AlreadyPaid):
        till.pay(order, 100)
    assert till.component.total == 100


@given(payments=st.lists(st.tuples(st.integers(-5, 60), st.integers(-10, 600_00)), max_size=60))
def test_no_sequence_of_payments_breaks_a_limit(load: Load, payments: list[tuple[int, int]]) -> None:
    module = load("till")
    component = module.Till()
    component.signer = SimpleNamespace(sign=lambda statement: (statement, b""))
    component.opened, component.total, component.last_order = module.time.monotonic(), 0, 0
    paid: list[tuple[int, int]] = []
    for order, amount in payments:
        try:
            component.pay(order, amount)
        except (module.LimitExceeded, module.AlreadyPaid):
            continue
        paid.append((order, amount))
    orders = [order for order, _ in paid]
    assert orders == sorted(set(orders))
    assert all(0 < amount <= module.PER_PAYMENT for _, amount in paid)
    assert sum(amount for _, amount in paid) <= module.PER_DAY


def test_the_signature_covers_who_asked(load: Load) -> None:
    signer = load("signer").Signer()
    with_secrets(signer, signing_key=SEED)
    till, thief = Caller("till", 3, 2), Caller("monolith", 4, 2)
    signed, signature = type(signer).sign(signer, till, "paid 1 cents for order 1")
    VerifyKey(signer.public_key()).verify(signed.encode(), signature)
    assert signed == "till: paid 1 cents for order 1"
    forged, other = type(signer).sign(signer, thief, "paid 1 cents for order 1")
    assert not forged.startswith("till:")
    assert signature != other


@pytest.fixture(scope="module")
def vault(load: Load) -> SimpleNamespace:
    """A vault with a pepper."""
    module = load("vault")
    component = module.Vault()
    with_secrets(component, pepper=SEED)
    return SimpleNamespace(module=module, component=component)


def test_a_record_is_checked_against_its_own_password(vault: SimpleNamespace) -> None:
    record = vault.component.enrol("swordfish")
    assert len(record) == vault.module.RECORD_BYTES
    assert vault.component.verify(record, "swordfish")
    assert not vault.component.verify(record, "Swordfish")
    assert record != vault.component.enrol("swordfish")


def test_a_record_is_worthless_under_another_pepper(vault: SimpleNamespace, load: Load) -> None:
    other = load("vault").Vault()
    with_secrets(other, pepper=bytes(32))
    assert not other.verify(vault.component.enrol("swordfish"), "swordfish")


def test_wrong_passwords_lock_a_record_and_no_other(vault: SimpleNamespace) -> None:
    record, other = vault.component.enrol("swordfish"), vault.component.enrol("swordfish")
    for _ in range(vault.module.MAX_MISSES):
        assert not vault.component.verify(record, "wrong")
    with pytest.raises(vault.module.TooManyTries):
        vault.component.verify(record, "swordfish")
    assert vault.component.verify(other, "swordfish")


def test_the_right_password_forgives_earlier_misses(vault: SimpleNamespace) -> None:
    record = vault.component.enrol("swordfish")
    for _ in range(2):
        for _ in range(vault.module.MAX_MISSES - 1):
            assert not vault.component.verify(record, "wrong")
        assert vault.component.verify(record, "swordfish")


@given(record=st.binary(max_size=100).filter(lambda data: len(data) != 48))
def test_what_is_no_record_is_refused_without_hashing(vault: SimpleNamespace, record: bytes) -> None:
    before = dict(vault.component.misses)
    assert not vault.component.verify(record, "swordfish")
    assert vault.component.misses == before


def test_interfaces_show_what_crosses_and_nothing_more(load: Load) -> None:
    offered = {
        name: [method.name for method in Interface.of(getattr(load(name), name.capitalize())).methods]
        for name in ("signer", "vault", "till")
    }
    assert offered == {
        "signer": ["public_key", "sign"],
        "vault": ["enrol", "verify"],
        "till": ["pay", "receipt_key"],
    }
