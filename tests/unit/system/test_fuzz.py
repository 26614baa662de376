"""Invariant: whatever bytes a description has, the answer is a description or a DescriptionError."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exclave.system.check import check_source
from exclave.system.description import Source, parse
from exclave.system.errors import DescriptionError
from exclave.system.explain import UnknownName, explain
from exclave.system.graph import build
from exclave.system.reach import decide
from exclave.system.render import to_mermaid, to_text
from exclave.system.schema import DescriptionFile

GOOD_DIRECTORY = Path(__file__).parents[2] / "corpus" / "description" / "good"
FULL = (GOOD_DIRECTORY / "full.toml").read_bytes()
NOWHERE = {"HOME": "/nonexistent"}

VOCABULARY = """
system exclave driver conclave region notification monolith never name secrets component packages use memory
budget placement devices members host size type owner shared signal wait command program network read write
environment pass_environment from reach rights call frame signer ledger signer:Signer ledger:Ledger key 1M 5s
SHARED_RO SHARED_RW EXCLAVE_PRIVATE signer.secrets.key region.signer path:/ /dev/null data ~ / .. python
"""
WORDS = st.sampled_from(VOCABULARY.split())
LEAVES = st.one_of(WORDS, st.text(max_size=4), st.integers(), st.booleans(), st.floats(), st.dates())
NODES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=4)),
    max_leaves=12,
)


def reader(data: bytes) -> Source | None:
    """Read a description; None is a DescriptionError with real places, and anything else a failure."""
    lines = data.split(b"\n")
    try:
        source = parse(data, name="exclave.toml", file=str(GOOD_DIRECTORY / "exclave.toml"))
        check_source(source, NOWHERE)
    except DescriptionError as error:
        for problem in error.problems:
            assert 1 <= problem.line <= len(lines)
            assert problem.column >= 1
            assert problem.cause
            assert problem.fix
            assert "".join(str(problem).split("\n")).isprintable()
        return None
    return source


def written(value: object) -> str:
    """Write a value as TOML."""
    match value:
        case dict():
            return "{" + ", ".join(f"{written(key)} = {written(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(written, value)) + "]"
        case bool():
            return str(value).lower()
        case str():
            return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
    return str(value)


@given(st.binary(max_size=80))
def test_any_bytes(data: bytes) -> None:
    reader(data)


@given(st.text(max_size=80))
def test_any_text(text: str) -> None:
    reader(text.encode())


@given(st.dictionaries(WORDS, NODES, max_size=4))
def test_any_toml_of_known_words(tables: dict[str, object]) -> None:
    reader("\n".join(f"{key} = {written(value)}" for key, value in tables.items()).encode())


@given(st.integers(0, len(FULL)), st.integers(0, 30), st.binary(max_size=6))
def test_any_damage_to_a_good_description(start: int, length: int, insert: bytes) -> None:
    reader(FULL[:start] + insert + FULL[start + length :])


@given(st.lists(st.integers(0, FULL.count(b"\n") - 1), max_size=6), st.integers(0, FULL.count(b"\n") - 1))
def test_any_lines_left_out_or_doubled(left_out: list[int], doubled: int) -> None:
    lines = FULL.split(b"\n")
    lines[doubled] += b"\n" + lines[doubled]
    source = reader(b"\n".join(line for number, line in enumerate(lines) if number not in left_out))
    if source is None:
        return
    # What is accepted can be drawn, decided and explained, and the schema accepts it too.
    graph = build(source.description)
    assert to_text(graph)
    assert to_mermaid(graph)
    decide(source.description, environment=NOWHERE)
    for a in source.description.domains:
        for node in graph.nodes:
            if node.kind in ("exclave", "secret", "region", "network"):
                assert explain(source, a, node.id).source == a
    msgspec.convert(tomllib.loads(source.text), DescriptionFile)


def answer(source: Source, a: str, b: str) -> str:
    """Ask, and return the text of the answer."""
    try:
        return "".join(explain(source, a, b).notes)
    except UnknownName as error:
        return f"{error.cause}{error.fix}"


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_question_is_answered_or_unknown(a: str, b: str) -> None:
    source = reader(FULL)
    assert source is not None
    for first, second in ((a, b), ("monolith", b), (a, "signer")):
        assert answer(source, first, second).isprintable()


def test_the_undamaged_description_is_accepted() -> None:
    assert reader(FULL) is not None


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf[system]\n",
        b"a = [[[[" * 1000,
        b"a.a." * 2000 + b"a=1",
        b"[a]\n" * 3000,
        b"\r\n\r" * 9,
        b'"""' * 999,
    ],
)
def test_known_hard_input(data: bytes) -> None:
    assert reader(data) is None
