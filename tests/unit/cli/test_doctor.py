from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result

from exclave.cli import doctor as subject
from exclave.cli.doctor import show, start_up_code
from exclave.nucleus.shell.probes import Probe
from exclave.nucleus.shell.tier import FLOOR, Host, Tier, probe

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def host() -> Host:
    """This machine."""
    return probe()


def test_json_has_the_tier_and_every_probe(run: Run, host: Host) -> None:
    result = run("doctor", "--json")
    answer = json.loads(result.stdout)
    assert set(answer) == {"tier", "accepted", "uid", "probes", "start_up_code"}
    assert answer["tier"] == (host.best.value if host.best else None)
    assert answer["accepted"] == (host.best in FLOOR)
    assert result.exit_code == (0 if answer["accepted"] else 77)
    assert [entry["name"] for entry in answer["probes"]] == [item.name for item in host.probes]
    for entry in answer["probes"]:
        assert set(entry) == {"name", "ok", "detail", "lost", "fix"}
        assert entry["ok"] == (entry["lost"] is None)


def test_text_has_a_line_for_every_probe_and_the_tier(run: Run, host: Host) -> None:
    lines = run("doctor").stdout.splitlines()
    for item in host.probes:
        mark = "ok     " if item.ok else "missing"
        assert any(line.startswith(f"{mark}  {item.name}") for line in lines)
    assert any(line.startswith(f"tier: {host.best.value if host.best else 'none'}") for line in lines)


def test_missing_layer_is_shown_with_what_is_lost_and_the_fix(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    item = Probe(name="landlock", ok=False, detail="ENOSYS", lost="files by rule", fix="use Linux 5.13")
    show(replace(host, best=None, probes=(item,)), [])
    out = capsys.readouterr().out
    assert out == (
        "missing  landlock  ENOSYS\n"
        "           lost: files by rule\n"
        "           fix:  use Linux 5.13\n"
        "tier: none  (below the floor: `exclave run` refuses unless --tier names it)\n"
    )


@pytest.mark.parametrize(
    ("tier", "code"),
    [
        (Tier.FULL, 0),
        (Tier.NO_USERNS, 0),
        (Tier.NO_LANDLOCK, 0),
        (Tier.SECCOMP_ONLY, 77),
        (Tier.NO_SECCOMP, 77),
        (None, 77),
    ],
)
def test_exit_code_says_whether_the_tier_is_accepted(
    run: Run, host: Host, monkeypatch: pytest.MonkeyPatch, tier: Tier | None, code: int
) -> None:
    monkeypatch.setattr(subject, "probe", lambda: replace(host, best=tier))
    assert run("doctor").exit_code == code


def test_code_that_runs_at_every_start_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, user = tmp_path / "site", tmp_path / "user"
    for directory in (site, user):
        directory.mkdir()
    (site / "harmless.pth").write_text("/some/where\n# import nothing\nimportant\n")
    (site / "evil.pth").write_text("/some/where\nimport evil\n")
    (site / "tab.pth").write_text("import\tevil\n")
    (site / "bytes.pth").write_bytes(b"\xff\xfe\nimport x\n")
    (site / "sitecustomize.py").write_text("")
    (user / "usercustomize.py").write_text("")
    monkeypatch.setattr("site.getsitepackages", lambda: [str(site), str(tmp_path / "missing")])
    monkeypatch.setattr("site.getusersitepackages", lambda: str(user))
    monkeypatch.setattr("site.ENABLE_USER_SITE", False)
    expected = ["bytes.pth", "evil.pth", "tab.pth", "sitecustomize.py"]
    assert start_up_code() == [str(site / name) for name in expected]
    monkeypatch.setattr("site.ENABLE_USER_SITE", True)
    assert start_up_code()[-1] == str(user / "usercustomize.py")


def test_code_that_runs_at_every_start_is_shown(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    show(host, ["/x/evil.pth"])
    out = capsys.readouterr().out
    assert "note: /x/evil.pth runs code at every start of this environment, the nucleus included" in out
    assert "install exclave in an environment of its own" in out
    show(host, [])
    assert "note:" not in capsys.readouterr().out


def test_wrong_use_exits_2(run: Run) -> None:
    assert run("doctor", "more").exit_code == 2
