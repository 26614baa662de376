"""Start a domain as a test describes it, let it try attempts, and print what each came to; a program.

Standard input is one JSON object (`Scene`), standard output is one JSON object. It is a program so that a
test can run it as root and as an ordinary user: it is the nucleus of its own little system.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import exclave
from exclave.linux import calls
from exclave.nucleus.shell import filters, view
from exclave.nucleus.shell.identity import Identities
from exclave.nucleus.shell.plan import Bind, Kind, Limits, Network, Plan, Tmpfs
from exclave.nucleus.shell.spawn import Process, SpawnFailed, spawn, verify_confined
from exclave.nucleus.shell.tier import Host, Tier, probe
from support import attempts

HERE = Path(__file__).resolve().parent
WORKLOAD = HERE / "workload.py"
LIMITS = Limits(memory=1 << 30, processes=20, files=64, file_size=1 << 20)


@dataclass
class Scene:
    """What a test asks for."""

    attempts: list[str]
    kind: str = "monolith"
    tier: str | None = None
    without: list[str] = field(default_factory=list)
    """Layers taken away, for the run that shows what they are worth: seccomp, landlock, subordinate."""
    network: str = "none"
    stages: int = 2
    """How many of an exclave's filters are installed: 1 is while it imports, 2 is when it serves."""
    broken: str = ""
    """What the plan names that does not exist: source or program."""
    system: bool = False
    """Show the monolith what it sees of a real system, and packages."""
    private: bool = False
    """Show the domain directories that only their owner may read."""
    linger: bool = False
    """Print the domain's pid, and live on until killed."""


class Surroundings:
    """What lies around the domain: files, sockets and a victim, all of this process's own."""

    def __init__(self, shared: bool = False) -> None:
        """Make them; `shared` lets other users use what is granted, as root without a view needs."""
        self.root = Path(tempfile.mkdtemp())
        for name in ("grant", "shown", "hidden"):
            (self.root / name).mkdir(mode=0o700)
            (self.root / name / "file").write_text(name)
            (self.root / name / "file").chmod(0o600)
        if shared:
            self.root.chmod(0o755)
            for name, mode in (("grant", 0o777), ("shown", 0o755)):
                (self.root / name).chmod(mode)
                (self.root / name / "file").chmod(0o644)
        self.device = "/dev/null"
        # The root of a container may not make nodes; then the open one has to do.
        with contextlib.suppress(PermissionError):
            own = str(self.root / "null")
            os.mknod(own, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
            self.device = own
        self.abstract = f"exclave-test-{os.getpid()}"
        self.sockets = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        self.sockets[0].bind("\0" + self.abstract)
        self.sockets[1].bind(str(self.root / "hidden" / "socket"))
        self.ports = [socket.socket() for _ in range(2)]
        for port in self.ports:
            port.bind(("127.0.0.1", 0))
        for listener in (*self.sockets, *self.ports):
            listener.listen()
        self.datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.datagram.bind(str(self.root / "hidden" / "datagram"))
        self.victim = subprocess.Popen(["sleep", "60"])
        calls.join_session_keyring()
        self.key = f"exclave-test-{os.getpid()}"
        calls._call("add_key", b"user", self.key.encode(), b"x", 1, -3)

    def given(self) -> dict[str, str]:
        """Say what the attempts need to know."""
        return {
            **{name: str(self.root / name) for name in ("grant", "shown", "hidden")},
            "device": self.device,
            "abstract": self.abstract,
            "granted-port": str(self.ports[0].getsockname()[1]),
            "other-port": str(self.ports[1].getsockname()[1]),
            "victim": str(self.victim.pid),
            "key": self.key,
            "processes": str(LIMITS.processes),
            "files": str(LIMITS.files),
            "memory": str(LIMITS.memory),
            "file-size": str(LIMITS.file_size),
        }

    def close(self) -> None:
        """Take it all away."""
        self.victim.kill()
        self.victim.wait()
        for item in (*self.sockets, *self.ports, self.datagram):
            item.close()
        shutil.rmtree(self.root)


def plan_of(scene: Scene, around: Surroundings) -> Plan:
    """Plan the domain."""
    python = view.python_view(sys.executable)
    package = str(Path(exclave.__file__).resolve().parent)
    granted = [Bind(package, "/exclave/site/exclave", as_owner=True)]
    if scene.kind == "monolith":
        granted.append(view.granted(str(around.root / "grant"), writable=True)[0])
        granted.append(view.granted(str(around.root / "shown"), writable=False)[0])
    port = around.ports[0].getsockname()[1]
    if scene.private:
        granted.append(Bind(str(around.root / "hidden"), "/exclave/private", as_owner=True))
        granted.append(Bind(str(around.root), "/exclave/partly", as_owner=True, hidden=("hidden",)))
    if scene.broken == "source":
        granted.append(Bind(f"{around.root}/missing", "/missing"))
    program = "/missing" if scene.broken == "program" else python.executable
    names = ("attempt_registry", "attempts", "attempts_network")
    code = {f"/exclave/site/support/{name}.py": HERE.joinpath(f"{name}.py").read_bytes() for name in names}
    plan = Plan(
        name=scene.kind,
        kind=Kind(scene.kind),
        argv=(program, "-I", "-S", "-B", "-c", START, "/exclave/site"),
        env={"LANG": "C.UTF-8"},
        binds=(*python.binds, *granted),
        files={**code, "/exclave/bytes": bytes(range(256))},
        tmpfs=(Tmpfs("/exclave/scratch", 1 << 20),) if scene.kind == "monolith" else (),
        symlinks=python.symlinks,
        devices=(around.device,) if scene.kind == "driver" else (),
        proc=scene.kind == "monolith",
        network={"none": Network.none(), "all": Network.all(), "tcp": Network.tcp(connect=(port,))}[
            scene.network
        ],
        limits=LIMITS,
        stdio=(0, 2, 2),
        directory=tempfile.mkdtemp(dir=around.root),
    )
    return with_system(plan) if scene.system else plan


def with_system(plan: Plan) -> Plan:
    """Add what a monolith sees of a real system, and the packages that its work uses."""
    system = view.system_view()
    specs = [find_spec(name) for name in ("msgspec", "nacl", "_cffi_backend")]
    origins = [Path(spec.origin).resolve() for spec in specs if spec is not None and spec.origin is not None]
    packages = [path.parent if path.name == "__init__.py" else path for path in origins]
    covered = [bind.target for bind in system.binds]
    beside = [
        bind for bind in plan.binds if not any(Path(bind.target).is_relative_to(path) for path in covered)
    ]
    return replace(
        plan,
        binds=(
            *system.binds,
            *beside,
            *(Bind(str(path), f"/exclave/site/{path.name}", as_owner=True) for path in packages),
        ),
        files={**plan.files, **system.files, "/exclave/workload.py": WORKLOAD.read_bytes()},
        tmpfs=system.tmpfs,
        devices=system.devices,
        symlinks=system.symlinks,
        pts=True,
        limits=Limits(memory=8 << 30, processes=200, files=256),
    )


START = """
import runpy, sys
sys.path.insert(0, sys.argv[1])
runpy.run_module("support.attempts", run_name="__main__")
"""


def ask(process: Process, scene: Scene, host: Host, plan: Plan, around: Surroundings) -> dict[str, str]:
    """Install the filters, check from outside, and collect the answers."""
    wanted = list(filters.stages(plan, host).values())[: scene.stages]
    process.control.send(str(len(wanted)).encode())
    for program in wanted:
        process.control.send(b"-" if "seccomp" in scene.without else program or b"-")
    if process.control.recv(16) != b"installed":
        raise RuntimeError("the domain did not start")
    verify_confined(process, plan, host, seccomp="seccomp" not in scene.without)
    question = {"attempts": scene.attempts, "given": around.given(), "children": scene.kind == "monolith"}
    process.control.send(json.dumps(question).encode())
    results: dict[str, str] = {}
    while True:
        answer = process.control.recv(1 << 16)
        if answer == b"[]":
            return results
        if answer in (b"", b"replaced"):
            code = process.wait() if not answer else 0
            name = next(name for name in scene.attempts if name not in results)
            results[name] = f"signal {-code}" if code < 0 else "ok replaced"
            return results
        name, result = json.loads(answer)
        results[name] = result


def main() -> None:
    """Act out the scene on standard input."""
    scene = Scene(**json.load(sys.stdin))
    if scene.kind == "unconfined":
        around = Surroundings()
        results = {name: attempts.try_in_child(name, around.given()) for name in scene.attempts}
        around.close()
        json.dump({"uid": os.getuid(), "results": results}, sys.stdout)
        return
    host = probe().at(Tier(scene.tier) if scene.tier else None)
    if "landlock" in scene.without:
        host = replace(host, landlock_abi=0)
    if "subordinate" in scene.without:
        host = replace(host, subordinate=None)
    around = Surroundings(shared=not host.namespaces)
    identities = Identities.reserve(host, str(around.root))
    said: dict[str, object] = {"uid": os.getuid()}
    try:
        plan = plan_of(scene, around)
        process = spawn(plan, host, identities)
        said |= {"layers": process.layers, "notes": process.notes, "domain-uid": process.uid}
        try:
            said["results"] = ask(process, scene, host, plan, around)
            if scene.linger:
                print(process.pid, flush=True)
                signal.pause()
        finally:
            process.kill()
            process.wait()
            process.close()
        said["owners"] = sorted({path.stat().st_uid for path in (around.root / "grant").iterdir()})
    except SpawnFailed as error:
        said |= {"step": error.step, "errno": error.errno, "detail": error.detail, "fix": error.fix}
    finally:
        around.close()
        identities.close()
    try:
        os.waitpid(-1, os.WNOHANG)
        said["left"] = True
    except ChildProcessError:
        said["left"] = False
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    signal.alarm(60)
    main()
