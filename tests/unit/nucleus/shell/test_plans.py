from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from exclave.nucleus.shell.measure import Measured
from exclave.nucleus.shell.plan import Kind, Network, Plan
from exclave.nucleus.shell.plans import (
    COMPONENT,
    PACKAGES,
    SITE,
    exclave_plan,
    own_package,
    program,
    shared_binds,
)
from support.descriptions import driver, exclave

MEASURED = Measured({"signer.py": b"one", "pkg/x.py": b"two"}, {"nacl/__init__.py": b"three"}, bytes(32))


@pytest.fixture
def plan() -> Plan:
    return exclave_plan(exclave("signer"), MEASURED, 7, 8, None)


def test_exclave_sees_its_measured_bytes_at_their_places(plan: Plan) -> None:
    assert plan.files == {
        f"{COMPONENT}/signer.py": b"one",
        f"{COMPONENT}/pkg/x.py": b"two",
        f"{PACKAGES}/nacl/__init__.py": b"three",
    }


def test_exclave_has_nothing_of_the_host_but_interpreter_and_runtime(plan: Plan) -> None:
    assert plan.binds == shared_binds()
    assert not any(bind.writable for bind in plan.binds)
    own = {bind.target: bind.source for bind in plan.binds if bind.target.startswith("/exclave/")}
    assert own[f"{SITE}/exclave"] == str(own_package())
    assert set(own) == {f"{SITE}/exclave", f"{SITE}/msgspec"}
    assert [bind.source for bind in plan.binds if "site-packages" in Path(bind.target).parts] == []
    assert (plan.tmpfs, plan.devices, plan.proc, plan.pts) == ((), (), False, False)
    assert plan.network == Network.none()
    assert plan.listener is None
    assert plan.fds == {}
    assert plan.kind is Kind.EXCLAVE


def test_exclave_has_no_variable_of_the_operators(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/x")
    monkeypatch.setenv("TOKEN", "x")
    again = exclave_plan(exclave("signer"), MEASURED, 7, 8, None)
    assert again.env == plan.env == {"LANG": "C.UTF-8", "PATH": "/nonexistent"}


def test_output_goes_to_the_nucleus_and_input_is_empty(plan: Plan) -> None:
    assert plan.stdio == (8, 7, 7)


def test_limits_are_the_descriptions(plan: Plan) -> None:
    assert plan.limits.memory == 512 << 20
    assert plan.limits.processes == 16
    assert plan.hostname == plan.name == "signer"


def test_driver_has_its_devices() -> None:
    plan = exclave_plan(driver("nic"), MEASURED, 7, 8, None)
    assert plan.kind is Kind.DRIVER
    assert plan.devices == ("/dev/null",)


def test_tier_without_a_view_has_a_directory() -> None:
    assert exclave_plan(exclave("signer"), MEASURED, 7, 8, "/somewhere").directory == "/somewhere"


def test_program_runs_isolated_and_searches_the_given_places_last(tmp_path: Path) -> None:
    words = program(sys.executable, "json.tool", str(tmp_path / "a"), str(tmp_path / "b"))
    assert words[:5] == (sys.executable, "-I", "-S", "-B", "-c")
    package = tmp_path / "b" / "exclave"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "probe.py").write_text(
        "import sys\n\ndef main():\n    print(sys.path[-2:], sys.flags.no_site, sys.flags.isolated)\n"
    )
    # A standard name in one of the places is not what is imported.
    (tmp_path / "b" / "token.py").write_text("raise SystemExit(3)")
    words = program(sys.executable, "probe", str(tmp_path / "a"), str(tmp_path / "b"))
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={"PYTHONPATH": "/x"})
    assert done.stdout == f"{[str(tmp_path / 'a'), str(tmp_path / 'b')]} 1 1\n", done.stderr


def test_own_package_is_this_one() -> None:
    assert (own_package() / "nucleus" / "shell" / "plans.py").is_file()
    assert own_package().name == "exclave"
