"""What the fixtures give: a `smolvm` on PATH, and what is known of its calls and machines."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

from fake_smolvm import variables
from fake_smolvm.grammars import DEFAULT_VERSION
from fake_smolvm.harness import words
from fake_smolvm.harness.on_path.journal import Journal
from fake_smolvm.harness.on_path.secrets import masked_text
from fake_smolvm.harness.seen import calls, masked
from fake_smolvm.harness.seen.call import NANOSECONDS
from fake_smolvm.harness.seen.machine import Machine
from fake_smolvm.harness.seen.timeline import timeline
from fake_smolvm.harness.set_up.faults import Faults
from fake_smolvm.harness.set_up.outside import Outside
from fake_smolvm.harness.verdicts import leftovers

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping, Sequence
    from pathlib import Path
    from typing import NoReturn

    from fake_smolvm.harness.in_process.thread_popen import ThreadPopen
    from fake_smolvm.harness.on_path.journal import Event
    from fake_smolvm.harness.on_path.sandbox import Sandbox
    from fake_smolvm.harness.seen.inspection import Inspection
    from fake_smolvm.harness.settings import Mode
    from fake_smolvm.harness.verdicts.hazards import Finding
    from fake_smolvm.host import Host
    from fake_smolvm.scenarios.guest_commands import GuestCommand


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
        self.given: dict[str, str] = {}
        """The values that the test has given names: see `name_value`."""

    def name_value(self, name: str, value: str) -> None:
        """Name a value that differs from run to run, before it is used in a call.

        It stands as `<NAME>` in cassettes and snapshots of command lines, and a replay takes the
        value that the test gives in its own run. Raises ValueError for what is no name (capitals,
        digits and `_`), has a meaning already, or stands for another value in this test.
        """
        from fake_smolvm.harness.cassettes import naming, played

        naming.check_name(name, value, self.given)
        self.given[name] = value
        if self.mode == "replay":
            played.bind(self._sandbox.folder, {name: value})

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

        Raises:
            subprocess.CalledProcessError: With `check=True`, if it fails; secrets are masked.
            subprocess.TimeoutExpired: With `timeout=`, likewise.
        """
        __tracebackhide__ = True
        options = {"capture_output": True, "text": True, "check": False, **options}
        result: subprocess.CompletedProcess[str]
        try:
            result = subprocess.run(["smolvm", *argv], **options)  # noqa: PLW1510  it is in options
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            error.cmd = masked.hidden(["smolvm", *argv])
            error.args = tuple(error.cmd if isinstance(it, list) else it for it in error.args)
            # The standard library's own frames would show what they were given.
            raise error.with_traceback(None) from None
        return result

    @property
    def calls(self) -> calls.Calls:
        """Every call so far, in the order in which they started; secrets masked."""
        return calls.from_events(self._events(), self.version, self._journal.key)

    def timeline(self, *, since: int = 0) -> str:
        """Return the calls, from a moment of the monotonic clock (ns) on, as lines of text."""
        every = self.calls
        first = min((event[2] for event in self._events() if event[0] == "start"), default=0)
        began = (since - first) / NANOSECONDS
        return timeline(calls.Calls(call for call in every if not since or call.started >= began))

    @property
    def refused(self) -> str:
        """What calls a replay could not answer, in words; empty if there are none."""
        if self.mode != "replay":
            return ""
        from fake_smolvm.harness.cassettes.taping import refused

        return refused(self._sandbox)

    @property
    def machines(self) -> dict[str, Machine]:
        """Every machine there is, by name."""
        return {name: Machine(name, self._inspected) for name in self._inspected.states()}

    def machine(self, name: str) -> Machine:
        """Return a machine, which need not exist, to look at.

        Raises:
            ValueError: No machine may be called that.
        """
        return Machine(words.checked_machine(name), self._inspected)

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
        """Make a command (`"machine start"`), or a family (`"machine"`), fail instead of running.

        Only for `machine`, if that is given; after the first `skip` calls; and only `times` times.
        `{machine}` in `stdout` and `stderr` stands for the machine's name. As with all that goes
        wrong or is answered here: a test in which nothing ever met it fails at its end.

        Raises:
            TypeError: An argument is of the wrong type.
            ValueError: There is no such command, or no such machine, count or exit code.
        """
        words.checked_exit_code("rc", rc)
        words.checked_text("stdout", stdout)
        words.checked_text("stderr", stderr)
        effects = {"exit": rc, "stdout": stdout, "stderr": stderr}
        self._broken.add("fault", command, machine, skip, times, **effects)

    def delay(
        self,
        seconds: float,
        command: str = "machine",
        *,
        machine: str | None = None,
        skip: int = 0,
        times: int | None = None,
    ) -> None:
        """Make a command take that many seconds longer."""
        words.checked_seconds(seconds)
        self._broken.add("delay", command, machine, skip, times, delay_seconds=seconds)

    def hang(
        self,
        command: str = "machine",
        *,
        machine: str | None = None,
        skip: int = 0,
        times: int | None = None,
    ) -> None:
        """Make a command hang until somebody kills it."""
        self._broken.add("hang", command, machine, skip, times, hang=True)

    def kill_machine(
        self, machine: str | None = None, *, skip: int = 0, times: int | None = 1
    ) -> None:
        """Make the machine die while a command runs in it, once unless told otherwise."""
        self._broken.add_named("machine-dies-mid-exec", machine, skip, times, called="kill_machine")

    def disk_full(
        self,
        command: str = "machine cp",
        *,
        machine: str | None = None,
        skip: int = 0,
        times: int | None = None,
    ) -> None:
        """Make a command meet a disk without space: `machine cp`, `exec`, `create` or `start`."""
        self._broken.add_named("disk-full", machine, skip, times, command, called="disk_full")

    def kvm_missing(self) -> None:
        """Take the hypervisor away: no machine starts any more."""
        self.scenario("no-kvm")

    def scenario(self, name: str) -> None:
        """Make all happen that a scenario says: a path, or a name in `fake_smolvm/scenarios`.

        Of a named one some call must meet a line, of a file of your own every line.

        Raises:
            FileNotFoundError: There is no such scenario; the text names those that there are.
            ValueError: The file is no scenario, or it names a command that there is not.
        """
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

        Raises:
            TypeError: An argument is of the wrong type.
            ValueError: None or several of `command`, `prefix` and `call` are given.
        """
        self._broken.add_guest_command(
            command or None, prefix, call, exit=exit, stdout=stdout, stderr=stderr
        )

    def outside_host(self, name: str, *addresses: str) -> None:
        """Add a host outside, with these IP addresses, that machines can look up.

        Raises:
            TypeError: An argument is no text.
            ValueError: There is no address, or one that is none.
        """
        self._world.add_host(name, addresses)

    def outside_answer(self, url: str, *, status: int = 200, body: str = "") -> None:
        """Make a URL outside answer machines that can reach it; with `*` at its end, all like it.

        Raises:
            TypeError: An argument is of the wrong type.
            ValueError: It is no URL of HTTP, or no status.
        """
        self._world.add_answer(url, status, body)

    def unmet(self) -> list[str]:
        """Return what was set up to go wrong, or to be answered, and was never met by a call."""
        parts = [part for part in (self._faults, self._outside) if part is not None]
        killed = [call.command for call in self.calls if call.returncode is None] if parts else []
        return [text for part in parts for text in part.unmet(killed)]

    def crashes(self) -> list[str]:
        """Return the tracebacks of errors in the fake itself."""
        return [event[3] for event in self._events() if event[0] == "crash"]

    def stay(self) -> None:
        """Stay on PATH: a test that ended may have put back what was there before."""
        self._sandbox.stay()

    def errors(self) -> list[str]:
        """Return what went wrong in functions of the test: tracebacks, and sentences."""
        errors = [] if self._faults is None else self._faults.errors
        return [masked_text(error, self._journal.secrets()) for error in errors]

    def close(self, *, patient: bool = True) -> list[Finding]:
        """Release what faults hold; end the calls that still run, and return them.

        Unless `patient`, none of them gets the time to end by itself.
        """
        patience = leftovers.PATIENCE_SECONDS if patient else 0
        folder = self._sandbox.former
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
            self._faults = Faults(self._sandbox.folder, self._sandbox.scenario, self.version)
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
    """The fake as threads of this process; see `in_process`."""

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

        if self._faults is not None and variables.SCENARIO not in host.env:
            host.scenario = self._faults.scenario
        if self.version != DEFAULT_VERSION and not host.env.get(variables.VERSION):
            host.env = {**host.env, variables.VERSION: self.version}
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


class SteppedAside:
    """What `fake_smolvm` is in a test that has another `smolvm`: nothing, and an error to use."""

    def __init__(self, other: str) -> None:
        """Step aside for `other`."""
        object.__setattr__(self, "_other", other)

    def __repr__(self) -> str:
        return f"<fake_smolvm, stepped aside for {self._other}>"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)  # Python and pytest ask for these; no test does
        raise RuntimeError(
            f"`fake_smolvm` has stepped aside in this test, which has `{self._other}` too: only "
            f"one of them can answer, so write `{self._other}.{name}`, or take one away"
        )

    def __setattr__(self, name: str, value: object) -> NoReturn:
        self.__getattr__(name)
