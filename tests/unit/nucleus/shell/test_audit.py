from __future__ import annotations

import resource
import stat
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exclave.nucleus.shell.audit import GENESIS, LINE_LIMIT, Audit, AuditError, chain, read
from support.descriptors import open_descriptors


def write_three(path: Path) -> Audit:
    log = Audit(path)
    log.write("tables", sizes=[2, 3, 4, 5, 6])
    log.write("decision", domain=0, op="seal", args=[], result="OK")
    log.write("fault", domain="signer", reason="exited with 1")
    log.close()
    return log


def test_log_reads_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = write_three(path)
    entries = list(read(path))
    assert [entry["kind"] for entry in entries] == ["tables", "decision", "fault"]
    assert [entry["n"] for entry in entries] == [1, 2, 3]
    assert entries[0]["chain"] == GENESIS
    assert entries[2]["reason"] == "exited with 1"
    assert log.head == chain(path.read_bytes().splitlines(keepends=True)[2])
    assert log.size == path.stat().st_size


def test_new_log_is_the_operators_alone_and_replaces_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write_three(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(AuditError, match="cannot be created: File exists"):
        Audit(path)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AuditError, match="cannot be created"):
        Audit(link)
    with pytest.raises(AuditError, match="No such file"):
        Audit(tmp_path / "missing" / "log")


def test_every_changed_byte_is_noticed_but_for_a_readable_change_of_the_last_line(tmp_path: Path) -> None:
    """The chain guarantees each line by the next one; the last has none, only its form is checked."""
    path = tmp_path / "log"
    write_three(path)
    good = path.read_bytes()
    last = good.rindex(b"\n", 0, -1) + 1
    unnoticed = []
    for position in range(len(good)):
        path.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        try:
            list(read(path))
        except AuditError:
            continue
        unnoticed.append(position)
    assert all(position >= last for position in unnoticed)
    # The limit of the promise: in the last line a word can be changed.
    path.write_bytes(good.replace(b"exited with 1", b"exited with 2"))
    assert list(read(path))[2]["reason"] == "exited with 2"


def test_lines_that_are_cut_out_swapped_or_doubled_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write_three(path)
    one, two, three = path.read_bytes().splitlines(keepends=True)
    for lines in ([two, three], [one, three], [two, one, three], [one, two, two, three], [one, one]):
        path.write_bytes(b"".join(lines))
        with pytest.raises(AuditError, match="does not follow the line before it"):
            list(read(path))


def test_last_lines_cut_off_are_noticed_by_the_last_hash_only(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = write_three(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]))
    assert len(list(read(path))) == 2
    assert chain(lines[1]) != log.head


@given(st.binary(max_size=300))
def test_any_bytes_are_an_audit_error_at_line_1(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    path.write_bytes(data or b"\n")
    with pytest.raises(AuditError, match=r"fuzzed:1: "):
        list(read(path))


@given(st.dictionaries(st.text(max_size=8), st.none() | st.integers() | st.floats() | st.text(), max_size=4))
def test_line_with_the_right_chain_and_any_fields_is_an_entry_or_an_audit_error(
    tmp_path_factory: pytest.TempPathFactory, fields: dict[str, object]
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    path.write_bytes(msgspec.json.encode(fields | {"n": 1, "chain": GENESIS}) + b"\n")
    try:
        (entry,) = read(path)
    except AuditError:
        assert "kind" not in fields or "time" not in fields
    else:
        assert isinstance(entry["kind"], str)


@pytest.mark.parametrize(
    "line",
    [
        b'{"n":1,"chain":"%s"}\n' % GENESIS.encode(),
        b'{"n":1,"chain":"%s","kind":5,"time":0}\n' % GENESIS.encode(),
        b'{"n":1,"chain":"%s","kind":"x","time":1e300}\n' % GENESIS.encode(),
        b'{"n":1,"chain":"%s","kind":"x","time":0}' % GENESIS.encode(),
        b"[" * 5000 + b"\n",
        b'{"a":' * 5000 + b"\n",
        b'"\xff"\n',
        b"x" * (LINE_LIMIT + 1) + b"\n",
        b"\n",
    ],
)
def test_malformed_line_is_an_audit_error(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(line)
    with pytest.raises(AuditError, match=r"log:1: "):
        list(read(path))


def test_line_that_would_be_too_long_is_cut_and_can_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Audit(path)
    log.write("ready", methods=tuple("m" * 900 for _ in range(500)), digest="d" * 100_000, domain="signer")
    log.write("fault", reason="\x01" * 100_000)
    log.write("end")
    entries = list(read(path))
    assert [entry["kind"] for entry in entries] == ["ready", "fault", "end"]
    assert entries[0]["domain"] == "signer"
    assert entries[0]["digest"].endswith("…")
    assert entries[0]["methods"][-1] == "…"


def test_log_that_cannot_be_written_raises_once_and_is_closed(tmp_path: Path) -> None:
    log = Audit(tmp_path / "log")
    log.write("first")
    before = len(open_descriptors())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.size + 10, hard))
    try:
        with pytest.raises(AuditError, match="line 2 was cut short: the disk is full"):
            log.write("second")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(open_descriptors()) == before - 1
    head = log.head
    log.write("third")
    assert log.head != head
    with pytest.raises(AuditError, match="log:2: the line is cut short"):
        list(read(tmp_path / "log"))


def test_log_without_a_file_keeps_the_chain() -> None:
    log = Audit(None)
    log.write("first")
    assert log.head != GENESIS
    assert log.count == 1
    log.close()
