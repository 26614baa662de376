from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from exclave.system.containment import holds
from exclave.system.description import read
from exclave.system.grants import implicit_reads
from exclave.system.graph import Edge, badges, build
from exclave.system.model import SYSTEM_PATHS
from exclave.system.render import to_mermaid, to_text

Writer = Callable[[str], Path]

SHOP = """\
[system]
name = "shop"

[exclave.signer]
component = "signer:Signer"
secrets = ["key"]
use = [{ exclave = "ledger", rights = ["call"] }]

[exclave.ledger]
component = "ledger:Ledger"

[region.orders]
size = "4K"
type = "SHARED_RO"
owner = "ledger"
shared = ["monolith"]

[region.board]
size = "4K"
type = "SHARED_RW"
owner = "ledger"
shared = ["signer"]

[notification.paid]
signal = ["signer", "ledger"]
wait = "monolith"

[monolith]
command = ["python", "app.py"]
use = ["signer"]
network = { listen = [80], connect = [443] }
read = ["data"]
write = ["var"]
devices = ["/dev/null"]
"""


def test_badges_count_the_domains() -> None:
    from exclave.system.description import parse

    text = '[driver.d]\ncomponent = "m:C"\n[exclave.e]\ncomponent = "m:C"\n'
    source = parse(f'[system]\nname = "s"\n[monolith]\ncommand = ["a"]\n{text}'.encode(), name="x", file="/x")
    assert badges(source.description) == {"e": 1, "d": 2, "monolith": 3}


def test_edges_are_what_the_description_gives(write: Writer, shop: Path) -> None:
    graph = build(read(write(SHOP)).description)
    here = str(shop.resolve())
    given = {(e.source, e.target, e.rights, e.badge) for e in graph.edges if not e.implicit}
    assert given == {
        ("signer", "ledger.endpoint", ("call",), 1),
        ("monolith", "signer.endpoint", ("call", "frame"), 3),
        ("signer.endpoint", "signer", ("read",), None),
        ("ledger.endpoint", "ledger", ("read",), None),
        ("signer", "signer.secrets.key", ("read",), None),
        ("ledger", "region.orders", ("read", "write"), None),
        ("monolith", "region.orders", ("read",), None),
        ("ledger", "region.board", ("read", "write"), None),
        ("signer", "region.board", ("read", "write"), None),
        ("signer", "notification.paid", ("write",), 1),
        ("ledger", "notification.paid", ("write",), 2),
        ("monolith", "notification.paid", ("read",), None),
        ("monolith", "network", ("listen 80", "connect 443"), None),
        ("monolith", f"path:{here}", ("read",), None),
        ("monolith", f"path:{here}/data", ("read",), None),
        ("monolith", f"path:{here}/var", ("read", "write"), None),
        ("monolith", "path:/dev/null", ("read", "write"), None),
    }


def test_what_a_monolith_sees_of_the_system_counts_as_readable() -> None:
    from exclave.nucleus.shell.view import system_view

    seen = [bind.target for bind in system_view().binds]
    assert seen
    assert [path for path in seen if not any(holds(known, path) for known in SYSTEM_PATHS)] == []


def test_installation_of_the_command_counts_as_readable(write: Writer, shop: Path) -> None:
    installation = shop / "other"
    (installation / "bin").mkdir(parents=True)
    (installation / "bin" / "python3").write_text("")
    (shop / "tool").write_text(f"#!{installation}/bin/python3\n")
    for command in ("other/bin/python3", "./tool"):
        description = read(write(SHOP.replace('"python"', f'"{command}"'))).description
        assert str(installation) in implicit_reads(description)
    assert str(installation) not in implicit_reads(read(write(SHOP)).description)


def test_every_edge_knows_its_line_and_its_nodes(write: Writer) -> None:
    source = read(write(SHOP))
    graph = build(source.description)
    ids = {node.id for node in graph.nodes}
    lines = source.text.split("\n")
    for edge in graph.edges:
        assert {edge.source, edge.target} <= ids
        if edge.kind in ("call", "keep", "network", "map", "signal", "wait"):
            word = str(edge.key[-1] if isinstance(edge.key[-1], str) else edge.key[-2])
            assert word in lines[source.line(*edge.key) - 1]


def test_held_by_and_holders_are_two_views_of_the_edges(write: Writer) -> None:
    graph = build(read(write(SHOP)).description)
    assert [edge.source for edge in graph.holders("region.orders")] == ["ledger", "monolith"]
    assert all(isinstance(edge, Edge) and edge.source == "signer" for edge in graph.held_by("signer"))
    assert graph.kind("signer") == "exclave"
    assert graph.kind("nobody") is None


def test_text_lists_what_each_domain_holds(write: Writer) -> None:
    source = read(write(SHOP))
    text = to_text(build(source.description), source.description.directory)
    assert text.startswith("system shop\n\nsigner (exclave)\n")
    assert "  call      ledger             call; badge 1\n" in text
    assert "  open      ./var              read, write\n" in text
    assert text.isascii()
    assert max(map(len, text.split("\n"))) <= 80


def test_text_of_a_domain_without_capabilities(write: Writer) -> None:
    text = '[system]\nname = "s"\n[exclave.e]\ncomponent = "signer:Signer"\n[monolith]\ncommand = ["a"]\n'
    assert "e (exclave)\n  holds nothing\n" in to_text(build(read(write(text)).description))


def test_mermaid_draws_calls_between_components(write: Writer) -> None:
    source = read(write(SHOP))
    text = to_mermaid(build(source.description), source.description.directory)
    lines = text.splitlines()
    assert lines[0] == "flowchart LR"
    assert '  n0(["signer"])' in lines
    assert '  n0 -->|"call: call; badge 1"| n1' in lines
    assert not any("endpoint" in line for line in lines)


def test_mermaid_labels_cannot_break_out(write: Writer, shop: Path) -> None:
    (shop / 'a"]; click x "').mkdir()
    source = read(write(SHOP.replace('["data"]', "['a\"]; click x \"']")))
    text = to_mermaid(build(source.description), source.description.directory)
    assert '["./a#quot;]; click x #quot;"]' in text
