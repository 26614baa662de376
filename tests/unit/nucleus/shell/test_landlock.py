"""Which rights a ruleset handles, by interface version, and that it holds in a real process."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from exclave.linux import calls
from exclave.nucleus.shell import landlock
from exclave.nucleus.shell.landlock import CHANGE, READ, Grant, handled, missing, restrict
from exclave.nucleus.shell.plan import Network

ABI = calls.landlock_abi()


@pytest.mark.parametrize(
    ("abi", "expected"),
    [
        (1, (0x1FFF,)),
        (2, (0x3FFF,)),
        (3, (0x7FFF,)),
        (4, (0x7FFF, 3)),
        (5, (0xFFFF, 3)),
        (6, (0xFFFF, 3, 3)),
        (7, (0xFFFF, 3, 3)),
    ],
)
def test_everything_that_a_version_knows_is_handled(abi: int, expected: tuple[int, ...]) -> None:
    assert handled(abi, Network.none()) == expected
    assert handled(abi, Network.all()) == (expected[0], *(0,) * (len(expected) > 1), *expected[2:])


def test_what_a_version_lacks_is_said() -> None:
    assert missing(7) == ()
    assert len(missing(1)) == 4


def test_no_grant_can_make_device_nodes() -> None:
    for make_node in (1 << 6, 1 << 11):
        assert not (CHANGE | READ | landlock.DEVICE) & make_node


def restricted(action: Callable[[], object], *grants: Grant, network: Network | None = None) -> int:
    """Run an action in a child under a ruleset; give its errno, or 0."""
    child = os.fork()
    if child == 0:
        code = 0
        try:
            calls.set_no_new_privs()
            restrict(ABI, list(grants), network or Network.none())
            action()
        except OSError as error:
            code = error.errno or 255
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_reading_and_changing(tmp_path: Path) -> None:
    for name in ("read", "write", "none"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    grants = (Grant(str(tmp_path / "read"), READ), Grant(str(tmp_path / "write"), READ | CHANGE))
    works: list[Callable[[], object]] = [
        (tmp_path / "read" / "file").read_text,
        (tmp_path / "write" / "file").read_text,
        lambda: (tmp_path / "write" / "new").write_text("x"),
        lambda: (tmp_path / "write" / "directory").mkdir(),
        lambda: (tmp_path / "write" / "file").unlink(),
    ]
    fails: list[Callable[[], object]] = [
        (tmp_path / "none" / "file").read_text,
        lambda: os.listdir(tmp_path / "none"),  # noqa: PTH208
        lambda: (tmp_path / "read" / "file").write_text("x"),
        lambda: (tmp_path / "read" / "file").unlink(),
        lambda: os.truncate(tmp_path / "read" / "file", 0),
        lambda: os.execv("/bin/true", ["true"]),
    ]
    for action in works:
        assert restricted(action, *grants) == 0
    for action in fails:
        assert restricted(action, *grants) == errno.EACCES
    (tmp_path / "read" / "file").write_text("without a ruleset this works")


@pytest.fixture
def port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_ports(port: int) -> None:
    def bind() -> None:
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("127.0.0.1", port))

    def connect() -> None:
        with socket.socket() as client:
            client.connect(("127.0.0.1", port))

    assert restricted(bind) == errno.EACCES
    assert restricted(bind, network=Network.tcp(listen=(port,))) == 0
    assert restricted(bind, network=Network.all()) == 0
    assert restricted(connect) == errno.EACCES
    assert restricted(connect, network=Network.tcp(connect=(port,))) == errno.ECONNREFUSED


def test_named_ports_on_an_old_kernel_are_an_error() -> None:
    with pytest.raises(OSError, match="interface 4") as caught:
        restrict(3, [], Network.tcp(listen=(80,)))
    assert caught.value.errno == errno.ENOTSUP
