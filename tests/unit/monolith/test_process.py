from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exclave.abi.control import DEFAULT_LISTENER
from exclave.monolith.process import (
    HOME,
    PASSED,
    STANDARD_PATH,
    Command,
    CommandError,
    environment,
    look_up,
    monolith_plan,
    network_of,
)
from exclave.nucleus.shell.plan import Kind, Network
from exclave.system.description import Description, Monolith
from exclave.system.description import Network as Granted
from support.descriptions import describe


def monolith(*command: str, **more: object) -> Monolith:
    return Monolith(command=command or ("python", "app.py"), program="/nonexistent", **more)  # type: ignore[arg-type]


def executable(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def no_active_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)


def virtual_environment(root: Path) -> Path:
    """What makes a directory a virtual environment of this interpreter (PEP 405)."""
    (root / "bin").mkdir(parents=True)
    (root / "pyvenv.cfg").write_text("")
    (root / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    return root / "bin" / "python"


def base() -> tuple[str, ...]:
    """The prefix of this interpreter, unless every monolith sees it anyway."""
    prefix = Path(sys.executable).resolve().parent.parent
    return () if prefix in (Path("/"), Path("/usr")) else (str(prefix),)


def test_command_is_looked_up_on_the_path_in_its_order(tmp_path: Path) -> None:
    second = executable(tmp_path / "b" / "tool")
    path = f"{tmp_path}/a:{tmp_path}/b"
    assert look_up(monolith("tool", "-x", "y"), tmp_path, path) == Command((str(second), "-x", "y"), ())
    first = executable(tmp_path / "a" / "tool")
    assert look_up(monolith("tool"), tmp_path, path).words == (str(first),)


def test_command_with_a_slash_is_relative_to_the_description(tmp_path: Path) -> None:
    executable(tmp_path / "bin" / "tool")
    assert look_up(monolith("bin/tool"), tmp_path, "").words == (f"{tmp_path}/bin/tool",)
    assert look_up(monolith("./bin/tool"), tmp_path, "").words == (f"{tmp_path}/bin/tool",)
    assert look_up(monolith(f"{tmp_path}/bin/tool"), Path("/"), "").words == (f"{tmp_path}/bin/tool",)


@pytest.mark.parametrize("command", ["tool", "./tool", "/nonexistent/tool", "."])
def test_missing_command_is_named_with_where_it_was_looked_for(tmp_path: Path, command: str) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises(CommandError, match="not found in ") as caught:
        look_up(monolith(command), tmp_path, str(tmp_path))
    assert str(caught.value).startswith(command)
    assert str(tmp_path) in str(caught.value)


def test_file_that_is_not_executable_is_not_found_on_the_path(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("")
    with pytest.raises(CommandError):
        look_up(monolith("tool"), tmp_path, str(tmp_path))


@pytest.mark.parametrize("name", ["python", "python3"])
def test_python_is_the_active_environments_else_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert look_up(monolith(name, "app.py"), tmp_path, "").words == (sys.executable, "app.py")
    python = virtual_environment(tmp_path / "env")
    (tmp_path / "env" / "bin" / "python3").symlink_to("python")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "env"))
    found = look_up(monolith(name, "app.py"), tmp_path, "")
    assert found.words == (str(python.with_name(name)), "app.py")
    assert found.places == (str(tmp_path / "env"), *base())


def test_script_of_an_environment_brings_that_environment(tmp_path: Path) -> None:
    python = virtual_environment(tmp_path / "env")
    script = executable(tmp_path / "env" / "bin" / "serve", f"#!{python}\nprint()\n")
    found = look_up(monolith(str(script)), tmp_path, "")
    assert found == Command((str(script),), (str(tmp_path / "env"), *base()))


@pytest.mark.parametrize(
    "line", ["#!/usr/bin/env python", "#!/usr/bin/env -S python -u", "#! /usr/bin/env python"]
)
def test_script_that_finds_its_python_on_the_path_brings_that_one(tmp_path: Path, line: str) -> None:
    virtual_environment(tmp_path / "env")
    script = executable(tmp_path / "serve", f"{line}\nprint()\n")
    found = look_up(monolith("./serve"), tmp_path, str(tmp_path / "env" / "bin"))
    assert found == Command((str(script),), (str(tmp_path / "env"), *base()))


@pytest.mark.parametrize(
    "text",
    ["#!/bin/sh\n", "#!\n", "", "#!/usr/bin/env\n", "#!/nonexistent/python\n", "\x7fELF", "#!" + "x" * 9000],
)
def test_script_of_anything_else_brings_nothing(tmp_path: Path, text: str) -> None:
    executable(tmp_path / "tool", text)
    assert look_up(monolith("./tool"), tmp_path, "").places == ()


@given(st.binary(max_size=80))
def test_any_file_can_be_the_command(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any-tool"
    path.write_bytes(b"#!" + data.replace(b"\0", b""))
    assert look_up(monolith(str(path)), path.parent, "").words == (str(path),)


def test_program_that_may_be_run_and_not_read_is_taken_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = executable(tmp_path / "tool")

    def refuse(*_arguments: object, **_more: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert look_up(monolith("./tool"), tmp_path, "") == Command((str(tool),), ())


OUTER = {name: f"<{name}>" for name in PASSED} | {
    "LC_ALL": "C.UTF-8",
    "AWS_SECRET_ACCESS_KEY": "no",
    "SSH_AUTH_SOCK": "no",
    "DBUS_SESSION_BUS_ADDRESS": "no",
    "XDG_RUNTIME_DIR": "no",
    "PYTHONPATH": "no",
    "LD_PRELOAD": "no",
    "HOME": "/elsewhere",
    "USER": "operator",
    "VIRTUAL_ENV": "no",
    "EXCLAVE_INLINE": "no",
    "EXCLAVE_SOCKET": "no",
    "DATABASE_URL": "db",
}


def test_environment_holds_only_what_is_allowed() -> None:
    assert environment(describe(), OUTER) == {
        **{name: f"<{name}>" for name in PASSED},
        "LC_ALL": "C.UTF-8",
        "HOME": HOME,
        "USER": "user",
        "LOGNAME": "user",
        "SHELL": "/bin/sh",
        "TMPDIR": "/tmp",
    }


def test_description_passes_and_sets_variables() -> None:
    table = monolith(environment={"MODE": "x", "HOME": "/srv"}, pass_environment=("DATABASE_URL", "ABSENT"))
    result = environment(describe(monolith=table), OUTER)
    assert result["DATABASE_URL"] == "db"
    assert result["MODE"] == "x"
    assert result["HOME"] == "/srv"
    assert "ABSENT" not in result
    assert "AWS_SECRET_ACCESS_KEY" not in result


def test_empty_environment_has_a_path() -> None:
    assert environment(describe(), {})["PATH"] == STANDARD_PATH


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=4), max_size=8))
def test_no_other_variable_ever_passes(outer: dict[str, str]) -> None:
    allowed = {*PASSED, "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR"}
    names = {name for name in environment(describe(), outer) if not name.startswith("LC_")}
    assert names <= allowed


@pytest.mark.parametrize(
    ("granted", "network"),
    [
        (Granted(), Network.none()),
        (Granted(anywhere=True), Network.all()),
        (Granted(listen=(8080,)), Network.tcp(listen=(8080,))),
        (Granted(listen=(80, 81), connect=(5432,)), Network.tcp(listen=(80, 81), connect=(5432,))),
    ],
)
def test_network_is_what_is_granted(granted: Granted, network: Network) -> None:
    assert network_of(monolith(network=granted)) == network


@pytest.fixture
def granted(tmp_path: Path) -> Description:
    for name in ("app", "data", "var", "elsewhere"):
        (tmp_path / name).mkdir()
    table = Monolith(
        command=("python",),
        program=str(tmp_path / "app"),
        read=(str(tmp_path / "data"),),
        write=(str(tmp_path / "var"),),
        devices=("/dev/fuse",),
        memory=1 << 30,
    )
    return describe(directory=str(tmp_path / "app"), monolith=table)


def test_plan_shows_what_is_granted_and_nothing_else_of_the_operators(
    granted: Description, tmp_path: Path
) -> None:
    plan = monolith_plan(granted, Command(("/bin/true",), ()), {"A": "b"}, None, {})
    own = {bind.target: bind.writable for bind in plan.binds if bind.target.startswith(str(tmp_path))}
    assert own == {str(tmp_path / "app"): False, str(tmp_path / "data"): False, str(tmp_path / "var"): True}
    assert [bind.target for bind in plan.binds if bind.writable] == [str(tmp_path / "var")]
    assert plan.kind is Kind.MONOLITH
    assert plan.cwd == granted.directory
    assert "/dev/fuse" in plan.devices
    assert plan.listener == DEFAULT_LISTENER
    assert plan.network == Network.none()
    assert plan.limits.memory == 1 << 30
    assert plan.env == {"A": "b"}
    hidden = ("/root", "/home", "/etc/shadow", "/run", "/var", "/proc", "/sys")
    assert [bind.source for bind in plan.binds if bind.source in hidden] == []


def test_plan_brings_the_places_of_the_command(granted: Description, tmp_path: Path) -> None:
    place = str(tmp_path / "elsewhere")
    plan = monolith_plan(granted, Command(("/bin/true",), (place,)), {}, None, {})
    assert place in {bind.target for bind in plan.binds}


def test_plan_without_a_view_has_its_connections_and_no_listener(granted: Description) -> None:
    plan = monolith_plan(granted, Command(("/bin/true",), ()), {}, granted.directory, {10: 0})
    assert plan.listener is None
    assert plan.fds == {10: 0}
    assert plan.directory == granted.directory


def test_first_process_is_our_own_module_in_an_isolated_interpreter(granted: Description) -> None:
    plan = monolith_plan(granted, Command(("/bin/true",), ()), {}, None, {})
    assert plan.argv[1:5] == ("-I", "-S", "-B", "-c")
    assert "exclave.monolith.init" in plan.argv[5]
    assert os.path.basename(plan.argv[0]).startswith("python")  # noqa: PTH119 - a path of the view
