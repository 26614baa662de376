from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exclave.abi import refusal
from exclave.abi.rights import READ
from exclave.nucleus.core import effect as effects
from exclave.nucleus.shell.audit import Audit, AuditError, read
from exclave.nucleus.shell.dispatch import (
    Dispatcher,
    NucleusBug,
    ReplayError,
    Sizes,
    measurement_hash,
    replay,
)
from exclave.nucleus.shell.distribution import distribute
from support.descriptions import rich

Entries = list[dict[str, Any]]


def boot(path: Path | None) -> Dispatcher:
    """A dispatcher after the boot of the rich description, with a refusal among its decisions."""
    layout = distribute(rich(), {"signer": b"\x80" * 32})
    dispatcher = Dispatcher(layout.sizes, Audit(path))
    for step in layout.steps:
        dispatcher.must(step.operation, *step.arguments, meaning=step.meaning)
    dispatcher.must("launch_conclave", layout.conclaves["payments"])
    for control in layout.control.values():
        dispatcher.must("start", control)
    row = layout.domains["monolith"]
    dispatcher.submit(row, "copy", layout.uses["monolith", "signer"].slot, layout.first_connection)
    dispatcher.submit(row, "copy", layout.uses["monolith", "signer"].slot, layout.first_connection)
    dispatcher.audit.write("end", state=dispatcher.digest(), code=0)
    return dispatcher


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Entries:
    """The entries of a real log."""
    path = tmp_path_factory.mktemp("logs") / "log"
    boot(path)
    return list(read(path))


def test_submit_runs_the_operation_and_logs_the_decision() -> None:
    dispatcher = Dispatcher(Sizes(3, 4, 4, 1, 1), Audit(None))
    assert dispatcher.submit(0, "create_domain", 1, 1, 1, 3) == refusal.OK
    assert dispatcher.is_live(0, 1)
    assert dispatcher.submit(0, "create_domain", 1, 1, 1, 3) == refusal.DELETE_FIRST
    assert dispatcher.audit.count == 3


def test_log_says_who_what_and_with_which_result(logged: Entries) -> None:
    decisions = [entry for entry in logged if entry["kind"] == "decision"]
    assert decisions[0]["op"] == "create_domain"
    assert decisions[0]["meaning"] == "create exclave signer"
    assert [entry["result"] for entry in decisions[-2:]] == ["OK", "DELETE_FIRST"]
    assert decisions[-1]["domain"] == 4
    assert {entry["result"] for entry in decisions[:-1]} == {"OK"}


def test_decision_that_cannot_be_logged_is_not_answered() -> None:
    dispatcher = Dispatcher(Sizes(3, 4, 4, 1, 1), Audit(None))
    dispatcher.audit._descriptor = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(AuditError, match="cannot write line 2: No space left on device"):
        dispatcher.submit(0, "create_domain", 1, 1, 1, 3)


def test_must_gives_the_effect_and_stops_on_a_refusal() -> None:
    dispatcher = Dispatcher(Sizes(3, 4, 4, 1, 1), Audit(None))
    dispatcher.must("create_domain", 1, 1, 1, 3)
    dispatcher.must("seal")
    assert dispatcher.must("start", 1)[:2] == (effects.EFFECT_START, 1)
    with pytest.raises(NucleusBug, match=r"start\(1,\) was refused: ILLEGAL_OPERATION"):
        dispatcher.must("start", 1)


def test_operation_of_another_domain_is_in_its_own_name() -> None:
    layout = distribute(rich(), {})
    dispatcher = Dispatcher(layout.sizes, Audit(None))
    for step in layout.steps:
        dispatcher.must(step.operation, *step.arguments)
    row = layout.domains["signer"]
    assert dispatcher.submit(row, "start", layout.control["nic"]) != refusal.OK
    assert dispatcher.state.caps[row][0].rights == READ


def test_measurement_hash_is_sha256_of_both() -> None:
    expected = hashlib.sha256(bytes(31) + b"\1" + b"\xff" * 32).digest()
    assert measurement_hash(1, 2**256 - 1) == int.from_bytes(expected, "big")


def test_replay_of_a_real_log_is_the_same(logged: Entries) -> None:
    assert replay(logged) == sum(entry["kind"] == "decision" for entry in logged)


def test_every_changed_decision_is_noticed(logged: Entries) -> None:
    for number, entry in enumerate(logged):
        if entry["kind"] != "decision":
            continue
        other = "OK" if entry["result"] != "OK" else "RANGE_ERROR"
        changed = [*logged[:number], entry | {"result": other}, *logged[number + 1 :]]
        with pytest.raises(ReplayError, match=f"line {entry['n']}: {entry['op']} was {other}"):
            replay(changed)


def test_every_left_out_decision_is_noticed(logged: Entries) -> None:
    """A refusal changes nothing, so that one is left out is for the hash chain to find."""
    for number, entry in enumerate(logged):
        if entry["kind"] == "decision" and entry["result"] == "OK":
            with pytest.raises(ReplayError):
                replay(logged[:number] + logged[number + 1 :])


def test_other_final_state_is_noticed(logged: Entries) -> None:
    with pytest.raises(ReplayError, match="the state at the end is not the logged one"):
        replay([*logged[:-1], logged[-1] | {"state": "0" * 64}])
    with pytest.raises(ReplayError, match="the state at the end is not the logged one"):
        replay([{"kind": "end", "n": 1}])


@pytest.mark.parametrize(
    "change",
    [
        {"op": "no_such"},
        {"op": 5},
        {"domain": -1},
        {"domain": 10**9},
        {"domain": "0"},
        {"args": None},
        {"args": ["1"]},
        {"args": [1.5]},
        {"args": []},
        {"result": 0},
        {"result": None},
    ],
)
def test_line_that_is_none_of_the_nucleus_is_a_replay_error(logged: Entries, change: dict[str, Any]) -> None:
    with pytest.raises(ReplayError, match="line 2: "):
        replay([logged[0], logged[1] | change])


@pytest.mark.parametrize(
    "sizes", [None, [], [1], [0, 1, 1, 1, 1], ["1"] * 5, [1] * 6, [10**6] * 5, [2**80, 1, 1, 1, 1], [-1] * 5]
)
def test_tables_that_are_none_of_the_nucleus_are_a_replay_error(sizes: object) -> None:
    with pytest.raises(ReplayError, match="line 1: "):
        replay([{"kind": "tables", "n": 1, "sizes": sizes}])


def test_decision_before_tables_and_second_tables_are_errors(logged: Entries) -> None:
    with pytest.raises(ReplayError, match="line 2: a decision before the tables"):
        replay(logged[1:])
    with pytest.raises(ReplayError, match="the tables a second time"):
        replay([logged[0], logged[0]])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "domain": JSON,
            "op": st.sampled_from(["seal", "start", "grant"]) | JSON,
            "args": st.lists(st.integers(-2, 9), max_size=6) | JSON,
            "result": st.just("OK") | JSON,
            "sizes": JSON,
        },
    ),
    st.sampled_from(["decision", "tables", "other"]),
)
def test_any_entry_replays_or_is_a_replay_error(entry: dict[str, Any], kind: str) -> None:
    before = {"kind": "tables", "n": 1, "sizes": [3, 4, 4, 1, 1]}
    try:
        assert replay([before, {**entry, "kind": kind, "n": 2}]) <= 1
    except ReplayError as error:
        assert str(error).startswith("line 2: ")  # noqa: PT017 - both outcomes are allowed
