"""Trust: outside.

One act of the demonstration: start the shop, let customers in, let the thief in, note what he got, and look
afterwards at what nobody in the app could have forged.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from heist import Failure
from heist.agent import DECOY, Agent
from heist.attempts import calls, files, kernel, kit, memory, world
from heist.collector import Collector
from heist.customers import Customers, Shop
from heist.scene import SYSTEM, Scene, build
from heist.thief import Outcome, Thief

EXCLAVE: Final = Path(sysconfig.get_path("scripts"), "exclave")
ROOTS_LOGS: Final = Path("/var/lib/exclave")
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.05
GROUPS: Final = {
    "Files": files,
    "Memory": memory,
    "The machine": world,
    "The kernel": kernel,
    "The exclaves": calls,
}
EXCLAVES: Final = 3
LAST: Final = "pay-in-small-sums"
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Act:
    """What happened in one act."""

    outcomes: dict[str, Outcome]
    served: int
    sent: int
    problems: tuple[str, ...]
    loot: int


def group_of(name: str) -> str:
    """Which group of attempts this one belongs to."""
    module = kit.CATALOGUE[name].run.__module__
    return next(group for group, holder in GROUPS.items() if holder.__name__ == module)


def play(root: Path, exclave: bool, progress: Progress) -> Act:
    """Play one act in a new scene below `root`, which goes with it.

    Raises:
        Failure: the shop did not start or the thief found no way in; the text says what was printed.
    """
    with ExitStack() as stack:
        collector = stack.enter_context(Collector())
        scene = build(root, collector.port)
        agent = stack.enter_context(Agent(root / "agent.sock"))
        process = stack.enter_context(running_shop(scene, exclave))
        domains = exclaves_of(process.pid) if exclave else []
        if exclave and len(domains) != EXCLAVES:
            raise Failure(f"found {len(domains)} exclaves to attack, not {EXCLAVES}")
        lambs = [] if exclave else [stack.enter_context(lamb()) for _ in range(2)]
        known = kit.Known(
            exclave=exclave,
            home=str(scene.home),
            beside=str(scene.root),
            secrets=str(scene.secrets),
            shop=str(scene.shop),
            collector=collector.port,
            agent=agent.path,
            abstract=agent.abstract,
            victims=(agent.facts.pid, *domains),
            lambs=tuple(domains) if exclave else (lambs[0],),
            nucleus=process.pid if exclave else lambs[1],
            prize=agent.facts.address,
            prize_fd=agent.facts.descriptor,
            masked_key=memory.masked(scene.secret("signer", "signing-key")).hex(),
            decoy=DECOY,
        )
        before = measure(scene)
        customers, thief = admit(scene), Thief(scene.port)
        outcomes: dict[str, Outcome] = {}
        try:
            thief.arrive()
            chosen = [name for name in order_of_attempts() if exclave or tried_without_exclave(name)]
            for name in chosen:
                progress(len(outcomes), len(chosen), name)
                if name == LAST:
                    customers.stop_buying()
                outcomes[name] = thief.attempt(name, known)
        finally:
            thief.leave()
            customers.leave()
        loot = collector.empty()
        problems = list(customers.complaints)
        if exclave:
            problems += signs_of_loss(scene, thief, loot)
            problems += ["files of the program were changed"] if measure(scene) != before else []
            problems += [] if exclaves_of(process.pid) == domains else ["an exclave has ended"]
            problems += [] if agent.alive else ["the agent has ended"]
        elif b"decoy-ssh-key" not in loot or scene.secret("signer", "signing-key") not in loot:
            problems.append("without exclave, the collector did not get the loot of the start-up file")
        return Act(outcomes, customers.served, customers.sent, tuple(problems), len(loot))


def tried_without_exclave(name: str) -> bool:
    """Whether an attempt makes sense, and is safe, without exclave."""
    return kit.CATALOGUE[name].plain in (kit.MUST, kit.MAY)


def order_of_attempts() -> list[str]:
    """Every attempt, in the order of the groups, and last the one after which nothing can be bought."""
    return sorted(kit.CATALOGUE, key=lambda name: (name == LAST, list(GROUPS).index(group_of(name))))


def admit(scene: Scene) -> Customers:
    """Register the customer whom the thief will try, and let the others in."""
    shop = Shop(scene.port)
    status, text = shop.request("POST", "/register", {"name": "carol", "password": "swordfish"})
    key_status, key = shop.request("GET", "/receipt-key")
    shop.close()
    if (status, key_status) != (201, 200):
        raise Failure(f"the shop did not register a customer: {status} {text}")
    return Customers(scene.port, key.partition(':"')[2].partition('"')[0])


def signs_of_loss(scene: Scene, thief: Thief, loot: bytes) -> Iterator[str]:
    """What the thief would have heard or collected, had he got anything."""
    heard = "\n".join(thief.heard)
    for exclave, name in (("signer", "signing-key"), ("vault", "pepper")):
        secret = scene.secret(exclave, name)
        if secret.hex() in heard or secret in loot:
            yield f"the secret {exclave}/{name} got out"
    if "decoy-" in heard or loot:
        yield f"decoys or loot got out ({len(loot)} bytes)"


@contextmanager
def running_shop(scene: Scene, exclave: bool) -> Iterator[subprocess.Popen[bytes]]:
    """Run the shop under exclave, or the same code in one plain process, until the block ends."""
    mode = [] if exclave else ["--inline"]
    command: list[str | Path] = [EXCLAVE, "run", *mode, "--secrets", scene.secrets, scene.description]
    log = scene.root / "shop.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=scene.shop,
            env=scene.variables(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_until_open(scene, process, log)
        yield process
        if process.poll() is not None:
            raise Failure(f"the shop ended with {process.returncode}:\n{log.read_text()[-4000:]}")
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        forget_log(process.pid)


def forget_log(nucleus: int) -> None:
    """Remove the log that a nucleus of root's keeps outside the scene; a user's is in the scene's home."""
    directory = ROOTS_LOGS / SYSTEM
    if os.geteuid() == 0 and directory.is_dir():
        for path in directory.glob(f"*-{nucleus}.jsonl"):
            path.unlink()
        if not any(directory.iterdir()):
            directory.rmdir()


def wait_until_open(scene: Scene, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the shop answers; Failure when it ends first or takes too long."""
    for _ in range(int(START_SECONDS / POLL_SECONDS)):
        shop = Shop(scene.port)
        try:
            if shop.request("GET", "/health")[0] == 200:
                return
        except OSError:
            pass
        finally:
            shop.close()
        try:
            process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        raise Failure(f"the shop did not start:\n{log.read_text()[-4000:]}")
    raise Failure(f"the shop did not open within {START_SECONDS:.0f} s:\n{log.read_text()[-4000:]}")


@contextmanager
def lamb() -> Iterator[int]:
    """A process that is there to be killed."""
    process = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def exclaves_of(nucleus: int) -> list[int]:
    """The exclaves' processes: the nucleus's children, but for the monolith's, which has children itself."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    return sorted(pid for pid in children.get(nucleus, []) if pid not in children)


def measure(scene: Scene) -> dict[str, str]:
    """The hashes of every file that the app's next start would run."""
    found = {}
    for top in (scene.shop, scene.environment):
        for path in sorted(top.rglob("*")):
            if path.is_file() and "var" not in path.relative_to(top).parts and path.suffix != ".pyc":
                found[os.fspath(path)] = sha256(path.read_bytes()).hexdigest()
    return found
