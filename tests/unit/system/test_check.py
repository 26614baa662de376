from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from exclave.system.check import check
from exclave.system.containment import LINK_LIMIT, holds, links_followed, overlap
from exclave.system.errors import DescriptionError

Writer = Callable[[str], Path]

SYSTEM = '[system]\nname = "shop"\n'
MONOLITH = '\n[monolith]\ncommand = ["python", "app.py"]\n'
SIGNER = '\n[exclave.signer]\ncomponent = "signer:Signer"\n'


def causes(path: Path) -> list[str]:
    with pytest.raises(DescriptionError) as caught:
        check(path)
    return [problem.cause for problem in caught.value.problems]


def warnings(path: Path) -> list[str]:
    return [warning.cause for warning in check(path).warnings]


def test_good_description_has_no_warnings(write: Writer) -> None:
    checked = check(
        write(SYSTEM + SIGNER + MONOLITH + 'use = ["signer"]\nread = ["data"]\nwrite = ["var"]\n')
    )
    assert checked.warnings == ()
    assert checked.description is checked.source.description


def test_errors_of_different_tables_are_told_together(write: Writer) -> None:
    text = SYSTEM + SIGNER + 'use = ["clok"]\n' + MONOLITH + 'use = ["singer"]\nread = ["none"]\n'
    assert causes(write(text)) == [
        'there is no exclave or driver "clok"',
        'there is no exclave or driver "singer"',
        'the path "./none" of "read" does not exist',
    ]


def test_circles_that_do_not_touch_are_both_told(write: Writer) -> None:
    pairs = [("a", "b"), ("b", "a"), ("c", "d"), ("d", "c"), ("e", "a")]
    text = SYSTEM + MONOLITH
    for name, target in pairs:
        text += f'[exclave.{name}]\ncomponent = "signer:Signer"\nuse = ["{target}"]\n'
    assert causes(write(text)) == [
        "calls go in a circle: a uses b (line 8), b uses a (line 11)",
        "calls go in a circle: c uses d (line 14), d uses c (line 17)",
    ]


def test_a_diamond_of_calls_is_no_circle(write: Writer) -> None:
    text = SYSTEM + MONOLITH + 'use = ["a"]\n'
    for name, targets in (("a", '"b", "c"'), ("b", '"d"'), ("c", '"d"'), ("d", "")):
        text += f'[exclave.{name}]\ncomponent = "signer:Signer"\nuse = [{targets}]\n'
    assert check(write(text)).warnings == ()


def test_a_long_chain_of_calls_is_no_circle(write: Writer) -> None:
    text = SYSTEM + MONOLITH
    for number in range(256):
        use = f'"e{number + 1}"' if number < 255 else ""
        text += f'[exclave.e{number}]\ncomponent = "signer:Signer"\nuse = [{use}]\n'
    assert check(write(text)).warnings == ()


def test_sixty_signallers_fit(write: Writer) -> None:
    text = SYSTEM + MONOLITH + "[notification.n]\nsignal = ["
    text += ",".join(f'"e{number}"' for number in range(60)) + ']\nwait = "monolith"\n'
    text += "".join(f'[exclave.e{number}]\ncomponent = "signer:Signer"\n' for number in range(60))
    assert check(write(text)).warnings == ()


def test_default_secrets_directory_must_not_be_granted(
    write: Writer, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(shop / "data"))
    path = write(SYSTEM + SIGNER + 'secrets = ["key"]\n' + MONOLITH + 'program = "app.d"\nread = ["data"]\n')
    (shop / "app.d").mkdir()
    assert causes(path) == ['"read" lets the monolith read the secrets in "./data/exclave/shop/secrets"']


def test_default_secrets_directory_matters_only_with_secrets(
    write: Writer, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(shop / "data"))
    assert check(write(SYSTEM + SIGNER + MONOLITH)).warnings == ()


def test_credentials_directory_must_not_be_granted(
    write: Writer, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(shop / "var" / "credentials"))
    (shop / "app.d").mkdir()
    text = SYSTEM + SIGNER + 'secrets = ["key"]\n' + MONOLITH + 'program = "app.d"\nwrite = ["var"]\n'
    assert causes(write(text)) == ['"write" lets the monolith read the secrets in "./var/credentials"']


def test_secret_that_is_a_link_into_a_grant_is_found(
    write: Writer, tmp_path_factory: pytest.TempPathFactory, shop: Path
) -> None:
    secrets = tmp_path_factory.mktemp("secrets")
    (secrets / "signer").mkdir()
    (shop / "data" / "key").write_text("k")
    (secrets / "signer" / "key").symlink_to(shop / "data" / "key")
    (shop / "app.d").mkdir()
    system = f'{SYSTEM}secrets = "{secrets}"\n'
    text = system + SIGNER + 'secrets = ["key"]\n' + MONOLITH + 'program = "app.d"\n'
    assert warnings(write(text)) == ['the monolith is not given "app.py", which its command needs']
    assert causes(write(text + 'read = ["data"]\n')) == [
        f'"read" lets the monolith read the secrets in "{secrets}"'
    ]


def test_grant_that_is_a_link_to_the_secrets_is_found(
    write: Writer, tmp_path_factory: pytest.TempPathFactory, shop: Path
) -> None:
    secrets = tmp_path_factory.mktemp("secrets")
    (shop / "harmless").symlink_to(secrets)
    text = f'{SYSTEM}secrets = "{secrets}"\n' + MONOLITH + 'read = ["harmless"]\n'
    assert causes(write(text)) == [f'"read" lets the monolith read the secrets in "{secrets}"']


def test_lock_file_must_not_be_writable(write: Writer, shop: Path) -> None:
    (shop / "exclave.lock").write_text("")
    text = SYSTEM + MONOLITH + 'write = ["exclave.lock"]\n'
    assert causes(write(text)) == ['"write" lets the monolith change its lock file']


@pytest.mark.parametrize("prefix", sorted({os.path.realpath(sys.prefix), os.path.realpath(sys.base_prefix)}))
def test_python_must_not_be_writable(write: Writer, prefix: str) -> None:
    text = SYSTEM + MONOLITH + f'write = ["{prefix}"]\n'
    assert len(causes(write(text))) == 1
    assert causes(write(text))[0].startswith('"write" lets the monolith change the Python in ')


def test_root_of_the_file_system_is_no_grant(write: Writer) -> None:
    text = SYSTEM + SIGNER + 'secrets = ["key"]\n' + MONOLITH + 'write = ["/"]\n'
    found = causes(write(text))
    assert any("read the secrets" in cause for cause in found)
    assert any("change the description" in cause for cause in found)


@pytest.mark.parametrize("name", ["API_TOKEN", "AWS_SECRET_ACCESS_KEY", "db_password", "GOOGLE_CREDENTIALS"])
def test_variables_that_look_secret_are_warned_of(write: Writer, name: str) -> None:
    told = [f"{name} looks like a secret, and the monolith will know it"]
    assert warnings(write(SYSTEM + MONOLITH + f'pass_environment = ["{name}"]\n')) == told
    assert warnings(write(SYSTEM + MONOLITH + f'environment = {{ {name} = "x" }}\n')) == told


def test_warnings_about_the_command(write: Writer, shop: Path) -> None:
    for command, told in (
        ('"python", "none.py"', ['there is no "none.py" in the description\'s directory']),
        ('"exclave-no-such-command"', ['the command "exclave-no-such-command" is not on PATH']),
        ('"./none"', ['there is no "./none" in the description\'s directory']),
        ('"python", "-m", "http.server"', []),
        ('"/bin/sh"', []),
    ):
        assert warnings(write(f"{SYSTEM}[monolith]\ncommand = [{command}]\n")) == told


def test_region_without_sharers_is_warned_of(write: Writer) -> None:
    region = '[region.r]\nsize = "4K"\ntype = "SHARED_RW"\nowner = "signer"\n'
    assert warnings(write(SYSTEM + SIGNER + region + MONOLITH)) == [
        "[region.r] is SHARED_RW and shared with nobody"
    ]


def test_component_with_a_star_import_is_believed(write: Writer, shop: Path) -> None:
    (shop / "star.py").write_text("from signer import *\n")
    text = SYSTEM + SIGNER.replace("signer:Signer", "star:Signer") + MONOLITH
    assert check(write(text)).warnings == ()


def test_component_may_be_a_package(write: Writer, shop: Path) -> None:
    (shop / "keys" / "vault").mkdir(parents=True)
    (shop / "keys" / "vault" / "__init__.py").write_text("class Vault:\n    pass\n")
    text = SYSTEM + SIGNER.replace("signer:Signer", "keys.vault:Vault") + MONOLITH
    assert check(write(text)).warnings == ()


def test_link_that_the_monolith_could_have_made_is_refused(write: Writer, shop: Path) -> None:
    (shop / "data" / "private").mkdir()
    (shop / "var" / "cache").symlink_to(shop / "data" / "private")
    (shop / "cache").symlink_to("var/cache")
    text = SYSTEM + MONOLITH + 'write = ["var"]\n'
    for grant in ("./var/cache", "cache", "./var/cache/../private"):
        told = f'"{grant}" goes through the link "./var/cache", which the monolith can change'
        assert causes(write(f'{text}read = ["data", "{grant}"]\n')) == [told]


def test_link_outside_of_what_is_writable_is_fine(write: Writer, shop: Path) -> None:
    (shop / "prices").symlink_to("data")
    (shop / "state").symlink_to("var")
    assert check(write(SYSTEM + MONOLITH + 'read = ["prices"]\nwrite = ["state"]\n')).warnings == ()


def test_component_behind_a_link_that_the_monolith_can_change_is_refused(write: Writer, shop: Path) -> None:
    (shop / "var" / "plugin.py").symlink_to(shop / "signer.py")
    text = SYSTEM + SIGNER.replace("signer:Signer", "var.plugin:Signer") + MONOLITH + 'write = ["var"]\n'
    assert causes(write(text)) == [
        '"./var/plugin.py" goes through the link "./var/plugin.py", which the monolith can change',
        '"write" lets the monolith change the code of signer',
    ]


def test_circle_of_links_ends(write: Writer, shop: Path) -> None:
    (shop / "a").symlink_to("b")
    (shop / "b").symlink_to("a")
    assert causes(write(SYSTEM + MONOLITH + 'read = ["a"]\n')) == ['the path "./a" of "read" does not exist']
    assert len(links_followed(str(shop / "a"))) == LINK_LIMIT


def test_agent_socket_must_not_be_granted(write: Writer, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(shop / "var" / "agent"))
    told = f'"write" grants "./var": sockets in "{shop}/var/agent" act outside'
    (shop / "app.d").mkdir()
    assert causes(write(SYSTEM + MONOLITH + 'program = "app.d"\nwrite = ["var"]\n')) == [told]


def test_files_of_the_nucleus_must_not_be_granted(
    write: Writer, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(shop / "var"))
    (shop / "app.d").mkdir()
    told = f'"write" grants "./var", which holds the nucleus\'s own files in "{shop}/var/exclave"'
    assert causes(write(SYSTEM + MONOLITH + 'program = "app.d"\nwrite = ["var"]\n')) == [told]


def test_home_with_keys_is_warned_of(write: Writer, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = shop / "data"
    (home / ".ssh").mkdir()
    monkeypatch.setenv("HOME", str(home))
    (shop / "app.d").mkdir()
    text = '[system]\nname = "shop"\n\n[monolith]\ncommand = ["/bin/sh"]\nprogram = "app.d"\nread = ["var"]\n'
    assert warnings(write(text)) == []
    with_home = text.replace('["var"]', '["data/.ssh"]')
    assert warnings(write(with_home)) == [
        f'"read" grants "./data/.ssh", with the operator\'s own "{home}/.ssh"'
    ]


def test_holds_knows_the_same_directory_by_another_name(shop: Path) -> None:
    (shop / "data" / "deep").mkdir()
    (shop / "alias").symlink_to("data")
    assert holds(str(shop / "data"), str(shop / "data" / "deep"))
    assert holds(str(shop / "alias"), str(shop / "data" / "deep"))
    assert not holds(str(shop / "data" / "deep"), str(shop / "data"))
    assert not holds(str(shop / "da"), str(shop / "data"))
    assert holds("/", str(shop))
    assert overlap(str(shop / "data" / "deep"), str(shop / "data"))
    assert not overlap(str(shop / "var"), str(shop / "data"))
