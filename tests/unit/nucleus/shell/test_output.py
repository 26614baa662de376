from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exclave.nucleus.shell.output import (
    BYTES_PER_SECOND,
    LINE_LIMIT,
    LINES_LIMIT,
    READ_SIZE,
    Output,
    harmless,
    harmless_lines,
)


class Scene:
    """The two ends of an exclave's standard output, and what was shown of it."""

    def __init__(self) -> None:
        reading, self.writing = os.pipe()
        self.shown: list[str] = []
        self.output = Output("signer", reading, self.shown.append)

    def write(self, data: bytes) -> None:
        """Print as the exclave, and read as the nucleus."""
        while data:
            written = os.write(self.writing, data[:READ_SIZE])
            data = data[written:]
            assert self.output.read()

    def end(self) -> list[str]:
        """Close both ends; everything that was shown."""
        os.close(self.writing)
        self.output.close()
        return self.shown


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A scene in which time stands still."""
    monkeypatch.setattr("time.monotonic", lambda: 1000.0)
    made = Scene()
    yield made
    made.output.close()


@given(st.binary(max_size=3000))
def test_nothing_but_printable_characters_is_shown(data: bytes) -> None:
    text = harmless(data)
    assert all(character.isprintable() or character == "\t" for character in text)


@given(st.text(max_size=200))
def test_printable_text_is_shown_as_it_is(text: str) -> None:
    if text.isprintable() and len(text.encode()) <= LINE_LIMIT:
        assert harmless(text.encode()) == text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x1b[2J\x07\x08\x00\x7f", r"\x1b[2J\x07\x08\x00\x7f"),
        ("\x9b31m".encode(), r"\x9b31m"),
        ("\u202egnp.exe\u2028".encode(), r"\u202egnp.exe\u2028"),
        (b"\r overwritten", r"\r overwritten"),
        (b"caf\xc3", r"caf\xc3"),
        (b"\xff\xfe", r"\xff\xfe"),
        ("ünïcode ✓\t|".encode(), "ünïcode ✓\t|"),
        ("\U000e0041".encode(), r"\U000e0041"),
    ],
)
def test_control_characters_are_escaped(data: bytes, text: str) -> None:
    assert harmless(data) == text


def test_text_of_several_lines_keeps_the_last_and_escapes_each() -> None:
    assert harmless_lines("one\n\x1b[1mtwo\r") == "one\n\\x1b[1mtwo\\r"
    lines = harmless_lines("\n".join(map(str, range(1000)))).split("\n")
    assert (len(lines), lines[-1]) == (LINES_LIMIT, "999")
    assert harmless_lines("\udc80") == r"\udc80"


def test_lines_are_shown_under_the_name_when_they_are_whole(scene: Scene) -> None:
    scene.write(b"one\ntw")
    assert scene.shown == ["[signer] one"]
    scene.write(b"o\n\nlast")
    assert scene.shown == ["[signer] one", "[signer] two"]
    assert scene.end() == ["[signer] one", "[signer] two", "[signer] last"]


def test_character_in_two_pieces_is_put_together(scene: Scene) -> None:
    scene.write(b"\xe2\x9c")
    scene.write(b"\x93\n")
    assert scene.end() == ["[signer] ✓"]


def test_very_long_line_is_cut_with_a_mark_and_memory_stays_bounded(scene: Scene) -> None:
    for _ in range(3):
        scene.write(b"x" * READ_SIZE)
        assert len(scene.output._rest) <= LINE_LIMIT
    scene.write(b"\nnext\n")
    shown = scene.end()
    assert shown[0] == "[signer] " + "x" * LINE_LIMIT + "…"
    assert shown[-1] == "[signer] next"


def test_flood_loses_lines_and_says_how_many(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    line = b"y" * 99 + b"\n"
    count = BYTES_PER_SECOND // 100
    for _ in range(count + 20):
        scene.write(line)
    assert len(scene.shown) == count
    monkeypatch.setattr("time.monotonic", lambda: 1001.0)
    scene.write(b"calm\n")
    assert scene.end()[count:] == [
        "[signer] (20 lines lost: more than 65536 bytes a second)",
        "[signer] calm",
    ]


def test_lines_lost_at_the_end_are_told_too(scene: Scene) -> None:
    line = b"y" * 99 + b"\n"
    for _ in range(BYTES_PER_SECOND // 100 + 3):
        scene.write(line)
    assert scene.end()[-1] == "[signer] (3 lines lost: more than 65536 bytes a second)"


def test_empty_pipe_is_no_end_and_closed_pipe_is(scene: Scene) -> None:
    assert scene.output.read()
    os.close(scene.writing)
    assert not scene.output.read()
    scene.output.close()
    scene.output.close()


def test_close_shows_what_is_still_in_the_pipe_though_it_is_not_at_its_end(scene: Scene) -> None:
    os.write(scene.writing, b"one\ntwo\nthr")
    scene.output.close()
    assert scene.shown == ["[signer] one", "[signer] two", "[signer] thr"]
    os.close(scene.writing)
