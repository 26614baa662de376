from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from exclave.abi.rights import GRANT, WRITE
from exclave.system.description import (
    DescriptionError,
    Network,
    Use,
    load,
    read,
    secret_candidates,
    secret_directories,
)

Writer = Callable[[str], Path]

MINIMAL = '[system]\nname = "shop"\n\n[monolith]\ncommand = ["python", "app.py"]\n'
SIGNER = '\n[exclave.signer]\ncomponent = "signer:Signer"\n'


def test_minimal_description_gets_the_defaults(write: Writer) -> None:
    path = write(MINIMAL + SIGNER)
    description = load(path)
    signer = description.exclaves["signer"]
    assert (signer.memory, signer.budget, signer.placement) == (512 << 20, 10.0, "exclave")
    assert (signer.secrets, signer.packages, signer.use) == ((), (), ())
    monolith = description.monolith
    assert monolith.command == ("python", "app.py")
    assert monolith.program == description.directory == os.path.realpath(path.parent)
    assert not monolith.network
    assert monolith.memory is None
    assert description.system.secrets is None
    assert description.digest == hashlib.sha256(path.read_bytes()).digest()
    assert description.lock == f"{description.directory}/exclave.lock"


def test_values_are_resolved(write: Writer) -> None:
    description = load(
        write(
            MINIMAL
            + 'read = ["./data", "/etc/hostname"]\nmemory = "1G"\nnetwork = { listen = [80] }\n'
            + SIGNER
            + 'memory = "64M"\nbudget = "250ms"\npackages = ["Typing_Extensions", "PyNaCl"]\n'
        )
    )
    assert description.monolith.read == (f"{description.directory}/data", "/etc/hostname")
    assert description.monolith.memory == 1 << 30
    assert description.monolith.network == Network(listen=(80,))
    signer = description.exclaves["signer"]
    assert (signer.memory, signer.budget) == (64 << 20, 0.25)
    assert signer.packages == ("typing-extensions", "pynacl")
    assert (signer.component.module, signer.component.attribute) == ("signer", "Signer")


def test_use_entries_become_rights(write: Writer) -> None:
    entries = 'use = ["a", { exclave = "b", rights = ["call"] }, { exclave = "c" }]\n'
    description = load(write(MINIMAL + entries))
    assert description.uses("monolith") == (
        Use(target="a", rights=WRITE | GRANT),
        Use(target="b", rights=WRITE),
        Use(target="c", rights=WRITE | GRANT),
    )


def test_paths_are_real(write: Writer, shop: Path) -> None:
    (shop / "link").symlink_to("data")
    description = load(write(MINIMAL + 'read = ["link", "../" ]\n'))
    assert description.monolith.read == (
        f"{description.directory}/data",
        str(Path(description.directory).parent),
    )


def test_relative_paths_start_from_the_real_directory(
    write: Writer, shop: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write(MINIMAL + 'read = ["data"]\n')
    link = tmp_path_factory.mktemp("elsewhere") / "exclave.toml"
    link.symlink_to(path)
    assert load(link).monolith.read == (os.path.realpath(shop / "data"),)


def test_components_and_domains_keep_the_order(write: Writer) -> None:
    tables = "".join(f'[{table}]\ncomponent = "m:C"\n' for table in ("driver.nic", "exclave.b", "exclave.a"))
    description = load(write(MINIMAL + tables))
    assert description.domains == ("b", "a", "nic", "monolith")
    assert list(description.components) == ["b", "a", "nic"]
    assert description.table("nic") == ("driver", "nic")
    with pytest.raises(KeyError):
        description.uses("nobody")


def test_all_problems_are_told_at_once(write: Writer) -> None:
    text = '[system]\nnam = "shop"\n[exclave.signer]\ncomponent = 1\nbudget = 2\n[monolith]\nuse = "x"\n'
    with pytest.raises(DescriptionError) as caught:
        load(write(text))
    assert [problem.line for problem in caught.value.problems] == [1, 2, 4, 5, 6, 7]


def test_at_most_twenty_problems_are_told(write: Writer) -> None:
    with pytest.raises(DescriptionError) as caught:
        load(write("\n".join(f"k{number} = 1" for number in range(100))))
    assert len(caught.value.problems) == 20
    assert [problem.line for problem in caught.value.problems[2:]] == list(range(1, 19))


def test_missing_file_is_an_error_without_line(shop: Path) -> None:
    with pytest.raises(DescriptionError) as caught:
        load(shop / "none.toml")
    assert caught.value.line == 0
    assert str(caught.value).startswith(f"{shop}/none.toml: the description does not exist\n  fix: ")


def test_directory_fifo_and_large_file_are_errors(shop: Path) -> None:
    os.mkfifo(shop / "fifo")
    (shop / "large").write_bytes(b"#" * ((1 << 20) + 1))
    for name, cause in (
        ("data", "the description is not a regular file"),
        ("fifo", "the description is not a regular file"),
        ("large", "the description is larger than 1 MiB"),
    ):
        with pytest.raises(DescriptionError) as caught:
            load(shop / name)
        assert caught.value.cause == cause


def test_path_with_null_byte_is_an_error() -> None:
    with pytest.raises(DescriptionError):
        load("exclave\x00.toml")


def test_quoted_text_cannot_drive_a_terminal(write: Writer) -> None:
    with pytest.raises(DescriptionError) as caught:
        load(write('"\\u001b[31m\\u009b" = 1\n' + MINIMAL))
    assert "\x1b" not in str(caught.value)
    assert "\x9b" not in str(caught.value)


def test_source_tells_lines(write: Writer) -> None:
    source = read(write(MINIMAL + SIGNER + 'use = [\n  "a",\n  "b",\n]\n'))
    assert source.line("exclave", "signer") == 7
    assert source.line("exclave", "signer", "use", 1) == 11
    assert source.position("exclave", "signer", "use", 1) == (11, 3)


def test_secrets_are_looked_for_in_credentials_first(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    description = load(write(MINIMAL))
    environment = {"CREDENTIALS_DIRECTORY": "/cred", "XDG_CONFIG_HOME": "/conf"}
    assert secret_candidates(description, "signer", "key", environment) == (
        "/cred/signer.key",
        "/conf/exclave/shop/secrets/signer/key",
    )
    assert secret_candidates(description, "signer", "key", {"HOME": "/h"}) == (
        "/h/.config/exclave/shop/secrets/signer/key",
    )


def test_secrets_of_root_are_in_etc(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert secret_directories(load(write(MINIMAL)), {}) == ("/etc/exclave/shop/secrets",)


def test_named_secrets_directory_is_the_only_one(write: Writer, shop: Path) -> None:
    description = load(write(MINIMAL.replace('"shop"\n', '"shop"\nsecrets = "keys"\n')))
    expected = os.path.realpath(shop / "keys")
    assert secret_directories(description, {"CREDENTIALS_DIRECTORY": "/cred"}) == (expected,)
    assert secret_candidates(description, "signer", "key", {}) == (f"{expected}/signer/key",)


def test_loading_imports_little() -> None:
    import subprocess
    import sys

    code = "import sys; import exclave.system.description; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"click", "rich", "difflib", "asyncio"} & set(loaded)
