"""`exclave run` from outside: exit codes, what a monolith gets, and that nothing is left behind."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import select
import signal
import subprocess
from pathlib import Path

from conftest import SystemWriter
from support.ordinary import User, both_users, popen_as
from support.systems import DESCRIPTION, SIGNER, small


def processes_of(root: Path) -> list[str]:
    """Command lines of live processes whose working directory or arguments lie below a directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                where = str((entry / "cwd").readlink())
            except OSError:
                continue
            if str(root) in line or where.startswith(str(root)):
                found.append(line)
    return found


@both_users
def test_monolith_exit_code_passes_through_and_no_process_is_left(
    user: User, write_system: SystemWriter
) -> None:
    system = small(user, write_system, app="import sys; sys.exit(7)")
    done = system.run()
    assert done.returncode == 7, done.stderr
    assert processes_of(system.root) == []


@both_users
def test_monolith_killed_by_a_signal_gives_the_shells_code(user: User, write_system: SystemWriter) -> None:
    done = small(user, write_system, app="import os; os.kill(os.getpid(), 15)").run()
    assert done.returncode == 128 + 15, done.stderr


@both_users
def test_calls_declared_errors_and_badges(user: User, write_system: SystemWriter) -> None:
    app = """
import json, sys
big = bytes(1_000_000)
print(json.dumps({
    "signature": signer.sign(b"order").hex(),
    "who": signer.who(),
    "big": echo.echo(big) == big,
}))
try:
    signer.short(b"12345")
except TooLong as error:
    print(json.dumps({"too_long": error.args[0]}))
"""
    done = small(user, write_system, app=app).run()
    assert done.returncode == 0, done.stderr
    first, second = map(json.loads, done.stdout.splitlines())
    expected = hmac.new(b"a secret of the signer, thirty-four", b"order", hashlib.sha256).hexdigest()
    assert first == {"signature": expected, "who": "monolith 3 6", "big": True}
    assert second == {"too_long": 5}


@both_users
def test_monolith_sees_only_what_it_was_granted(user: User, write_system: SystemWriter) -> None:
    app = """
import os
def attempt(action):
    try:
        return action() or "worked"
    except OSError as error:
        return type(error).__name__
here = os.getcwd()
print(attempt(lambda: open(here + "/../keys/key").read()))
print(attempt(lambda: open(here + "/new", "w")))
print(attempt(lambda: open("/etc/shadow").read()))
print(os.environ.get("SECRET_TOKEN"), os.getuid(), sorted(os.listdir("/home")))
open("/tmp/scratch", "w").write("ok")
"""
    system = small(user, write_system, app=app)
    system.environment = {"SECRET_TOKEN": "x"}
    done = system.run()
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "FileNotFoundError"
    assert lines[1] == "OSError"
    assert lines[2] == "FileNotFoundError"
    assert lines[3] == "None 1000 ['user']"
    assert not Path("/tmp/scratch").exists()


@both_users
def test_write_grant_lands_on_the_host_as_the_operators(user: User, write_system: SystemWriter) -> None:
    description = DESCRIPTION + 'write = ["./var"]\n'
    system = small(
        user, write_system, app='import os; open("var/out", "w").write("hello")', description=description
    )
    (system.app / "var").mkdir()
    owner = system.app.stat()
    os.chown(system.app / "var", owner.st_uid, owner.st_gid)
    done = system.run()
    assert done.returncode == 0, done.stderr
    written = system.app / "var" / "out"
    assert written.read_text() == "hello"
    assert written.stat().st_uid == owner.st_uid


@both_users
def test_unused_exclave_is_refused_with_the_line_that_would_allow_it(
    user: User, write_system: SystemWriter
) -> None:
    description = DESCRIPTION.replace('use = ["signer", "echo"]', 'use = ["echo"]')
    app = """
import exclave
from signer import Signer
try:
    exclave.connect("signer", Signer)
except exclave.Refused as error:
    print(error.code, error.text)
"""
    done = small(user, write_system, app=app, description=description).run()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('FAILED_LOOKUP the monolith may not use "signer"')
    assert "[monolith] use" in done.stdout


@both_users
def test_forks_and_threads_have_connections_of_their_own(user: User, write_system: SystemWriter) -> None:
    app = """
import os, threading
wrong = []
def work(tag):
    for number in range(50):
        value = b"%d-%d" % (tag, number)
        if echo.echo(value) != value:
            wrong.append(value)
threads = [threading.Thread(target=work, args=(tag,)) for tag in range(4)]
for thread in threads: thread.start()
children = []
for tag in range(100, 104):
    pid = os.fork()
    if pid == 0:
        work(tag)
        os._exit(len(wrong))
    children.append(pid)
for thread in threads: thread.join()
print([os.waitpid(pid, 0)[1] for pid in children], wrong)
"""
    done = small(user, write_system, app=app).run()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[0, 0, 0, 0] []\n"


@both_users
def test_asyncio_client(user: User, write_system: SystemWriter) -> None:
    app = """
import asyncio
import exclave.aio
from echo import Echo

async def main() -> None:
    echo = await exclave.aio.connect("echo", Echo)
    print(await asyncio.gather(*(echo.call(Echo.echo, b"%d" % n) for n in range(5))))

asyncio.run(main())
"""
    done = small(user, write_system, app=app).run()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[b'0', b'1', b'2', b'3', b'4']\n"


@both_users
def test_exclaves_call_each_other_under_their_own_badge(user: User, write_system: SystemWriter) -> None:
    description = DESCRIPTION.replace('component = "echo:Echo"', 'component = "echo:Echo"\nuse = ["signer"]')
    echo = """
import exclave
from exclave import Component, protected
from signer import Signer

class Echo(Component):
    def init(self) -> None:
        self.signer = exclave.connect("signer", Signer)

    @protected
    def echo(self, value: bytes) -> bytes:
        return self.signer.who().encode()
"""
    done = small(user, write_system, app="print(echo.echo(b''))", echo=echo, description=description).run()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "b'echo 2 6'\n"


@both_users
def test_secret_from_standard_input(user: User, write_system: SystemWriter) -> None:
    system = small(user, write_system, app='print(signer.sign(b"x").hex())')
    done = system.run("--secret", "signer.key=-", secrets=False, stdin="from the keyboard")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == hmac.new(b"from the keyboard", b"x", hashlib.sha256).hexdigest()


@both_users
def test_secret_that_others_may_read_or_that_the_monolith_may_read_is_refused(
    user: User, write_system: SystemWriter
) -> None:
    system = small(user, write_system, app="")
    key = system.root / "keys" / "key"
    key.chmod(0o644)
    done = system.run()
    assert done.returncode == 125
    assert "others may read it; chmod 600" in done.stderr
    key.chmod(0o600)
    key.rename(system.app / "key")
    done = system.run("--secret", f"signer.key={system.app / 'key'}", secrets=False)
    assert done.returncode == 125
    assert "which the monolith may read" in done.stderr


@both_users
def test_missing_secret_names_where_to_put_it(user: User, write_system: SystemWriter) -> None:
    done = small(user, write_system, app="").run(secrets=False)
    assert done.returncode == 125
    assert 'the secret "key" of signer is not there' in done.stderr
    assert "--secret signer.key=FILE" in done.stderr


@both_users
def test_file_changed_since_it_was_pinned_refuses_to_boot(user: User, write_system: SystemWriter) -> None:
    system = small(user, write_system, app="print('up')")
    assert system.exclave("pin").returncode == 0
    assert system.run().stdout == "up\n"
    signer = system.app / "signer.py"
    signer.write_text(SIGNER.replace("self.count += 1", "self.count += 2"))
    done = system.run()
    assert done.returncode == 77
    assert "signer: signer.py changed since it was pinned" in done.stderr
    assert done.stdout == ""
    assert system.exclave("pin").returncode == 0
    assert system.run().stdout == "up\n"


@both_users
def test_missing_command_gives_127(user: User, write_system: SystemWriter) -> None:
    description = DESCRIPTION.replace('["python", "app.py"]', '["no-such-program"]')
    done = small(user, write_system, description=description).run()
    assert done.returncode == 127
    assert "no-such-program: not found" in done.stderr


@both_users
def test_unknown_key_exits_78_and_names_file_line_and_nearest_key(
    user: User, write_system: SystemWriter
) -> None:
    description = DESCRIPTION.replace("secrets = ", "secrts = ")
    done = small(user, write_system, description=description).run(secrets=False)
    assert done.returncode == 78
    assert "exclave.toml:7" in done.stderr
    assert "secrts" in done.stderr
    assert "secrets" in done.stderr.replace("secrts", "")


@both_users
def test_killed_nucleus_leaves_no_process(user: User, write_system: SystemWriter) -> None:
    system = small(user, write_system, app='print("up", flush=True); import time; time.sleep(600)')
    nucleus = popen_as(user, system.command(), stdout=subprocess.PIPE)
    assert nucleus.stdout is not None
    assert nucleus.stdout.readline() == "up\n"
    status = json.loads(system.exclave("status", "--json", f"small-{nucleus.pid}").stdout)
    pids = [entry["pid"] for entry in status["domains"]]
    watched = [os.pidfd_open(pid) for pid in pids]
    nucleus.send_signal(signal.SIGKILL)
    nucleus.communicate()
    assert all(ends(descriptor) for descriptor in watched)


def ends(descriptor: int) -> bool:
    """Whether a process, by its pidfd, ends within ten seconds."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    ended = bool(poll.poll(10_000))
    os.close(descriptor)
    return ended


@both_users
def test_status_shows_domains_states_tier_and_capabilities(user: User, write_system: SystemWriter) -> None:
    system = small(user, write_system, app='print("up", flush=True); input()')
    nucleus = popen_as(user, system.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert nucleus.stdout is not None
    assert nucleus.stdout.readline() == "up\n"
    name = f"small-{nucleus.pid}"
    status = json.loads(system.exclave("status", "--json", name).stdout)
    assert {entry["name"]: entry["state"] for entry in status["domains"]} == {
        "signer": "RUNNING",
        "echo": "RUNNING",
        "monolith": "RUNNING",
    }
    assert status["tier"] == "full"
    assert status["stage"] == "SEALED"
    assert {
        (entry["holder"], entry["target"], tuple(entry["rights"])) for entry in status["capabilities"]
    } == {
        ("monolith", "signer", ("write", "grant")),
        ("monolith", "echo", ("write", "grant")),
    }
    assert "signer" in system.exclave("status", name).stdout
    uids = {entry["uid"] for entry in status["domains"]}
    assert len(uids) == 3
    assert 0 not in uids
    nucleus.communicate("\n")
    assert nucleus.returncode == 0


@both_users
def test_signals_reach_the_command(user: User, write_system: SystemWriter) -> None:
    app = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(42))
print("up", flush=True)
time.sleep(600)
"""
    system = small(user, write_system, app=app)
    nucleus = popen_as(user, system.command(), stdout=subprocess.PIPE)
    assert nucleus.stdout is not None
    assert nucleus.stdout.readline() == "up\n"
    nucleus.send_signal(signal.SIGTERM)
    nucleus.communicate(timeout=30)
    assert nucleus.returncode == 42


@both_users
def test_log_replays_to_the_same_decisions(user: User, write_system: SystemWriter) -> None:
    system = small(user, write_system, app="echo.echo(b'')")
    system.environment = {"XDG_STATE_HOME": str(system.root / "state")}
    assert system.run().returncode == 0
    done = system.exclave("log", "--replay", "--json", "small")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["same"] is True
    assert answer["decisions"] > 10
