"""The small system in each tier of confinement, as each user; a tier that is not offered is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from conftest import SystemWriter
from support.ordinary import CHECKOUT, IS_ROOT, User, both_users, popen_as, run_as
from support.systems import DESCRIPTION, System, small

APP = """
import os
print(signer.who(), flush=True)
print(echo.echo(bytes(200_000)) == bytes(200_000), flush=True)
input()
"""

ORDINARY: tuple[User, ...] = ("ordinary",)
ordinary_user = pytest.mark.parametrize("user", ORDINARY)


def tier_of(system: System, name: str) -> dict[str, object]:
    """Run the system at a tier; what `exclave status` says of it while it runs."""
    nucleus = popen_as(
        system.user,
        system.command("--tier", name),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=system.environment,
    )
    with nucleus:
        assert nucleus.stdout is not None
        lines = [nucleus.stdout.readline(), nucleus.stdout.readline()]
        if lines != ["monolith 3 6\n", "True\n"]:
            out, err = nucleus.communicate("\n")
            raise AssertionError(f"{lines} {out}\n{err}")
        asked = system.exclave("status", "--json", f"small-{nucleus.pid}")
        out, err = nucleus.communicate("\n")
        assert nucleus.returncode == 0, err
        assert out == ""
        status: dict[str, object] = json.loads(asked.stdout)
        return status


def layers(status: dict[str, object]) -> dict[str, set[str]]:
    """The layers of each domain, without the version of Landlock."""
    domains = status["domains"]
    assert isinstance(domains, list)
    return {
        entry["name"]: {"landlock" if "landlock" in layer else layer for layer in entry["layers"]}
        for entry in domains
    }


EVERYWHERE = {"no-new-privs", "no-capabilities", "limits", "not-dumpable"}


@both_users
@pytest.mark.parametrize(
    ("tier", "wanted"),
    [
        ("full", {"namespaces", "view", "landlock", "seccomp"}),
        ("no-landlock", {"namespaces", "view", "seccomp"}),
        ("no-seccomp", {"namespaces", "view"}),
    ],
)
def test_tier_with_namespaces_runs_answers_and_is_reported(
    user: User, write_system: SystemWriter, tier: str, wanted: set[str]
) -> None:
    status = tier_of(small(user, write_system, app=APP), tier)
    assert status["tier"] == tier
    for name, found in layers(status).items():
        assert found - {"distinct-uid"} == EVERYWHERE | wanted, name


@ordinary_user
@pytest.mark.parametrize(
    ("tier", "wanted"), [("no-userns", {"landlock", "seccomp"}), ("seccomp-only", {"seccomp"})]
)
def test_tier_without_namespaces_runs_answers_and_is_reported(
    user: User, write_system: SystemWriter, tier: str, wanted: set[str]
) -> None:
    status = tier_of(small(user, write_system, app=APP), tier)
    assert status["tier"] == tier
    for name, found in layers(status).items():
        assert found == EVERYWHERE | wanted, name


@ordinary_user
def test_monolith_of_no_userns_is_told_why_there_is_no_second_connection(
    user: User, write_system: SystemWriter
) -> None:
    app = """
import os
for name, kind in (("signer", Signer), ("echo", Echo)):
    try:
        exclave.connect(name, kind)
    except exclave.Refused as error:
        print(error)
for kind in (exclave.region, exclave.notification):
    try:
        kind("x")
    except exclave.Refused as error:
        print(error)
"""
    done = small(user, write_system, app=app).run("--tier", "no-userns")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith('IllegalOperation: the one connection to "signer" is taken')
    assert lines[1].startswith('IllegalOperation: the one connection to "echo" is taken')
    assert lines[2].startswith('IllegalOperation: this process cannot ask for the region "x"')
    assert lines[3].startswith('IllegalOperation: this process cannot ask for the notification "x"')


SYSTEM_PYTHON = Path("/usr/bin/python3")


def closed(path: Path) -> bool:
    """Whether users other than the owner cannot come to a path."""
    return not all(parent.stat().st_mode & 0o1 for parent in (path / "x").parents)


def public_python(system: System) -> list[str] | None:
    """A command of exclave for which only what others may read is needed; None when there is none here.

    In this tier root's domains have uids of their own and no view, so that nothing can be opened to them.
    """
    site = Path(msgspec.__file__).resolve().parents[1]
    same = f"import sys; sys.exit(sys.version_info[:2] != {tuple(sys.version_info[:2])})"
    if (
        not SYSTEM_PYTHON.exists()
        or subprocess.run([SYSTEM_PYTHON, "-c", same], check=False).returncode
        or any(map(closed, (CHECKOUT / "src", site)))
    ):
        return None
    system.environment = {"PYTHONPATH": f"{CHECKOUT / 'src'}:{site}"}
    grants = f"""environment = {{ PYTHONPATH = "{system.environment["PYTHONPATH"]}" }}\nread = ["{site}"]\n"""
    description = system.app / "exclave.toml"
    description.write_text(description.read_text() + grants)
    for directory in (system.root, system.app):
        directory.chmod(0o755)
    return [str(SYSTEM_PYTHON), *system.command("--tier", "no-userns")[1:]]


@pytest.mark.root
def test_root_in_no_userns_works_with_an_interpreter_that_others_may_read(
    write_system_of_root: System,
) -> None:
    system = write_system_of_root
    command = public_python(system)
    if command is None:
        print(
            f"not possible here: {SYSTEM_PYTHON} of this version, or this checkout open to others, is missing"
        )
        test_root_in_no_userns_is_refused_what_others_may_not_read(system)
        return
    done = run_as("root", command, env=system.environment, input="\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "monolith 3 6\nTrue\n"


@pytest.mark.root
def test_root_in_no_userns_is_refused_what_others_may_not_read(write_system_of_root: System) -> None:
    done = write_system_of_root.run("--tier", "no-userns", stdin="\n")
    assert done.returncode == 125
    assert "closed to other users" in done.stderr or "other users may not" in done.stderr
    assert "fix: let other users reach what the domain needs, or run as an ordinary user" in done.stderr
    assert done.stdout == ""


RESTARTED = """
import os
from exclave import Component, protected


class Echo(Component):
    @protected
    def echo(self, value: bytes) -> bytes:
        if value == b"end":
            os._exit(9)
        return value
"""


@ordinary_user
def test_exclave_without_a_view_is_restarted_in_a_fresh_directory(
    user: User, write_system: SystemWriter
) -> None:
    app = """
try:
    echo.echo(b"end")
except exclave.Revoked:
    print("revoked", flush=True)
input()
"""
    description = DESCRIPTION.replace('"echo:Echo"', '"echo:Echo"\nrestart = "always"')
    system = small(user, write_system, app=app, echo=RESTARTED, description=description)
    nucleus = popen_as(
        user,
        system.command("--tier", "no-userns"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with nucleus:
        assert nucleus.stdout is not None
        assert nucleus.stderr is not None
        assert nucleus.stdout.readline() == "revoked\n"
        said = iter(nucleus.stderr.readline, "")
        outcome = next(line for line in said if "serves again" in line or " failed with " in line)
        _, err = nucleus.communicate("\n")
    assert outcome == "exclave: echo serves again\n", err
    assert nucleus.returncode == 0, err


@pytest.fixture
def user() -> User:
    """For the fixtures of tests that are for root alone."""
    return "root" if IS_ROOT else "ordinary"


@pytest.fixture
def write_system_of_root(user: User, write_system: SystemWriter) -> System:
    """The small system as root's."""
    return small(user, write_system, app=APP)


@pytest.mark.root
def test_root_is_refused_seccomp_only(write_system_of_root: System) -> None:
    done = write_system_of_root.run("--tier", "seccomp-only")
    assert done.returncode == 77
    assert done.stdout == ""
    assert "seccomp-only" in done.stderr


@both_users
def test_unknown_tier_is_a_usage_error(user: User, write_system: SystemWriter) -> None:
    done = small(user, write_system, app=APP).run("--tier", "strongest")
    assert done.returncode == 2
    assert "'full', 'no-userns', 'no-landlock', 'seccomp-only', 'no-seccomp'" in done.stderr


@both_users
def test_tier_that_the_host_does_not_offer_is_refused(user: User, write_system: SystemWriter) -> None:
    """Inside a user namespace that may make no more of them, there is no tier with namespaces."""
    system = small(user, write_system, app=APP)
    limit = "/proc/sys/user/max_user_namespaces"
    words = " ".join(f"'{word}'" for word in system.command("--tier", "no-landlock"))
    script = f"echo 0 > {limit} && exec {words}"
    done = run_as(user, ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script])
    assert done.returncode == 77, done.stderr
    assert done.stdout == ""
    assert "no-landlock" in done.stderr
