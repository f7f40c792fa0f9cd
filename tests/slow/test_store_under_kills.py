"""Many processes over one HOME, killed at any moment: what was acknowledged stays."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

import pytest
from support.fake import SMOLVM

WORKERS = 6
ROUNDS = 60
KILLED_AFTER_SECONDS = 0.03
"""At most: about as long as a command takes, so some are killed before, in and after their work."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    home.mkdir()
    yield home
    shutil.rmtree(home, ignore_errors=True)


def smolvm(home: Path, *argv: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*SMOLVM, "machine", *argv],
        env={
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


class Worker(threading.Thread):
    """Creates, changes, starts, stops and deletes machines of its own, and kills some of that."""

    def __init__(self, home: Path, number: int) -> None:
        super().__init__()
        self.home = home
        self.random = random.Random(number)  # noqa: S311  nothing secret
        self.names = [f"w{number}-{index}" for index in range(3)]
        self.known: dict[str, int | None] = dict.fromkeys(self.names)
        """Memory of each machine as last acknowledged, None for one that is not there."""
        self.unsure: set[str] = set()
        """Machines of a command that was killed: it may or may not have been done."""
        self.faults: list[str] = []

    def run(self) -> None:
        for round_number in range(ROUNDS):
            self.step(self.random.choice(self.names), 1000 + round_number)

    def step(self, name: str, memory: int) -> None:
        verb = self.random.choice(
            ["create", "create", "update", "update", "delete", "start", "stop"]
        )
        argv = {
            "create": ["create", name, "--mem", str(memory)],
            "update": ["update", name, "--mem", str(memory)],
            "delete": ["delete", "-f", name],
            "start": ["start", "--name", name],
            "stop": ["stop", "--name", name],
        }[verb]
        process = smolvm(self.home, *argv)
        if self.random.random() < 0.4:
            try:
                process.wait(self.random.random() * KILLED_AFTER_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        _, err = process.communicate(timeout=30)
        if process.returncode < 0:
            self.unsure.add(name)
            return
        complaint = err.decode()
        if "database" in complaint or "Traceback" in complaint:
            self.faults.append(f"{argv}: {complaint}")
        self.expect(name, verb, memory, done=process.returncode == 0, complaint=complaint)

    def expect(self, name: str, verb: str, memory: int, *, done: bool, complaint: str) -> None:
        if name not in self.unsure:
            exists = self.known[name] is not None
            if done != exists and verb == "delete":
                self.faults.append(f"delete {name}: {complaint}, but it was {self.known[name]}")
            if done == exists and verb == "create":
                self.faults.append(f"create {name}: {complaint}, but it was {self.known[name]}")
        if done and verb in ("create", "update"):
            self.known[name] = memory
            self.unsure.discard(name)
        elif done and verb == "delete":
            self.known[name] = None
            self.unsure.discard(name)


def test_what_was_acknowledged_is_there_however_many_are_killed(home: Path) -> None:
    workers = [Worker(home, number) for number in range(WORKERS)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        with smolvm(home, "ls", "--json") as listing:
            out, err = listing.communicate(timeout=30)
        assert (listing.returncode, err) == (0, b"")
        json.loads(out)
    for worker in workers:
        worker.join()
    assert [fault for worker in workers for fault in worker.faults] == []

    with smolvm(home, "ls", "--json") as listing:
        listed = {machine["name"]: machine for machine in json.loads(listing.communicate()[0])}
    for worker in workers:
        for name in set(worker.names) - worker.unsure:
            memory = worker.known[name]
            assert (listed[name]["memory_mib"] if name in listed else None) == memory
    # Nobody holds a lock any more.
    with smolvm(home, "create", "last") as last:
        last.communicate(timeout=5)
    assert last.returncode == 0
