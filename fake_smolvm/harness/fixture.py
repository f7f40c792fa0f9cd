"""What the fixtures give: a `smolvm` on PATH, and what is known of its calls and machines."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

from fake_smolvm.harness import calls, journal
from fake_smolvm.harness.faults import Faults
from fake_smolvm.harness.machine import Machine
from fake_smolvm.harness.outside import Outside
from fake_smolvm.harness.timeline import timeline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from fake_smolvm.harness.inspection import Inspection
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
        self._inspection = inspection
        self._faults: Faults | None = None
        self._outside: Outside | None = None
        self.mode = mode
        self.version = version
        self.given: dict[str, str] = {}
        """The values that the test has given names: see `name_value`."""

    def name_value(self, name: str, value: str) -> None:
        """Give a value that differs from run to run a name, before it is used in a call.

        It stands as `<NAME>` in cassettes and snapshots of command lines, and a replay takes the
        value that the test gives in its own run. Raises ValueError for what is no name (capitals,
        digits and `_`), has a meaning already, or stands for another value in this test.
        """
        from fake_smolvm.harness import naming, replayer

        naming.check_name(name, value, self.given)
        self.given[name] = value
        if self.mode == "replay":
            replayer.bind(self._sandbox.folder, {name: value})

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
        return calls.from_events(self._events(), self.version)

    def timeline(self) -> str:
        """Give the calls as lines of text."""
        return timeline(self.calls)

    @property
    def refused(self) -> str:
        """What calls a replay could not answer, in words; empty if there are none."""
        if self.mode != "replay":
            return ""
        from fake_smolvm.harness.taping import refused

        return refused(self._sandbox)

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

    def close(self) -> None:
        """Let go of what faults hold."""
        if self._faults is not None:
            self._faults.close()

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

    def _events(self) -> Iterator[journal.Event]:
        yield from journal.read(self._sandbox.journal)


class InProcessFixture(SmolvmFixture):
    """The fake as threads of this process; see `harness.inprocess`."""

    def __init__(self, sandbox: Sandbox, version: str, inspection: Inspection) -> None:
        super().__init__(sandbox, "fake", version, inspection)
        self.alive: dict[int, Any] = {}
        self._noted: list[journal.Event] = []
        self.note = self._noted.append

    def environment(self, env: Mapping[Any, Any] | None) -> Mapping[str, str]:
        """Give the environment of a child that is started with this `env=`."""
        # Live, not copied: what runs is killed before the environment is put back.
        return os.environ if env is None else self._sandbox.environment(env)

    def run_command(self, argv: list[str], host: Host) -> int:
        """Run the fake."""
        from fake_smolvm import entry

        if self._faults is not None:
            host.scenario = self._faults.scenario
        return entry.run(argv, host)

    def close(self) -> None:
        """End what still runs."""
        for child in list(self.alive.values()):
            child.kill()
        super().close()

    def _events(self) -> Iterator[journal.Event]:
        yield from self._noted
        yield from super()._events()
