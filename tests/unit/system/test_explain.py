from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from exclave.system.check import check
from exclave.system.explain import Explanation, UnknownName, explain

Writer = Callable[[str], Path]

SHOP = """\
[system]
name = "shop"
secrets = "/nonexistent/secrets"

[exclave.signer]
component = "signer:Signer"
secrets = ["key"]
use = [{ exclave = "ledger", rights = ["call"] }]

[exclave.ledger]
component = "ledger:Ledger"

[exclave.clock]
component = "clock:Clock"

[region.orders]
size = "4K"
type = "SHARED_RO"
owner = "ledger"
shared = ["monolith"]

[monolith]
command = ["python", "app.py"]
use = ["signer"]
network = true
write = ["var"]
"""


@pytest.fixture
def ask(write: Writer, shop: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Explanation]:
    write(SHOP)
    monkeypatch.chdir(shop)
    source = check("exclave.toml").source
    return lambda a, b: explain(source, a, b)


Ask = Callable[[str, str], Explanation]


def test_direct_call_names_rights_badge_line_and_methods(ask: Ask) -> None:
    found = ask("monolith", "signer")
    assert found.route == "direct"
    (step,) = found.steps
    assert (step.source, step.target, step.rights, step.badge, step.line) == (
        "monolith",
        "signer",
        ("call", "frame"),
        4,
        24,
    )
    assert found.notes == ("signer answers (sign, pay)",)


def test_call_through_another_is_not_held(ask: Ask) -> None:
    found = ask("monolith", "ledger")
    assert found.route == "through"
    assert [(step.source, step.target, step.line) for step in found.steps] == [
        ("monolith", "signer", 24),
        ("signer", "ledger", 8),
    ]
    assert found.notes == (
        "monolith holds no capability to ledger: signer decides what it does for a caller",
    )


def test_secret_has_no_route_but_the_callers_are_named(ask: Ask) -> None:
    found = ask("monolith", "signer.secrets.key")
    assert found.route == "none"
    assert found.notes == (
        "signer keeps it in its secret memory (exclave.toml:7)",
        "monolith may call signer (sign, pay) (exclave.toml:24)",
        "no call hands a secret out: only the compromise of signer itself gives it",
    )


def test_secret_of_one_that_cannot_be_asked(ask: Ask) -> None:
    found = ask("clock", "signer.secrets.key")
    assert found.notes == (
        "signer keeps it in its secret memory (exclave.toml:7)",
        "clock cannot call signer, not even through others",
        "clock holds no capability at all",
    )


def test_secret_of_its_keeper_is_direct(ask: Ask) -> None:
    found = ask("signer", "signer.secrets.key")
    assert (found.route, found.steps[0].kind) == ("direct", "keep")


@pytest.mark.parametrize(
    ("a", "b", "route"),
    [
        ("monolith", "network", "direct"),
        ("signer", "network", "none"),
        ("monolith", "region.orders", "direct"),
        ("signer", "region.orders", "through"),
        ("clock", "region.orders", "none"),
        ("monolith", "path:var/log", "direct"),
        ("monolith", "path:/usr/lib", "direct"),
        ("monolith", "path:/etc/shadow", "none"),
        ("ledger", "signer", "none"),
        ("ledger", "monolith", "none"),
        ("ledger", "ledger", "none"),
    ],
)
def test_route(ask: Ask, a: str, b: str, route: str) -> None:
    assert ask(a, b).route == route


def test_no_route_says_who_holds_it_and_what_can_be_done_at_most(ask: Ask) -> None:
    assert ask("ledger", "network").notes == (
        "monolith has the network (anywhere) (exclave.toml:25)",
        "all that ledger holds:",
        "  ledger maps region.orders (read, write) (exclave.toml:19)",
    )
    assert ask("signer", "clock").notes[0] == "nobody uses clock"
    assert ask("signer", "path:/etc/shadow").notes[0] == "nobody is given path:/etc/shadow"


def test_monolith_cannot_be_called_but_shares(ask: Ask) -> None:
    assert ask("ledger", "monolith").notes == (
        "nobody can call the monolith: it has no endpoint",
        "monolith maps region.orders (read) (exclave.toml:20)",
    )


def test_system_directories_are_not_granted_and_readable(ask: Ask) -> None:
    assert ask("monolith", "path:/usr").notes == (
        "every program needs it to run; the description does not grant it",
    )


@pytest.mark.parametrize(
    ("a", "b", "cause", "fix"),
    [
        ("monolit", "signer", 'there is no domain "monolit"', 'did you mean "monolith"?'),
        ("zzz", "signer", 'there is no domain "zzz"', "the domains are signer, ledger, clock and monolith"),
        ("monolith", "sign", 'there is no exclave or driver "sign"', 'did you mean "signer"?'),
        ("monolith", "orders", 'there is no exclave "orders"', 'did you mean "region.orders"?'),
        (
            "monolith",
            "signer.secrets.kee",
            'there is no secret of signer "kee"',
            'did you mean "signer.secrets.key"?',
        ),
    ],
)
def test_unknown_name_is_answered_with_the_nearest(ask: Ask, a: str, b: str, cause: str, fix: str) -> None:
    with pytest.raises(UnknownName) as caught:
        ask(a, b)
    assert (caught.value.cause, caught.value.fix) == (cause, fix)
