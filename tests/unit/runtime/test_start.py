from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from exclave.abi import control
from exclave.abi.exceptions import Fault, Revoked
from exclave.abi.interface import Interface
from exclave.nucleus.shell.provision import send_secret
from exclave.runtime import place
from exclave.runtime.client import bind, close
from exclave.runtime.component import Component
from exclave.runtime.start import Closed, StartError, load, receive_all, receive_secret

Pair = tuple[socket.socket, socket.socket]

SIGNER = """
import sys
from exclave import Caller, Component, notification, protected, region


class Signer(Component):
    def init(self) -> None:
        print("init of", self.name)

    @protected
    def secret(self) -> bytes:
        return bytes(self.secrets["key"].view())

    @protected
    def who(self, caller: Caller, /) -> str:
        return f"{caller.name} {caller.badge} {caller.rights}"

    @protected
    def write(self) -> str:
        region("orders")[0:2] = b"ok"
        self.regions["orders"][2:4] = b"ay"
        notification("paid").signal()
        return ", ".join((*self.uses, *self.notifications))

    @protected
    def fail(self) -> None:
        raise LookupError("inner detail")

NotAComponent = int
"""


@pytest.fixture
def pair() -> Iterator[Pair]:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (one, other):
        end.settimeout(20)
    with one, other:
        yield one, other


@pytest.mark.parametrize("size", [1, 32 * 1024, 32 * 1024 + 1, 64 * 1024])
def test_secret_arrives_in_secret_memory_whole(pair: Pair, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    path = tmp_path / "key"
    path.write_bytes(data)
    path.chmod(0o600)
    send_secret(pair[0], "key", str(path))
    given, _ = control.expect(pair[1], control.GiveSecret)
    secret = receive_secret(pair[1], given)
    assert (secret.name, len(secret)) == ("key", size)
    assert bytes(secret.view()) == data


def test_secret_cut_short_is_the_end(pair: Pair) -> None:
    pair[0].send(b"half")
    pair[0].close()
    with pytest.raises(EOFError):
        receive_secret(pair[1], control.GiveSecret("key", 8))


def test_everything_handed_over_is_taken_until_begin(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"secret")
    path.chmod(0o600)
    ends = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(4)]
    memory = os.memfd_create("region")
    os.ftruncate(memory, 4096)
    send_secret(pair[0], "key", str(path))
    control.send(pair[0], control.GiveEndpoint("ledger", 2), (ends[0][0].fileno(),))
    control.send(pair[0], control.GiveRegion("orders", 4096, True), (memory,))
    control.send(pair[0], control.GiveNotification("paid", False, (4,)), (ends[1][0].fileno(),))
    waits = (ends[2][0].fileno(), ends[3][0].fileno())
    control.send(pair[0], control.GiveNotification("wake", True, (1, 2)), waits)
    control.send(pair[0], control.Begin())
    handed = place.Handed("signer")
    secrets = receive_all(pair[1], handed)
    assert bytes(secrets["key"].view()) == b"secret"
    assert control.receive(pair[0])[0] == control.Mapped("orders")
    handed.regions["orders"][0:2] = b"ok"
    assert os.pread(memory, 2, 0) == b"ok"
    assert handed.endpoints["ledger"][1] == 2
    assert [badge for _, badge in handed.waits["wake"]] == [1, 2]
    handed.signals["paid"].send(b"x")
    assert ends[1][1].recv(4) == b"x"
    waiting = [sock for sock, _ in handed.waits["wake"]]
    for sock in (handed.take_endpoint("ledger"), handed.signals["paid"], *waiting):
        assert not os.get_inheritable(sock.fileno())
        sock.close()
    os.close(memory)
    for end in ends:
        end[0].close()
        end[1].close()


@pytest.mark.parametrize("data", [b"junk", control.encode(control.Entered("x"))])
def test_anything_else_than_what_is_handed_over_is_an_error(pair: Pair, data: bytes) -> None:
    pair[0].send(data)
    with pytest.raises(ValueError, match=r"unexpected \w+ from the nucleus"):
        receive_all(pair[1], place.Handed("signer"))


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory on sys.path with a component's module."""
    (tmp_path / "start_signer.py").write_text(SIGNER)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("start_signer", None)


def test_component_is_loaded_by_module_and_class(module: Path) -> None:
    made = load("start_signer:Signer")
    assert isinstance(made, Component)
    assert type(made).__name__ == "Signer"


@pytest.mark.parametrize(
    ("component", "text"),
    [
        ("start_signer:Singer", r'no class "Singer" in the module "start_signer" \(.*start_signer\.py\)'),
        ("start_signer:sys", 'no class "sys"'),
        ("start_signer:NotAComponent", '"start_signer:NotAComponent" is not a subclass of exclave.Component'),
        ("sys:Signer", r'no class "Signer" in the module "sys" \(a built-in module\)'),
    ],
)
def test_class_that_is_not_there_or_no_component_is_named(module: Path, component: str, text: str) -> None:
    with pytest.raises(StartError, match=text):
        load(component)


def test_late_import_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [Closed()])
    sys.modules.pop("this_is_new", None)
    with pytest.raises(ImportError, match="this_is_new: an exclave that serves opens no files; import it at"):
        __import__("this_is_new")
    __import__("os")


RUN = """
import os, sys
os.dup2(int(sys.argv[2]), 3)
sys.path.insert(0, sys.argv[1])
from exclave.runtime.start import main
main()
"""
M = TypeVar("M", bound=control.ControlMessage)


class Domain:
    """The runtime in a process of its own, without filters, with this test as its nucleus."""

    def __init__(self, directory: Path, component: str) -> None:
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(30)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", RUN, str(directory), str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        control.send(self.sock, control.Configure("signer", component, b"", b"", 10.0))

    def expect(self, kind: type[M]) -> M:
        """The next message, of that kind."""
        message, _ = control.receive(self.sock)
        assert isinstance(message, kind), message
        return message

    def close(self) -> tuple[int, str, str]:
        """Close the control socket; exit code, output and errors."""
        self.sock.close()
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


Start = Callable[[str], Domain]


@pytest.fixture
def start(module: Path) -> Iterator[Start]:
    """Start a domain with a module of this text; whatever of it is left at the end is killed."""
    started: list[Domain] = []

    def starter(text: str) -> Domain:
        (module / "start_signer.py").write_text(text)
        started.append(Domain(module, "start_signer:Signer"))
        return started[-1]

    yield starter
    for domain in started:
        domain.process.kill()
        domain.sock.close()
        domain.process.communicate()


def test_domain_comes_up_serves_reports_and_ends_with_its_nucleus(start: Start, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"secret")
    key.chmod(0o600)
    memory = os.memfd_create("region")
    os.ftruncate(memory, 4096)
    ends = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(3)]
    domain = start(SIGNER)
    assert domain.expect(control.Entered).secret_memory in ("memfd_secret", "mlock")
    send_secret(domain.sock, "key", str(key))
    control.send(domain.sock, control.GiveEndpoint("ledger", 2), (ends[0][0].fileno(),))
    control.send(domain.sock, control.GiveRegion("orders", 4096, True), (memory,))
    assert domain.expect(control.Mapped).name == "orders"
    control.send(domain.sock, control.GiveNotification("paid", False, (1,)), (ends[1][0].fileno(),))
    control.send(domain.sock, control.Begin())
    kind = type(load("start_signer:Signer"))
    ready = domain.expect(control.Ready)
    assert ready == control.Ready(("fail", "secret", "who", "write"), Interface.of(kind).digest)

    control.send(domain.sock, control.Admit(7, "monolith", 3, 2), (ends[2][0].fileno(),))
    ends[2][0].close()
    client: Any = bind(ends[2][1], kind, target="signer", rights=2, timeout=30)
    assert client.secret() == b"secret"
    assert client.who() == "monolith 3 2"
    assert client.write() == "ledger, paid"
    assert os.pread(memory, 4, 0) == b"okay"
    assert ends[1][1].recv(4) == b"\1"
    with pytest.raises(Fault, match="LookupError") as caught:
        client.fail()
    assert "inner detail" not in str(caught.value)
    report = domain.expect(control.FaultReport)
    assert (report.method, report.kind) == ("fail", "LookupError")
    assert report.text.rstrip().endswith("inner detail")

    control.send(domain.sock, control.Withdraw(7))

    def call_on() -> None:
        while True:
            client.who()

    with pytest.raises(Revoked):
        call_on()
    close(client)
    code, out, err = domain.close()
    assert (code, err) == (0, "")
    assert out == "init of signer\n"
    os.close(memory)
    for pair in ends:
        for end in pair:
            end.close()


def test_client_that_leaves_is_reported(start: Start) -> None:
    domain = start(SIGNER)
    domain.expect(control.Entered)
    control.send(domain.sock, control.Begin())
    domain.expect(control.Ready)
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control.send(domain.sock, control.Admit(5, "monolith", 1, 6), (theirs.fileno(),))
    theirs.close()
    mine.close()
    assert domain.expect(control.Dropped) == control.Dropped(5, "closed")
    # An admission whose socket did not arrive is given back.
    control.send(domain.sock, control.Admit(6, "monolith", 1, 6))
    assert domain.expect(control.Dropped) == control.Dropped(6, "no free descriptor")
    assert domain.close()[0] == 0


@pytest.mark.parametrize(
    ("text", "stage", "kind"),
    [
        ("raise ValueError('at import')", "import", "ValueError"),
        ("syntax error", "import", "SyntaxError"),
        ("import not_there", "import", "ModuleNotFoundError"),
        ("x = 1", "import", "StartError"),
        ("import sys; sys.exit(3)", "import", "SystemExit"),
        (SIGNER.replace('print("init of", self.name)', "1 / 0"), "init", "ZeroDivisionError"),
        (SIGNER.replace("-> bytes", "-> object"), "import", "TypeError"),
    ],
)
def test_whatever_goes_wrong_is_told_with_its_stage(start: Start, text: str, stage: str, kind: str) -> None:
    domain = start(text)
    domain.expect(control.Entered)
    control.send(domain.sock, control.Begin())
    failed = domain.expect(control.Failed)
    assert (failed.stage, failed.kind) == (stage, kind)
    assert kind in failed.text
    with pytest.raises(EOFError):
        control.receive(domain.sock)
    assert domain.close()[0] == 1


def test_handing_over_something_else_is_told(start: Start) -> None:
    domain = start(SIGNER)
    domain.expect(control.Entered)
    domain.sock.send(b"junk")
    failed = domain.expect(control.Failed)
    assert (failed.stage, failed.kind) == ("handing over", "ValueError")
    assert domain.close()[0] == 1
