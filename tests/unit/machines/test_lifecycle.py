"""Machines as processes: the fake run as an executable."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.fake import SMOLVM, hazards
from support.waiting import eventually

from fake_smolvm.machines.process import Process

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT_SECONDS = 120
"""No machine is so slow that what is waited for takes longer."""


class Fake:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[3]),
        }

    def begin(self, *argv: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*SMOLVM, "machine", *argv],
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *argv: str) -> str:
        with self.begin(*argv) as process:
            out, err = process.communicate(timeout=LIMIT_SECONDS)
        return out + err

    def begin_start(self, name: str) -> tuple[subprocess.Popen[str], int]:
        """Begin a start; gives it, in a boot that does not end, and the machine's process."""
        self.env["FAKE_SMOLVM_BOOT_SECONDS"] = str(10 * LIMIT_SECONDS)
        start = self.begin("start", "--name", name)
        del self.env["FAKE_SMOLVM_BOOT_SECONDS"]
        machines = self.home / ".fake_smolvm" / "vms"
        assert eventually(lambda: any(machines.glob("*/agent")))
        return start, int(next(machines.glob("*/agent")).read_text().split()[0])

    def started(self, name: str) -> int:
        self("create", name)
        return self.pid(self("start", "--name", name))

    def pid(self, said: str) -> int:
        found = re.search(r"PID: (\d+)", said)
        assert found, said
        return int(found[1])

    def state(self, name: str) -> str:
        found = re.search(rf"^{name} +(\w+)", self("ls"), re.MULTILINE)
        assert found
        return found[1]

    def hazards(self) -> list[str]:
        return [hazard for hazard, _ in hazards(self.home)]


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Fake]:
    home = tmp_path / "home"
    home.mkdir()
    yield Fake(home)
    shutil.rmtree(home, ignore_errors=True)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_running_machine_is_a_process_until_it_is_stopped(fake: Fake) -> None:
    pid = fake.started("m1")
    assert is_alive(pid)
    assert fake("start", "--name", "m1") == f"Machine 'm1' already running (PID: {pid})\n"
    assert fake("status", "--name", "m1") == f"Machine 'm1': running (PID: {pid})\n"
    assert fake("stop", "--name", "m1") == "Stopping machine 'm1'...\nStopped machine: m1\n"
    assert not is_alive(pid)
    assert fake.state("m1") == "stopped"


def test_a_killed_machine_reads_as_stopped(fake: Fake) -> None:
    pid = fake.started("m1")
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not is_alive(pid))
    assert fake("status", "--name", "m1") == "Machine 'm1': not running\n"
    assert fake.state("m1") == "stopped"
    assert fake("stop", "--name", "m1") == "Machine 'm1' is not running (state: stopped)\n"
    assert fake.pid(fake("start", "--name", "m1")) != pid


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_a_frozen_machine_is_unreachable_and_is_cleaned_up(fake: Fake, verb: str) -> None:
    pid = fake.started("m1")
    os.kill(pid, signal.SIGSTOP)
    assert eventually(lambda: fake.state("m1") == "unreachable")
    assert fake("status", "--name", "m1") == "Machine 'm1': not running\n"
    said = fake(verb, "--name", "m1")
    assert f"is unreachable (PID {pid} alive but agent unresponsive); cleaning up.\n" in said
    assert eventually(lambda: not is_alive(pid))
    assert fake.state("m1") == ("running" if verb == "start" else "stopped")


@pytest.mark.parametrize("frozen", [False, True])
def test_a_machine_ends_with_its_store(fake: Fake, frozen: bool) -> None:
    pid = fake.started("m1")
    if frozen:
        os.kill(pid, signal.SIGSTOP)
    shutil.rmtree(fake.home)
    assert eventually(lambda: not is_alive(pid))


def test_deleting_a_running_machine_leaves_its_process(fake: Fake) -> None:
    pid = fake.started("m1")
    said = fake("delete", "-f", "m1")
    assert said == "Cleaning up data directory for vm: m1\nDeleted machine: m1\n"
    # Its keeper looks every half second; a slow one only hides a mistake.
    time.sleep(1.2)
    assert is_alive(pid)
    assert fake.hazards() == ["H3"]
    fake("create", "m1")
    assert fake("status", "--name", "m1") == "Machine 'm1': not running\n"
    assert fake.pid(fake("start", "--name", "m1")) != pid


def test_start_holds_nothing_of_its_callers(fake: Fake) -> None:
    fake("create", "m1")
    with fake.begin("start", "--name", "m1") as process:
        # `communicate` returns only when nobody holds the pipes any more.
        out, _ = process.communicate(timeout=LIMIT_SECONDS)
    assert os.getsid(fake.pid(out)) != os.getsid(0)
    # With nothing open, and no folder of the test's, either.
    if sys.platform == "linux":
        assert os.readlink(f"/proc/{fake.pid(out)}/cwd") == "/"


def test_of_two_starts_of_a_machine_one_wins(fake: Fake) -> None:
    fake("create", "m1")
    first, _ = fake.begin_start("m1")
    busy = (
        "Starting machine 'm1'...\n"
        "Error: agent operation failed: start machine: agent operation failed: start agent: "
        "another process is already starting or running this VM\n"
    )
    assert fake("start", "--name", "m1") == busy
    assert "not running" in fake("status", "--name", "m1")
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=LIMIT_SECONDS)
    assert fake.pid(fake("start", "--name", "m1"))
    assert fake.hazards() == []


def test_two_machines_started_at_once_both_run_and_are_noted(fake: Fake) -> None:
    fake("create", "m1")
    fake("create", "m2")
    first, _ = fake.begin_start("m1")
    fake("start", "--name", "m2")
    assert "H15" in fake.hazards()
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=LIMIT_SECONDS)
    fake("start", "--name", "m1")
    assert fake.state("m1") == fake.state("m2") == "running"


def test_a_start_killed_half_way_leaves_a_machine_behind(fake: Fake) -> None:
    fake("create", "m1")
    start, left_behind = fake.begin_start("m1")
    start.kill()
    start.communicate()
    assert fake.state("m1") == "created"
    assert "is not running (state: created)" in fake("stop", "--name", "m1")
    assert fake.pid(fake("start", "--name", "m1")) != left_behind
    assert is_alive(left_behind)
    assert "H16" in fake.hazards()


def test_an_interrupted_start_leaves_nothing(fake: Fake) -> None:
    fake("create", "m1")
    start, pid = fake.begin_start("m1")
    start.send_signal(signal.SIGINT)
    _, err = start.communicate(timeout=LIMIT_SECONDS)
    assert (start.returncode, err) == (-signal.SIGINT, "Starting machine 'm1'...\n")
    assert eventually(lambda: not is_alive(pid))


def test_without_a_hypervisor_nothing_starts(fake: Fake) -> None:
    fake("create", "m1")
    fake.env["FAKE_SMOLVM_KVM"] = "0"
    assert fake("start", "--name", "m1").splitlines()[-2:] == [
        (
            "Error: agent operation failed: start machine: kvm not available: KVM not available. "
            "Ensure KVM kernel module is loaded."
        ),
        "Try: sudo modprobe kvm && sudo modprobe kvm_intel  # (or kvm_amd)",
    ]
    assert fake.state("m1") == "created"


def test_monitor_restarts_what_dies_and_ends_on_ctrl_c(fake: Fake) -> None:
    pid = fake.started("m1")
    monitor = fake.begin("monitor", "--name", "m1", "--interval", "1", "--restart", "always")
    assert monitor.stdout is not None
    first = monitor.stdout.readline()
    assert first == "Monitoring machine 'm1' (policy: always, interval: 1s)\n"
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: fake.state("m1") == "running")
    assert fake.pid(fake("status", "--name", "m1")) != pid
    monitor.send_signal(signal.SIGINT)
    out, _ = monitor.communicate(timeout=LIMIT_SECONDS)
    assert monitor.returncode == 0
    assert "  restarting (attempt 1, backoff 1s)...\n" in out
    assert out.endswith("\nStopped monitoring. Machine 'm1' may still be running.\n")


def test_a_process_that_has_the_number_of_another_is_not_it() -> None:
    own = os.getpid()
    assert Process(own, None).condition() == "alive"
    assert Process(own, "another time").condition() == "gone"
    Process(own, "another time").kill()


def test_a_process_whose_start_nobody_wrote_down_is_nobodys_to_end() -> None:
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        Process(bystander.pid, None).kill()
        for everybody in (0, -1, -bystander.pid):
            assert Process(everybody, None).condition() == "gone"
            Process(everybody, "1").kill()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize(
    ("variable", "value", "due"),
    [
        ("FAKE_SMOLVM_KVM", "no", "0 is a host without a hypervisor, 1"),
        *[
            ("FAKE_SMOLVM_BOOT_SECONDS", value, "a number of seconds is due")
            for value in ("abc", "-1", "nan", "inf", "1e9", "1s")
        ],
    ],
)
def test_a_variable_that_makes_no_sense_is_told_at_once(
    fake: Fake, variable: str, value: str, due: str
) -> None:
    fake.env[variable] = value
    with fake.begin("ls") as process:
        out, err = process.communicate(timeout=LIMIT_SECONDS)
    assert (process.returncode, out) == (2, "")
    assert err.startswith(f"fake_smolvm: {variable}={value}: ")
    assert due in err
