"""All cores: worker processes that take one task at a time.

Trust: outside.
Purpose: spread tasks over processes, as lines of JSON, and yield each outcome when it is there.
Rules:
1. A worker that dies fails the whole proof: a missing result is never taken for a good one.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import cast

from exclave.proofs.tasks import Outcome, perform

Task = tuple[str, str, str | None, bool]


class WorkerDied(Exception):
    """A worker ended, or answered something that is no outcome."""


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def run(tasks: Sequence[Task], workers: int | None = None) -> Iterator[Outcome]:
    """Yield the outcome of each task, in the order in which they come.

    Args:
        tasks: kind, name, theorem and whether to ask twice; long ones first.
        workers: processes; by default one for each processor.

    Raises:
        WorkerDied: a worker ended early.
    """
    todo: queue.SimpleQueue[Task] = queue.SimpleQueue()
    done: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()
    for task in tasks:
        todo.put(task)
    processes = [_start() for _ in range(min(workers or cores(), len(tasks)))]
    try:
        for process in processes:
            threading.Thread(target=_serve, args=(process, todo, done), daemon=True).start()
        for _ in tasks:
            outcome = done.get()
            if outcome is None:
                raise WorkerDied("a worker of the prover ended early")
            yield outcome
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _start() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "exclave.proofs.pool"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _serve(
    process: subprocess.Popen[bytes],
    todo: queue.SimpleQueue[Task],
    done: queue.SimpleQueue[Outcome | None],
) -> None:
    if process.stdin is None or process.stdout is None:
        raise ValueError("a worker without pipes")
    with process.stdin, process.stdout:
        try:
            while True:
                process.stdin.write(json.dumps(todo.get_nowait()).encode() + b"\n")
                process.stdin.flush()
                line = process.stdout.readline()
                done.put(cast("Outcome", json.loads(line)) if line else None)
        except queue.Empty:
            return
        except (OSError, ValueError):
            done.put(None)


def work() -> None:
    """Answer tasks from standard input until it ends."""
    for line in sys.stdin:
        kind, name, theorem, twice = json.loads(line)
        sys.stdout.write(json.dumps(perform(kind, name, theorem, twice=twice)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    work()
