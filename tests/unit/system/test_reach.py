from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from exclave.system.check import check
from exclave.system.graph import build
from exclave.system.reach import Closure, Hop, Verdict, decide

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

[driver.nic]
component = "nic:Nic"
secrets = ["mac"]

[driver.disk]
component = "nic:Nic"
use = ["nic"]

[region.orders]
size = "4K"
type = "SHARED_RO"
owner = "ledger"
shared = ["nic"]

[notification.paid]
signal = ["ledger"]
wait = "monolith"

[monolith]
command = ["python", "app.py"]
use = ["signer", "disk"]
network = true
read = ["data"]
write = ["var"]
"""


def verdict(write: Writer, source: str, target: str, compromised: tuple[str, ...] | None = None) -> Verdict:
    path = write(f'{SHOP}\n[[never]]\nfrom = "{source}"\nreach = "{target}"\n')
    (found,) = decide(check(path).description, compromised)
    return found


@pytest.mark.parametrize(
    ("sources", "target", "holds"),
    [
        ([], "signer.secrets.key", True),
        (["monolith"], "signer", True),
        ([], "signer", False),
        (["signer"], "ledger", True),
        (["monolith"], "ledger", False),
        (["monolith"], "network", True),
        ([], "network", False),
        (["monolith"], "region.orders", False),
        (["nic", "ledger"], "region.orders", True),
    ],
)
def test_only_rule_supposes_that_everybody_else_is_compromised(
    write: Writer, sources: list[str], target: str, holds: bool
) -> None:
    path = write(f'{SHOP}\n[[only]]\nfrom = {sources}\nreach = "{target}"\n')
    (found,) = decide(check(path).description)
    assert found.holds is holds
    assert bool(found.path) is not holds
    assert not set(found.compromised) & set(sources)
    assert all(hop.source in found.compromised for hop in found.path)


@pytest.mark.parametrize(
    ("source", "target", "holds"),
    [
        ("monolith", "signer.secrets.key", True),
        ("monolith", "signer", False),
        ("monolith", "ledger", True),
        ("signer", "ledger", False),
        ("signer", "signer.secrets.key", False),
        ("ledger", "signer", True),
        ("ledger", "signer.secrets.key", True),
        ("signer", "network", True),
        ("monolith", "network", False),
        ("monolith", "region.orders", False),
        ("signer", "region.orders", True),
        ("monolith", "notification.paid", False),
        ("signer", "notification.paid", True),
        ("monolith", "path:data", False),
        ("monolith", "path:data/deep/file", False),
        ("monolith", "path:/", False),
        ("monolith", "path:/usr/bin/env", False),
        ("monolith", "path:/etc/shadow", True),
        ("signer", "path:data", True),
        ("signer", "path:/usr", True),
        ("monolith", "nic.secrets.mac", False),
        ("nic", "network", False),
        ("nic", "signer", False),
        ("ledger", "nic.secrets.mac", True),
        ("disk", "disk", False),
    ],
)
def test_rule_is_decided(write: Writer, source: str, target: str, holds: bool) -> None:
    found = verdict(write, source, target)
    assert found.holds is holds
    assert bool(found.path) is not holds


def test_default_set_is_the_hostile_ones_or_the_exclave_alone(write: Writer) -> None:
    assert verdict(write, "monolith", "ledger").compromised == ("monolith", "nic", "disk")
    assert verdict(write, "disk", "ledger").compromised == ("monolith", "nic", "disk")
    assert verdict(write, "signer", "network").compromised == ("signer",)


def test_chosen_set_is_added_to_the_rules_own_domain(write: Writer) -> None:
    assert verdict(write, "monolith", "ledger", ()).compromised == ("monolith",)
    found = verdict(write, "monolith", "ledger", ("signer",))
    assert found.compromised == ("monolith", "signer")
    assert not found.holds
    assert [(hop.source, hop.target, hop.how) for hop in found.path] == [
        ("monolith", "signer", "call"),
        ("signer", "ledger.endpoint", "call"),
    ]


def test_compromise_of_the_keeper_gives_its_secret(write: Writer) -> None:
    found = verdict(write, "monolith", "signer.secrets.key", ("signer",))
    assert [(hop.source, hop.target, hop.how) for hop in found.path] == [
        ("monolith", "signer", "call"),
        ("signer", "signer.secrets.key", "keep"),
    ]


def test_counterexample_is_shortest_and_names_rights_badge_and_key(write: Writer) -> None:
    found = verdict(write, "monolith", "nic.secrets.mac")
    assert found.path == (
        Hop(
            source="monolith",
            target="disk",
            how="call",
            rights=("call", "frame"),
            badge=5,
            key=("monolith", "use", 1),
        ),
        Hop(
            source="disk",
            target="nic",
            how="call",
            rights=("call", "frame"),
            badge=4,
            key=("driver", "disk", "use", 0),
        ),
        Hop(
            source="nic",
            target="nic.secrets.mac",
            how="keep",
            rights=("read",),
            key=("driver", "nic", "secrets", 0),
        ),
    )


def test_callee_hands_things_to_its_caller_and_back(write: Writer) -> None:
    found = verdict(write, "nic", "network")
    assert [(hop.source, hop.target, hop.how) for hop in found.path] == [
        ("nic", "disk", "called"),
        ("disk", "monolith", "called"),
        ("monolith", "network", "network"),
    ]


def test_domains_without_a_call_act_together(write: Writer) -> None:
    found = verdict(write, "ledger", "network", ("monolith",))
    assert [(hop.source, hop.target, hop.how) for hop in found.path] == [
        ("ledger", "monolith", "together"),
        ("monolith", "network", "network"),
    ]


def test_true_rule_rests_on_keeper_and_who_may_ask_it(write: Writer) -> None:
    found = verdict(write, "monolith", "signer.secrets.key")
    assert [(edge.source, edge.target) for edge in found.rests_on] == [
        ("signer", "signer.secrets.key"),
        ("monolith", "signer.endpoint"),
    ]
    found = verdict(write, "monolith", "ledger")
    assert [(edge.source, edge.target) for edge in found.rests_on] == [
        ("signer", "ledger.endpoint"),
        ("monolith", "signer.endpoint"),
    ]


def test_true_rule_about_what_nobody_has_rests_on_nothing(write: Writer) -> None:
    assert verdict(write, "monolith", "path:/etc/shadow").rests_on == ()


def test_secret_in_a_granted_path_is_reached(write: Writer, shop: Path) -> None:
    # check refuses such a description; the decision alone must not depend on that.
    from exclave.system.description import load

    text = SHOP.replace("/nonexistent/secrets", str(shop / "data"))
    path = write(f'{text}\n[[never]]\nfrom = "monolith"\nreach = "signer.secrets.key"\n')
    (found,) = decide(load(path))
    assert not found.holds
    assert found.path[-1].how == "open"


def test_closure_is_monotone_in_the_compromised_set(write: Writer) -> None:
    graph = build(check(write(SHOP)).description)
    domains = ["monolith", "signer", "ledger", "nic", "disk"]
    for number in range(len(domains)):
        smaller = set(Closure(graph, domains[:number]).edges)
        assert smaller <= set(Closure(graph, domains[: number + 1]).edges)


def test_closure_of_nobody_is_empty(write: Writer) -> None:
    assert Closure(build(check(write(SHOP)).description), ()).edges == ()
