"""Trust: outside.

The shop under exclave, as root and as an ordinary user: the whole demonstration, and the shop by itself.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from nacl.signing import VerifyKey

from support.ordinary import CHECKOUT, IS_ROOT, User, both_users, ordinary_user, popen_as, run_as

SHOP = CHECKOUT / "examples" / "shop"
PROGRAM = ("exclave.toml", "app.py", "book.py", "signer.py", "vault.py", "till.py")
DEMO_SECONDS = 110.0
START_SECONDS = 30.0
POLL_SECONDS = 0.05


@both_users
def test_the_demonstration_holds(user: User, user_directory: Path) -> None:
    done = run_as(
        user,
        [sys.executable, SHOP / "demo.py", "--json"],
        env={"TMPDIR": str(user_directory)},
        timeout=DEMO_SECONDS,
    )
    assert done.returncode == 0, done.stderr + done.stdout[-4000:]
    told = json.loads(done.stdout)
    assert (told["held"], told["problems"]) == (True, [])
    assert len(told["attempts"]) >= 24
    assert all(attempt["as_declared"] and not attempt["with"]["through"] for attempt in told["attempts"])
    stolen = {attempt["name"] for attempt in told["attempts"] if (attempt["without"] or {}).get("through")}
    assert {"startup-theft", "signing-key-file", "pepper-file", "pay-a-million", "forge-receipt"} <= stolen
    assert 0 < told["requests"]["served"] == told["requests"]["sent"]
    assert list(user_directory.iterdir()) == []
    assert processes_naming(user_directory) == []


@both_users
def test_the_demonstration_notices_a_hole(user: User, user_directory: Path) -> None:
    shop, room = user_directory / "shop", user_directory / "room"
    room.mkdir()
    shutil.copytree(SHOP, shop)
    description = shop / "exclave.toml"
    opened = description.read_text().replace("write   =", 'read    = ["../deploy.env"]\nwrite   =')
    description.write_text(opened)
    hand_over(user, user_directory)
    done = run_as(
        user, [sys.executable, shop / "demo.py", "--json"], env={"TMPDIR": str(room)}, timeout=DEMO_SECONDS
    )
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    through = {attempt["name"] for attempt in told["attempts"] if attempt["with"]["through"]}
    assert through == {"neighbour-file"}
    assert not told["held"]
    assert any("decoys or loot got out" in problem for problem in told["problems"])
    assert list(room.iterdir()) == []


def processes_naming(directory: Path) -> list[bytes]:
    """The command lines of processes that name a directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes())
    return [line for line in found if os.fsencode(directory) in line]


@contextmanager
def shop_of(user: User, directory: Path) -> Iterator[tuple[int, Path]]:
    """The shop, with an honest dependency, running under exclave: its port, and where its program lies."""
    program, port = directory / "shop", free_port()
    program.mkdir()
    for name in PROGRAM:
        shutil.copy(SHOP / name, program / name)
    shutil.copytree(SHOP / "dependency" / "prettyprice", program / "prettyprice")
    (program / "var").mkdir()
    description = program / "exclave.toml"
    description.write_text(description.read_text().replace("8780", str(port)))
    for secret in ("signer/signing-key", "vault/pepper"):
        path = directory / "secrets" / secret
        path.parent.mkdir(parents=True, mode=0o700)
        path.write_bytes(secrets.token_bytes(32))
        path.chmod(0o600)
    hand_over(user, directory)
    command: list[str | Path] = ["exclave", "run", "--secrets", directory / "secrets", description]
    with popen_as(
        user,
        command,
        cwd=program,
        env={"SHOP_PORT": str(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            wait_until_open(port, process)
            yield port, program
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=START_SECONDS)


def hand_over(user: User, directory: Path) -> None:
    """Give everything in a directory to the user."""
    if IS_ROOT and user == "ordinary":
        account = ordinary_user()
        for path in directory.rglob("*"):
            os.chown(path, account.uid, account.gid)


def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_until_open(port: int, process: subprocess.Popen[str]) -> None:
    """Wait until the shop answers, or fail with what it printed when it ends instead."""
    for _ in range(int(START_SECONDS / POLL_SECONDS)):
        try:
            assert ask(port, "GET", "/health")[0] == 200
        except ConnectionRefusedError:
            try:
                process.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            pytest.fail(f"the shop ended with {process.returncode}:\n{process.communicate()[0]}")
        return
    pytest.fail(f"the shop did not open within {START_SECONDS:.0f} s")


def ask(
    port: int, method: str, path: str, form: dict[str, str] | None = None, token: str = ""
) -> tuple[int, dict[str, Any]]:
    """Make one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    try:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request(method, path, urlencode(form) if form else None, headers)
        response = connection.getresponse()
        body = response.read()
        is_json = response.headers.get_content_type() == "application/json"
        return response.status, json.loads(body) if is_json else {"page": body.decode()}
    finally:
        connection.close()


@both_users
def test_the_shop_sells(user: User, user_directory: Path) -> None:
    with shop_of(user, user_directory) as (port, program):
        assert "teapot €24.00" in ask(port, "GET", "/")[1]["page"]
        alice = {"name": "alice", "password": "a long password"}
        assert ask(port, "POST", "/register", alice)[0] == 201
        assert ask(port, "POST", "/register", alice)[0] == 409
        assert ask(port, "POST", "/login", {**alice, "password": "another one"})[0] == 403
        status, session = ask(port, "POST", "/login", alice)
        assert status == 200
        token = session["token"]

        basket = {"item": "teapot", "quantity": "2"}
        assert ask(port, "POST", "/buy", basket)[0] == 403
        status, bought = ask(port, "POST", "/buy", basket, token)
        assert (status, bought["receipt"]) == (201, f"till: paid 4800 cents for order {bought['order']}")
        status, refused = ask(port, "POST", "/buy", {"item": "tea-house", "quantity": "1"}, token)
        assert (status, refused["error"]) == (402, "one payment is 1 to 50000 cents, this is 980000")

        status, receipt = ask(port, "GET", f"/receipt/{bought['order']}", token=token)
        key = VerifyKey(bytes.fromhex(ask(port, "GET", "/receipt-key")[1]["ed25519"]))
        key.verify(receipt["receipt"].encode(), bytes.fromhex(receipt["signature"]))
        assert ask(port, "GET", f"/receipt/{bought['order']}")[0] == 404
        assert ask(port, "GET", "/nowhere")[0] == 404
        assert (program / "var" / "shop.sqlite").stat().st_size > 0
