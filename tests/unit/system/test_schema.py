from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from exclave.system.description import parse
from exclave.system.schema import (
    ConclaveTable,
    DescriptionFile,
    DriverTable,
    ExclaveTable,
    MonolithTable,
    NetworkTable,
    NeverTable,
    NotificationTable,
    OnlyTable,
    RegionTable,
    SystemTable,
    UseTable,
    json_schema,
)

CORPUS = Path(__file__).parents[2] / "corpus" / "description"
MANUAL = Path(__file__).parents[3] / "docs" / "manual" / "description.md"


@pytest.mark.parametrize("path", sorted((CORPUS / "good").glob("*.toml")), ids=lambda path: path.stem)
def test_schema_accepts_good_descriptions(path: Path) -> None:
    assert msgspec.convert(tomllib.loads(path.read_text()), DescriptionFile).system.name


@pytest.mark.parametrize(
    "name", ["exclave_unknown_key", "memory_fraction", "use_number", "network_port_zero"]
)
def test_schema_rejects_what_has_a_wrong_form(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(tomllib.loads((CORPUS / f"{name}.toml").read_text()), DescriptionFile)


def test_schema_is_json_schema_and_closed() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    definitions = schema["$defs"]
    assert isinstance(definitions, dict)
    assert definitions["ExclaveTable"]["additionalProperties"] is False
    assert set(definitions["NeverTable"]["properties"]) == {"from", "reach"}
    assert msgspec.json.encode(schema)


@pytest.mark.parametrize(
    ("heading", "table"),
    [
        ("[system]", SystemTable),
        ("[exclave.NAME]", ExclaveTable),
        ("[driver.NAME]", DriverTable),
        ("use", UseTable),
        ("[conclave.NAME]", ConclaveTable),
        ("[region.NAME]", RegionTable),
        ("[notification.NAME]", NotificationTable),
        ("[monolith]", MonolithTable),
        ("network", NetworkTable),
        ("[[never]]", NeverTable),
        ("[[only]]", OnlyTable),
    ],
)
def test_manual_has_every_key(heading: str, table: type[msgspec.Struct]) -> None:
    _, _, section = MANUAL.read_text().partition(f"\n## `{heading}`\n")
    section = section.partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `") and line.count(" | ") == 4]
    documented = {row.split("`")[1] for row in rows}
    keys = {field.encode_name for field in msgspec.structs.fields(table)}
    if table is DriverTable:
        keys = {"devices"}
    assert documented == keys


def test_example_of_the_manual_is_a_description() -> None:
    (example,) = MANUAL.read_text().split("```toml\n")[1:]
    text = example.partition("```")[0]
    source = parse(text.encode(), name="exclave.toml", file="/nonexistent/exclave.toml")
    assert source.description.domains == ("signer", "ledger", "clock", "nic", "monolith")


def test_examples_of_keys_are_right() -> None:
    rows = [line.split(" | ") for line in MANUAL.read_text().splitlines() if line.startswith("| `")]
    examples = [row[-1].removesuffix(" |").strip("`") for row in rows if len(row) == 5]
    assert len(examples) > 30
    for row, example in zip((row for row in rows if len(row) == 5), examples, strict=True):
        (key,) = tomllib.loads(example)
        assert row[0] == f"| `{key}`"
