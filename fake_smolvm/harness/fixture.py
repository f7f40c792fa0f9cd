"""What the fixtures give: a `smolvm` on PATH, and what is known of its calls and machines."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

from fake_smolvm.harness import calls, leftovers
from fake_smolvm.harness.faults import Faults
from fake_smolvm.harness.journal import Journal
from fake_smolvm.harness.machine import Machine
from fake_smolvm.harness.outside import Outside
from fake_smolvm.harness.secrets import masked_text
from fake_smolvm.harness.timeline import timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping, Sequence
    from pathlib import Path

    from fake_smolvm.harness.hazards import Finding
    from fake_smolvm.harness.inprocess import ThreadPopen
    from fake_smolvm.harness.inspection import Inspection
    from fake_smolvm.harness.journal import Event
    from fake_smolvm.harness.sandbox import Sandbox
    from fake_smolvm.harness.settings import Mode
    from fake_smolvm.host import Host
    from fake_smolvm.scenarios import GuestCommand


class SmolvmFixture:
    """The `smolvm` that one test runs against."""

    mode: Mode
    """`fake`, `real` or `replay`."""
    version: str
    """What `smolvm --version` says, without the name."""

    def __init__(
        self, sandbox: Sandbox, mode: Mode, version: str, inspection: Inspection | None
    ) -> None:
        self._sandbox = sandbox
        self._journal = Journal(str(sandbox.folder))
        self._inspection = inspection
        self._faults: Faults | None = None
        self._outside: Outside | None = None
        self.mode = mode
        self.version = version

    @property
    def binary(self) -> Path:
        """The executable, first on PATH."""
        return self._sandbox.bin / "smolvm"

    @property
    def home(self) -> Path:
        """The HOME that holds this test's machines."""
        return self._sandbox.home

    @property
    def env(self) -> dict[str, str]:
        """A copy of the environment, for an `env=` of the test's own."""
        return dict(os.environ)

    def run(self, *argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run `smolvm` with `argv` as a user would; output is captured as text.

        `options` are those of `subprocess.run`. A failure is no exception unless `check=True`.
        """
        options = {"capture_output": True, "text": True, "check": False, **options}
        result: subprocess.CompletedProcess[str]
        result = subprocess.run(["smolvm", *argv], **options)  # noqa: PLW1510  check is in options
        return result

    @property
    def calls(self) -> calls.Calls:
        """Every call so far, in the order in which they started; secrets masked."""
        return calls.from_events(self._events(), self.version, self._journal.key)

    def timeline(self) -> str:
        """Give the calls as lines of text."""
        return timeline(self.calls)

    @property
    def machines(self) -> dict[str, Machine]:
        """Every machine there is, by name."""
        return {name: Machine(name, self._inspected) for name in self._inspected.states()}

    def machine(self, name: str) -> Machine:
        """Give a machine, which need not exist, to look at."""
        return Machine(name, self._inspected)

    def fault(
        self,
        command: str,
        *,
        rc: int = 1,
        stdout: str = "",
        stderr: str = "",
        machine: str | None = None,
        skip: int = 0,
        times: int | None = None,
    ) -> None:
        """Let a command (`"machine start"`), or a family (`"machine"`), fail instead of running.

        Only for `machine`, if that is given; after the first `skip` calls; and only `times` times.
        `{machine}` in `stdout` and `stderr` stands for the machine's name.
        """
        self._broken.add(command, machine, skip, times, exit=rc, stdout=stdout, stderr=stderr)

    def delay(
        self,
        seconds: float,
        command: str = "machine",
        *,
        machine: str | None = None,
        skip: int = 0,
        times: int | None = None,
    ) -> None:
        """Let a command take that many seconds longer."""
        self._broken.add(command, machine, skip, times, delay_seconds=seconds)

    def hang(
        self,
        command: str = "machine",
        *,
        machine: str | None = None,
        skip: int = 0,
        times: int | None = None,
    ) -> None:
        """Let a command never end, until somebody kills it."""
        self._broken.add(command, machine, skip, times, hang=True)

    def kill_machine(
        self, machine: str | None = None, *, skip: int = 0, times: int | None = 1
    ) -> None:
        """Let the machine die while a command runs in it, once unless told otherwise."""
        self._broken.add_named("machine-dies-mid-exec", machine, skip, times)

    def disk_full(
        self,
        command: str = "machine cp",
        *,
        machine: str | None = None,
        skip: int = 0,
        times: int | None = None,
    ) -> None:
        """Let a command meet a disk without space: `machine cp`, `exec`, `create` or `start`."""
        self._broken.add_named("disk-full", machine, skip, times, command=command)

    def kvm_missing(self) -> None:
        """Take the hypervisor away: no machine starts any more."""
        self.scenario("no-kvm")

    def scenario(self, name: str) -> None:
        """Let all happen that a scenario says: a path, or a name in `fake_smolvm/scenarios`."""
        self._broken.add_named(name)

    def guest_command(
        self,
        *command: str,
        prefix: Sequence[str] | None = None,
        call: GuestCommand | None = None,
        exit: int = 0,  # noqa: A002  the word of scenario files
        stdout: str | bytes = b"",
        stderr: str | bytes = b"",
    ) -> None:
        """Provide a command of the guest: for exactly this argv, or for all that begin like this.

        Or `call`, which is given argv, environment, working directory and stdin, and answers with
        exit code, stdout and stderr (bytes), or with None for an argv that it does not know.
        """
        self._broken.add_guest_command(
            command or None, prefix, call, exit=exit, stdout=stdout, stderr=stderr
        )

    def outside_host(self, name: str, *addresses: str) -> None:
        """Let there be a host outside, with these IP addresses, that machines can look up."""
        self._world.hosts[name] = list(addresses)
        self._world.write()

    def outside_answer(self, url: str, *, status: int = 200, body: str = "") -> None:
        """Let a URL outside answer machines that can reach it; with `*` at its end, all like it."""
        self._world.answers.append({"url": url, "status": status, "body": body})
        self._world.write()

    def crashes(self) -> list[str]:
        """Give the tracebacks of errors in the fake itself."""
        return [event[3] for event in self._events() if event[0] == "crash"]

    def errors(self) -> list[str]:
        """Return what went wrong in functions of the test: tracebacks, and sentences."""
        errors = [] if self._faults is None else self._faults.errors
        return [masked_text(error, self._journal.secrets()) for error in errors]

    def close(self, *, patient: bool = True) -> list[Finding]:
        """Let go of what faults hold; end the calls that still run, and return them.

        Unless `patient`, none of them gets the time to end by itself.
        """
        patience = leftovers.PATIENCE_SECONDS if patient else 0
        folder = str(self._sandbox.folder)
        left: list[int] = []

        def is_over() -> bool:
            left[:] = leftovers.running(leftovers.unended(self._journal.events()), folder)
            return not left

        leftovers.wait(patience, is_over)
        if left:
            leftovers.kill(left, folder)
        starts = leftovers.unended(self._journal.events())
        if self._faults is not None:
            self._faults.close()
        return [leftovers.finding(starts[pid], self.version) for pid in left if pid in starts]

    @property
    def _inspected(self) -> Inspection:
        if self._inspection is None:
            raise RuntimeError("a replay has no machines to look at, only calls")
        return self._inspection

    @property
    def _broken(self) -> Faults:
        if self.mode != "fake":
            raise RuntimeError(
                f"nothing can be made to go wrong on a {self.mode} smolvm: mark the test with"
                ' @pytest.mark.smolvm("fake")'
            )
        if self._faults is None:
            self._faults = Faults(self._sandbox.folder, self._sandbox.scenario)
        return self._faults

    @property
    def _world(self) -> Outside:
        if self.mode != "fake":
            raise RuntimeError(f"the world outside a {self.mode} smolvm is what it is")
        if self._outside is None:
            self._outside = Outside(self._sandbox.network)
        return self._outside

    def _events(self) -> Iterable[Event]:
        return self._journal.events()


class InProcessFixture(SmolvmFixture):
    """The fake as threads of this process; see `harness.inprocess`."""

    def __init__(self, sandbox: Sandbox, version: str, inspection: Inspection) -> None:
        super().__init__(sandbox, "fake", version, inspection)
        self._noted: list[Event] = []
        self.notes = Journal(str(sandbox.folder), self._noted.append)
        """Kept in this process; those in the sandbox's file are of other processes."""
        self.alive: dict[int, ThreadPopen] = {}
        self.pid = os.getpid()
        self.executable = sandbox.executable
        self._is_over = False

    def answers(self) -> bool:
        """Tell whether a thread is to answer: not in a fork, which has none, nor afterwards."""
        return not self._is_over and self.pid == os.getpid()

    def keep_inside(self, env: MutableMapping[str, str]) -> None:
        """Take out of a child's environment what leads out of the sandbox."""
        self._sandbox.keep_inside(env)

    def run_command(self, argv: list[str], host: Host) -> int:
        """Run the fake."""
        from fake_smolvm import entry

        if self._faults is not None and entry.SCENARIO_VARIABLE not in host.env:
            host.scenario = self._faults.scenario
        return entry.run(argv, host)

    def close(self, *, patient: bool = True) -> list[Finding]:
        """End the calls that still run, as threads and as processes, and return them."""
        self._is_over = True
        patience = leftovers.PATIENCE_SECONDS if patient else 0
        leftovers.wait(patience, lambda: not self.alive)
        left = list(self.alive)
        for child in list(self.alive.values()):
            child.kill()
        starts = leftovers.unended(self._noted)
        findings = [leftovers.finding(starts[one], self.version) for one in left if one in starts]
        return findings + super().close(patient=patient)

    def _events(self) -> Iterable[Event]:
        return [*self._noted, *super()._events()]
