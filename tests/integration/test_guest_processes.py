"""Commands in a machine and the processes that asked for them: who ends with whom."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

FAKE = Path(sys.executable).with_name("fake_smolvm")


class Machine:
    """A running machine, its host processes real ones."""

    def __init__(self, home: Path) -> None:
        self._env = {"HOME": str(home), "PATH": os.environ["PATH"]}
        self.run("create", "m1", check=True)
        self.run("start", "--name", "m1", check=True)

    def run(self, *argv: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [FAKE, "machine", *argv],
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=check,
            timeout=120,
        )

    def exec(self, *argv: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [FAKE, "machine", "exec", "--name", "m1", *argv],
            env=self._env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def sh(self, script: str) -> str:
        return self.run("exec", "--name", "m1", "--", "sh", "-c", script).stdout

    def size(self, file: str) -> str:
        return self.sh(f"cat {file} 2>/dev/null | wc -c").strip()

    def grows(self, file: str) -> bool:
        size = self.size(file)
        return eventually(lambda: self.size(file) != size)

    def ticks(self) -> bool:
        return "tick" in self.sh("ps | grep -v grep")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.run("stop", "--name", "m1")


TICK = "while :; do echo tick >> /root/ticks; sleep 0.1; done"


@pytest.mark.parametrize(
    ("option", "number", "goes_on"),
    [([], signal.SIGKILL, False), (["--stream"], signal.SIGINT, False),
     (["-i"], signal.SIGTERM, True)],
)  # fmt: skip
def test_a_command_whose_client_is_killed(
    machine: Machine, option: list[str], number: signal.Signals, goes_on: bool
) -> None:
    client = machine.exec(*option, "--", "sh", "-c", TICK)
    assert eventually(lambda: machine.size("/root/ticks") != "0")
    client.send_signal(number)
    client.communicate()
    assert client.returncode == -number
    if goes_on:
        assert machine.grows("/root/ticks")
        assert machine.ticks()
    else:
        assert eventually(lambda: not machine.ticks())
        assert machine.size("/root/ticks") == machine.size("/root/ticks")


def test_a_child_without_our_output_goes_on_until_the_machine_stops(machine: Machine) -> None:
    assert machine.sh(f"({TICK}) >/dev/null 2>&1 & echo started") == "started\n"
    assert machine.grows("/root/ticks")
    machine.run("stop", "--name", "m1")
    machine.run("start", "--name", "m1")
    assert not machine.ticks()
    assert machine.size("/root/ticks") == machine.size("/root/ticks")


def test_a_child_with_our_output_is_waited_for(machine: Machine) -> None:
    assert machine.sh("(sleep 1; echo late) & echo now") == "now\nlate\n"
    client = machine.exec("-i", "--", "sh", "-c", "sleep 600 & echo now")
    assert client.communicate(timeout=120)[0] == b"now\n"


def test_a_stream_comes_as_it_is_written(machine: Machine) -> None:
    waits = "echo one; while [ ! -e /root/go ]; do sleep 0.1; done; echo two"
    client = machine.exec("--stream", "--", "sh", "-c", waits)
    assert client.stdout is not None
    assert client.stdout.readline() == b"one\n"
    machine.sh("touch /root/go")
    assert client.communicate(timeout=120)[0] == b"two\n"


def test_stdin_comes_as_it_is_written(machine: Machine) -> None:
    for argv in (["cat"], ["sh"], ["sh", "-c", 'while read l; do echo "$l"; done']):
        client = machine.exec("-i", "--", *argv)
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(b"echo hi\n")
        client.stdin.flush()
        assert client.stdout.readline() in (b"echo hi\n", b"hi\n")
        client.stdin.close()
        assert client.wait(timeout=120) == 0
        client.stdout.close()
        assert client.stderr is not None
        client.stderr.close()


def test_the_reader_of_the_output_may_leave(machine: Machine) -> None:
    client = machine.exec("--", "seq", "1", "300000")
    assert client.stdout is not None
    assert client.stdout.readline() == b"1\n"
    client.stdout.close()
    assert client.wait(timeout=120) == 0
    client.communicate()
    assert machine.sh("echo alive") == "alive\n"


def test_a_guest_that_powers_itself_off_is_unreachable(machine: Machine) -> None:
    client = machine.exec("--", "poweroff", "-f")
    says = '"state": "unreachable"'
    assert eventually(lambda: says in machine.run("ls", "--json").stdout)
    assert client.poll() is None
    client.kill()
    client.communicate()
    assert says in machine.run("ls", "--json").stdout
    assert "not running" in machine.run("exec", "--name", "m1", "--", "true").stderr
    assert machine.run("start", "--name", "m1").returncode == 0


def test_a_workload_does_not_hold_the_lock_of_its_start(machine: Machine, tmp_path: Path) -> None:
    image = ("--net", "--image", "alpine", "--name", "w1")
    machine.run("run", "-d", *image, "--", "sh", "-c", "while :; do sleep 1; done", check=True)
    locks = list(tmp_path.glob(".fake_smolvm/**/start.lock"))
    assert len(locks) == 3
    for path in locks:
        with path.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    machine.run("stop", "--name", "w1", check=True)
