"""Outcomes: cached by content, and good only when all are good."""

from __future__ import annotations

from pathlib import Path

import pytest

from exclave.proofs import cache, pool
from exclave.proofs.cache import Cache
from exclave.proofs.report import Report, Wanted, all_theorems, prove, tasks
from exclave.proofs.source import home_of
from exclave.proofs.spec.theorems import THEOREMS
from exclave.proofs.tasks import Outcome, perform


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def outcome(result: str) -> Outcome:
    proof = {"operation": "seal", "theorem": "x", "group": "safety", "result": result, "seconds": 0.0}
    return Outcome(task="seal", kind="operation", seconds=0.0, theorems=[proof], counterexamples={}, paths=1)  # type: ignore[list-item]


def test_second_proof_comes_from_the_cache() -> None:
    first = prove(Wanted(operations=("seal",)))
    second = prove(Wanted(operations=("seal",)))
    assert first.good
    assert (first.taken, second.taken) == (0, 1)
    assert second.proofs == first.proofs
    assert prove(Wanted(operations=("seal",), cached=False)).taken == 0


def test_bad_outcomes_are_not_kept() -> None:
    store = Cache()
    store.put(outcome("failed"))
    store.save()
    assert Cache().get("operation", "seal") is None
    store.put(outcome("proved"))
    store.save()
    assert Cache().get("operation", "seal") == outcome("proved")


def test_cache_of_another_source_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Cache()
    store.put(outcome("proved"))
    store.save()
    monkeypatch.setattr(cache, "source_digest", lambda: "0" * 64)
    assert Cache().get("operation", "seal") is None


@pytest.mark.parametrize("content", ["", "[]", "{", '{"operation seal": 1}', '{"operation seal": {}}'])
def test_broken_cache_counts_as_absent(content: str) -> None:
    store = Cache()
    store.save()
    (file,) = cache.directory().iterdir()
    file.write_text(content)
    assert Cache().get("operation", "seal") is None


def test_one_failure_makes_the_report_bad() -> None:
    assert Report("", [outcome("proved")]).good
    assert not Report("", [outcome("proved"), outcome("unknown")]).good


def test_tasks_cover_every_operation() -> None:
    names = [name for kind, name in tasks(Wanted()) if kind == "operation"]
    assert names == list(home_of())
    assert ("base", "initial") in tasks(Wanted())
    assert len(tasks(Wanted(flow=True))) == 2 * len(names) + 1


def test_every_theorem_has_one_sentence() -> None:
    for name, (_, sentence) in all_theorems().items():
        assert sentence.endswith("."), name
        assert len(sentence) > 20, name
    assert len({one.name for one in THEOREMS}) == len(THEOREMS)


def test_dead_worker_is_no_result() -> None:
    with pytest.raises(pool.WorkerDied):
        list(pool.run([("operation", "no such operation", None, False)], 1))


def test_one_theorem_alone() -> None:
    found = perform("operation", "seal", "stage_never_goes_back")
    assert {one["theorem"] for one in found["theorems"]} == {"stage_never_goes_back"}
