"""locate against tomllib: whatever tomllib reads, locate finds, on the line where it was written."""

from __future__ import annotations

import json
import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exclave.system.locate import KeyPath, Places

KEYS = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True),
    st.text(st.sampled_from('ab.#[]{}="\\ é\t\n'), max_size=5),
)
TEXTS = st.text(st.sampled_from("ab#[]{},=\"'\\ \té."), max_size=8)
VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(-9, 99), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=6,
)


def as_basic(text: str) -> str:
    """Write a TOML basic string; JSON's escapes are TOML's."""
    return json.dumps(text, ensure_ascii=False)


class Writer:
    """Writes TOML in ways that a draw chooses, and notes the line of each key path."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.text = ""
        self.lines: dict[KeyPath, int] = {}

    def note(self, path: KeyPath) -> None:
        self.lines[path] = self.text.count("\n") + 1

    def key(self, key: str) -> None:
        bare = re.fullmatch(r"[A-Za-z0-9_-]+", key) is not None
        if bare and self.draw(st.booleans()):
            self.text += key
        elif "'" not in key and key.isprintable() and self.draw(st.booleans()):
            self.text += f"'{key}'"
        else:
            self.text += as_basic(key)

    def string(self, value: str) -> None:
        style = self.draw(st.sampled_from(["basic", "literal", "long basic", "long literal"]))
        if style == "literal" and "'" not in value and value.isprintable():
            self.text += f"'{value}'"
        elif style == "long basic":
            self.text += f'"""\n{as_basic(value)[1:-1]}"""'
        elif style == "long literal" and "'" not in value:
            self.text += f"'''\n{value}'''"
        else:
            self.text += as_basic(value)

    def gap(self) -> None:
        self.text += self.draw(st.sampled_from(["", " ", "\n", "\n  # ] } a = [\n", "\r\n"]))

    def value(self, path: KeyPath, value: object) -> None:
        match value:
            case bool():
                self.text += "true" if value else "false"
            case int():
                self.text += str(value)
            case str():
                self.string(value)
            case list():
                self.array(path, value)
            case dict():
                self.inline_table(path, value)

    def array(self, path: KeyPath, items: list[object]) -> None:
        self.text += "["
        for index, item in enumerate(items):
            self.gap()
            self.note((*path, index))
            self.value((*path, index), item)
            self.gap()
            if index < len(items) - 1 or self.draw(st.booleans()):
                self.text += ","
        self.gap()
        self.text += "]"

    def inline_table(self, path: KeyPath, items: dict[str, object]) -> None:
        self.text += "{"
        for index, (key, item) in enumerate(items.items()):
            self.text += ", " if index else " "
            self.pair(path, key, item)
        self.text += " }"

    def pair(self, path: KeyPath, key: str, value: object) -> None:
        self.note((*path, key))
        self.key(key)
        self.text += self.draw(st.sampled_from(["=", " = ", "\t=\t"]))
        self.value((*path, key), value)

    def pairs(self, path: KeyPath, items: dict[str, object]) -> None:
        for key, item in items.items():
            self.pair(path, key, item)
            self.text += self.draw(st.sampled_from(["\n", "  # [x]\n", "\n\n", "\r\n"]))

    def header(self, parts: list[str], brackets: str) -> None:
        self.text += "[" * len(brackets)
        for index, part in enumerate(parts):
            self.text += self.draw(st.sampled_from([".", " . "])) if index else ""
            self.key(part)
        self.text += "]" * len(brackets) + self.draw(st.sampled_from(["\n", " # ]\n"]))


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[KeyPath, int], dict[str, object]]:
    """A TOML text, the line of each key path, and what it means."""
    writer = Writer(draw)
    names = draw(st.lists(KEYS, min_size=3, max_size=3, unique=True))
    tables = st.dictionaries(KEYS, VALUES, max_size=3)
    root = draw(st.dictionaries(KEYS.filter(lambda key: key not in names), VALUES, max_size=3))
    writer.pairs((), root)
    meaning: dict[str, object] = dict(root)
    single, outer, several = names
    table = draw(tables)
    writer.note((single,))
    writer.header([single], "[")
    writer.pairs((single,), table)
    meaning[single] = table
    inner, nested = draw(KEYS), draw(tables)
    writer.note((outer, inner))
    writer.header([outer, inner], "[")
    writer.pairs((outer, inner), nested)
    meaning[outer] = {inner: nested}
    rows = draw(st.lists(tables, min_size=1, max_size=3))
    for index, row in enumerate(rows):
        writer.note((several, index))
        writer.header([several], "[[")
        writer.pairs((several, index), row)
    meaning[several] = rows
    return writer.text, writer.lines, meaning


@given(documents())
def test_every_path_is_on_the_line_where_it_was_written(
    document: tuple[str, dict[KeyPath, int], dict[str, object]],
) -> None:
    text, lines, meaning = document
    assert tomllib.loads(text) == meaning
    places = Places(text)
    assert places.too_deep is None
    assert {path: places.find(path).line for path in lines} == lines
    assert all(path in places for path in lines)


def paths_of(value: object, path: KeyPath = ()) -> list[KeyPath]:
    found = [path] if path else []
    if isinstance(value, dict):
        for key, item in value.items():
            found += paths_of(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += paths_of(item, (*path, index))
    return found


TOKENS = st.sampled_from(
    [
        "a",
        "b",
        "1",
        ".",
        "=",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        ",",
        "\n",
        " ",
        "#",
        '"',
        "'",
        '"""',
        "'''",
        "\\",
        "\r",
    ]
)


@given(st.lists(TOKENS, max_size=40).map("".join))
def test_what_tomllib_reads_is_found(text: str) -> None:
    places = Places(text)
    try:
        meaning = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert all(path in places for path in paths_of(meaning))


@given(st.text(max_size=200))
def test_any_text_gives_a_position_inside_it(text: str) -> None:
    line, column = Places(text).find(("a", 0, "b"), value=True)
    lines = text.split("\n")
    assert 1 <= line <= len(lines)
    assert 1 <= column <= len(lines[line - 1]) + 1


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 5000, "a = " + "{b=" * 5000, "[" + "a." * 5000, "a." * 5000 + "a=1"]
)
def test_deep_nesting_ends_and_is_told(text: str) -> None:
    places = Places(f"ok = 1\n{text}")
    assert places.find(("ok",)).line == 1
    assert places.too_deep is not None
    assert places.too_deep.line == 2


def test_columns_are_of_keys_and_of_values() -> None:
    places = Places('[t]\n  key = { inner = "x" }\n')
    assert places.find(("t",)) == (1, 2)
    assert places.find(("t", "key")) == (2, 3)
    assert places.find(("t", "key"), value=True) == (2, 9)
    assert places.find(("t", "key", "inner")) == (2, 11)


def test_unknown_path_is_placed_at_its_nearest_parent() -> None:
    places = Places("x = 1\n[a.b]\n")
    assert places.find(("a", "b", "c", 0)) == (2, 4)
    assert places.find(("nothing",)) == (1, 1)


def test_explicit_header_wins_over_an_earlier_mention() -> None:
    places = Places("[a.b]\nx = 1\n[a]\ny = 2\n")
    assert places.find(("a",)).line == 3


def test_tables_below_array_elements_belong_to_the_last() -> None:
    places = Places("[[a]]\n[a.b]\nx = 1\n[[a]]\n[a.b]\nx = 1\n[[a.c]]\n[[a.c]]\ny = 1\n")
    assert places.find(("a", 0, "b", "x")).line == 3
    assert places.find(("a", 1, "b", "x")).line == 6
    assert places.find(("a", 1, "c", 1, "y")).line == 9
