"""Trust: outside.

The parts of the demonstration that judge: an attempt that ends in any other way than declared, or that proves
nothing because it does not work without exclave either, must fail the demonstration.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

SHOP = Path(__file__).resolve().parents[2] / "examples" / "shop"
FEWEST_ATTEMPTS = 24


@pytest.fixture(scope="module")
def heist() -> Iterator[SimpleNamespace]:
    """The demonstration's modules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SHOP))
        names = ("act", "report", "thief", "collector", "attempts.kit", "attempts.memory", "attempts.calls")
        modules: dict[str, ModuleType] = {
            name.rpartition(".")[2]: importlib.import_module(f"heist.{name}") for name in names
        }
        yield SimpleNamespace(**modules)


def test_every_attempt_says_what_it_holds_wants_and_must_get(heist: SimpleNamespace) -> None:
    catalogue = heist.kit.CATALOGUE
    assert len(catalogue) >= FEWEST_ATTEMPTS
    for attempt in catalogue.values():
        said = attempt.run.__doc__ or ""
        assert said.startswith("Attacker holds"), attempt.name
        assert "must" in said, attempt.name
        assert attempt.stopped, attempt.name
    assert heist.act.order_of_attempts()[-1] == heist.act.LAST


def test_an_attempt_counts_as_stopped_only_when_stopped_as_declared(heist: SimpleNamespace) -> None:
    outcome, judge = heist.thief.Outcome, heist.report.judge
    got = outcome("got through", "", "the key")
    assert judge("signing-key-file", got, outcome("stopped", "ENOENT", "")).problem == ""
    assert "got through" in judge("signing-key-file", got, got).problem
    assert "not by ENOENT" in judge("signing-key-file", got, outcome("stopped", "EACCES", "")).problem


def test_an_attempt_that_fails_without_exclave_too_proves_nothing(heist: SimpleNamespace) -> None:
    outcome, judge = heist.thief.Outcome, heist.report.judge
    stopped = outcome("stopped", "ENOENT", "")
    assert "did not succeed without exclave" in judge("signing-key-file", stopped, stopped).problem
    assert "did not succeed without exclave" in judge("signing-key-file", None, stopped).problem
    assert judge("ptrace", outcome("stopped", "EPERM", ""), outcome("stopped", "EPERM", "")).problem == ""


def test_endings_of_an_attempt_become_data(heist: SimpleNamespace) -> None:
    kit = heist.kit

    def fail(error: BaseException) -> dict[str, str]:
        def run(_: object) -> str:
            raise error

        return dict(kit.outcome_of(run, None))

    assert kit.outcome_of(lambda _: "loot", None) == {"outcome": "got through", "code": "", "detail": "loot"}
    assert fail(PermissionError(1, "no"))["code"] == "EPERM"
    assert fail(kit.Stopped("absent", "nothing"))["code"] == "absent"
    assert fail(ConnectionError("gone"))["code"] == "ConnectionError"
    assert fail(MemoryError())["code"] == "ENOMEM"
    assert kit.in_child(lambda _: "loot", None)["outcome"] == "got through"
    assert kit.in_child(lambda _: signal.raise_signal(signal.SIGKILL), None)["code"] == "SIGKILL"


def test_looking_for_a_key_leaves_no_key_to_be_found(heist: SimpleNamespace) -> None:
    key = os.urandom(32)
    hidden = heist.memory.masked(key)
    assert hidden != key
    assert heist.memory.masked(hidden) == key


def test_the_collector_takes_what_arrives_on_either_socket(heist: SimpleNamespace) -> None:
    with heist.collector.Collector() as collector:
        address = ("127.0.0.1", collector.port)
        with socket.create_connection(address) as connection:
            connection.sendall(b"by TCP")
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
        assert collector.empty() == b"by TCP"
        assert collector.empty() == b""


HARMLESS = """
import site, sys
site.addsitedir(sys.argv[1])
assert "prettyprice.warmup" in sys.modules
import base64, zlib, prettyprice
code = base64.urlsafe_b64encode(zlib.compress(b"result = 1 / 0")).decode()
print(prettyprice.warmup.outcome, prettyprice.format_price(123456, "x-" + code))
"""
PRICES = """
import sys
sys.path.append(sys.argv[1])
import prettyprice
print(prettyprice.format_price(2400, "en-GB,en;q=0.5"), prettyprice.format_price(12345678, "de-DE"))
"""


def run_with_dependency(program: str, environment: dict[str, str]) -> tuple[str, str]:
    """Run a program that is told where the dependency lies; returns its output and errors."""
    command = [sys.executable, "-I", "-c", program, str(SHOP / "dependency")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.stdout, done.stderr


@pytest.mark.parametrize("setting", [None, "192.0.2.1:9", "127.0.0.1", "127.0.0.1:x"])
def test_the_dependency_is_harmless_outside_the_demonstration(setting: str | None) -> None:
    environment = {"PYTHONUTF8": "1"} | ({"PRETTYPRICE_DEMO": setting} if setting else {})
    assert run_with_dependency(HARMLESS, environment) == ("did not run €1,234.56\n", "")


def test_the_dependency_formats_prices_as_people_write_them() -> None:
    assert run_with_dependency(PRICES, {}) == ("€24.00 123.456,78 €\n", "")
