from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from exclave.cli.log import newest, sentence
from exclave.nucleus.shell.audit import GENESIS, Audit, AuditError, read
from exclave.nucleus.shell.dispatch import Dispatcher
from exclave.nucleus.shell.distribution import distribute
from support.descriptions import rich

Run = Callable[..., Result]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where logs are kept."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "exclave"


def write(path: Path) -> int:
    """Write a log of a boot; the number of its decisions."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for directory in (path.parent, path.parent.parent):
        directory.chmod(0o700)
    layout = distribute(rich(), {})
    dispatcher = Dispatcher(layout.sizes, Audit(path))
    for step in layout.steps:
        dispatcher.must(step.operation, *step.arguments, meaning=step.meaning)
    dispatcher.audit.write("fault", domain="signer", code=1, reason="exited with 1")
    dispatcher.audit.write("end", state=dispatcher.digest(), code=0)
    dispatcher.audit.close()
    return len(layout.steps)


def test_newest_log_is_shown_in_words(state: Path, run: Run) -> None:
    write(state / "shop" / "20260101T000000Z-1.jsonl")
    (state / "shop" / "20250101T000000Z-1.jsonl").write_text("old and broken")
    result = run("log", "shop")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("     1 ")
    assert lines[0].endswith(" tables  sizes=" + lines[0].rpartition("sizes=")[2])
    assert lines[1].endswith(" domain 0: create exclave signer: OK")
    assert lines[-2].endswith(" fault signer code=1, reason=exited with 1")


def test_log_of_any_system_or_of_a_file_is_found(
    state: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(state / "shop" / "20260101T000000Z-1.jsonl")
    write(state / "bank" / "20260102T000000Z-1.jsonl")
    assert newest(None).parent.name == "bank"
    assert newest("shop").parent.name == "shop"
    path = state / "shop" / "20260101T000000Z-1.jsonl"
    assert run("log", str(path)).exit_code == 0
    monkeypatch.chdir(path.parent)
    assert run("log", path.name).exit_code == 0
    with pytest.raises(AuditError, match="no log of other in "):
        newest("other")


def test_json_is_one_entry_in_each_line(state: Path, run: Run) -> None:
    path = state / "shop" / "20260101T000000Z-1.jsonl"
    write(path)
    result = run("log", "--json")
    assert [json.loads(line) for line in result.stdout.splitlines()] == list(read(path))


def test_replay_counts_the_decisions(state: Path, run: Run) -> None:
    path = state / "shop" / "20260101T000000Z-1.jsonl"
    count = write(path)
    result = run("log", "--replay")
    assert result.exit_code == 0
    assert result.stdout == f"{path}: {count} decisions replayed, all the same\n"
    answer = json.loads(run("log", "--replay", "--json").stdout)
    assert answer == {"log": str(path), "decisions": count, "same": True}


def rechained(path: Path, change: Callable[[str], str]) -> None:
    """Rewrite a log with one text changed and the chain made right again, as whoever may write it can."""
    head, lines = GENESIS, []
    audit = Audit(None)
    for entry in read(path):
        fields = json.loads(change(json.dumps(entry)))
        lines.append(msgspec.json.encode(fields | {"chain": head}) + b"\n")
        head = __import__("hashlib").sha256(lines[-1]).hexdigest()[:32]
    audit.close()
    path.write_bytes(b"".join(lines))


def test_changed_line_is_told_and_exits_125(state: Path, run: Run) -> None:
    path = state / "shop" / "20260101T000000Z-1.jsonl"
    write(path)
    path.write_bytes(path.read_bytes().replace(b"create exclave signer", b"create exclave singer"))
    for arguments in ((), ("--replay",), ("--json",)):
        result = run("log", *arguments)
        assert result.exit_code == 125
        assert result.stderr == (
            f"exclave: {path}:3: does not follow the line before it: the log was changed\n"
        )


def test_changed_decision_with_a_right_chain_is_told_by_the_replay(state: Path, run: Run) -> None:
    path = state / "shop" / "20260101T000000Z-1.jsonl"
    write(path)
    rechained(
        path,
        lambda text: text.replace(
            '"seal", "args": [], "result": "OK"', '"seal", "args": [], "result": "\\u001b"'
        ),
    )
    assert run("log").exit_code == 0
    result = run("log", "--replay")
    assert result.exit_code == 125
    assert r"seal was \x1b, the core says OK" in result.stderr


@pytest.mark.parametrize("arguments", [(), ("other",), ("/nonexistent/log",), ("--replay", "./none")])
def test_missing_log_exits_125(state: Path, run: Run, arguments: tuple[str, ...]) -> None:
    result = run("log", *arguments)
    assert result.exit_code == 125
    assert result.stderr.startswith("exclave: ")
    assert result.stdout == ""


def test_text_that_a_domain_chose_does_not_reach_the_terminal_as_it_is() -> None:
    entry = {"n": 7, "time": 0.0, "kind": "denied", "domain": "monolith", "asked": "\x1b]0;x\x07\x9b31m"}
    assert sentence(entry) == r"     7 00:00:00 denied monolith asked=\x1b]0;x\x07\x9b31m"


@given(
    st.dictionaries(
        st.sampled_from(["domain", "op", "args", "result", "meaning", "other"]),
        st.none() | st.integers() | st.text() | st.lists(st.integers() | st.text()),
    ),
    st.sampled_from(["decision", "fault", "x\n"]),
    st.floats(0, 2**38 - 1) | st.integers(0, 2**38 - 1),
)
def test_any_entry_is_one_printable_line(fields: dict[str, object], kind: str, moment: float) -> None:
    assert sentence({**fields, "n": 1, "kind": kind, "time": moment}).isprintable()
