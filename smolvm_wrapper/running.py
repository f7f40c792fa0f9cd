"""What runs smolvm, whether it is waited for or awaited: binary, version, environment, limits."""

from __future__ import annotations

import atexit
import os
import subprocess
import threading
import time
from functools import partial

from smolvm_wrapper import checks, readers
from smolvm_wrapper.command import Command, Finished, Pause
from smolvm_wrapper.dialects import NEWEST_KNOWN, OLDEST_KNOWN, Dialect
from smolvm_wrapper.errors import (
    HostTimeoutError,
    OutputLimitError,
    SmolvmError,
    SmolvmNotFoundError,
    UnknownVersionWarning,
    warn,
)
from smolvm_wrapper.interruptions import Held
from smolvm_wrapper.processes import (
    MOST_OUTPUT,
    TAIL,
    Child,
    Collected,
    Feeder,
    Interrupted,
    Leash,
)
from smolvm_wrapper.secrets import Tail, mask_argv
from smolvm_wrapper.values import Generic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any, TypeVar

    from smolvm_wrapper.command import StrPath
    from smolvm_wrapper.durations import Duration
    from smolvm_wrapper.guards import Guards
    from smolvm_wrapper.methods import Plan
    from smolvm_wrapper.processes import Output
    from smolvm_wrapper.results import SmolvmRunResult

    R = TypeVar("R")
else:
    R = None

MACHINE_NAME_VARIABLE = "SMOLVM_MACHINE_NAME"
ASK_VERSION = Command(("smolvm", "--version"), readers.version)


class Runner:
    """Which smolvm is run, and how: in this thread. Sync and async clients have one each."""

    def __init__(
        self,
        binary: StrPath | None,
        version: str | None,
        guards: Guards | None,
        host_timeout: Duration | None,
    ) -> None:
        self.binary, self._origin = _binary(binary)
        self.guards = checks.guards_or_all(guards)
        self._limit = None if host_timeout is None else checks.host_timeout(host_timeout)
        self._given_version = None if version is None else checks.version(version)
        self._dialect: Dialect | None = None

    @property
    def dialect(self) -> Dialect | None:
        """How this version is spoken to, as soon as the version is known."""
        if self._dialect is None and self._given_version is not None:
            self.learn(self._given_version)
        return self._dialect

    def learn(self, version: str) -> Dialect:
        """Take note of the version; warn if it is an unknown one."""
        dialect = Dialect(version)
        self._dialect = dialect
        if not dialect.known:
            warn(
                UnknownVersionWarning,
                f"smolvm {dialect.version} is not one of {OLDEST_KNOWN} to {NEWEST_KNOWN}, for"
                " which this wrapper was made",
            )
        return dialect

    def argv(self, command: Command[Any]) -> list[str]:
        """Return what is really run."""
        return [self.binary, *command.argv[1:]]

    def environment(self) -> dict[str, str] | None:
        """Return the child's environment; None is this process's own."""
        if not self.guards.machine_name_variable or MACHINE_NAME_VARIABLE not in os.environ:
            return None
        return {key: text for key, text in os.environ.items() if key != MACHINE_NAME_VARIABLE}

    def limit(self, command: Command[Any]) -> float | None:
        """Return the seconds until the command's process group is killed.

        A user at a terminal has all day.
        """
        if command.on_terminal:
            return None
        return self._limit if command.host_timeout is None else command.host_timeout

    # --- running ---

    def start(self, command: Command[Any], leash: Leash | None = None) -> tuple[Child, Feeder]:
        """Start a command, in a process group of its own unless it wants the terminal.

        Raises:
            SmolvmError: it cannot be started; `SmolvmNotFoundError` if it is not there.
        """
        try:
            with Feeder(command.stdin) as feeder:
                pipe = None if command.on_terminal else subprocess.PIPE
                process = subprocess.Popen(
                    self.argv(command),
                    stdin=None if command.on_terminal else feeder.stdin,
                    stdout=pipe,
                    stderr=pipe,
                    env=self.environment(),
                    process_group=None if command.on_terminal else 0,
                )
                feeder.start(process)
                return Child(process, leash), feeder
        except OSError as error:
            not_started = error
        raise self.not_started(command, not_started)

    def run(
        self, command: Command[Any], leash: Leash | None = None, *, protected: bool = False
    ) -> Finished:
        """Run a command to its end.

        Args:
            command: which.
            leash: by which it can be killed, unless it must finish.
            protected: it is never killed half-way, not even for the `host_timeout`.

        Raises:
            HostTimeoutError: the host timeout was over.
            OutputLimitError: it printed more than there is room for.
            Interrupted: the leash was pulled.
        """
        must_finish = protected or command.must_finish
        limit = None if protected else self.limit(command)
        output = Collected()
        child, feeder = self.start(command, None if must_finish else leash)
        with child:
            output.collect(child, limit, to_the_end=must_finish or limit is not None)
        return self.finished(
            command,
            child.process.returncode,
            output.streams(),
            feeder=feeder,
            exceeded=limit if output.exceeded else None,
            overflowed=output.overflowed,
        )

    def stream(
        self, command: Command[SmolvmRunResult], leash: Leash | None = None
    ) -> Generator[Output, None, SmolvmRunResult]:
        """Run a command, and yield its output as it comes; left early, it is killed.

        Returns:
            The result; of the output it has the end of stderr only.

        Raises:
            HostTimeoutError: the host timeout was over, and all that was said by then was yielded.
            Interrupted: the leash was pulled.
        """
        last = Tail(TAIL, command.secrets)
        limit = self.limit(command)
        exceeded = None
        child, feeder = self.start(command, leash)
        with child:
            try:
                for name, chunk in child.outputs(limit):
                    if name == "stderr":
                        last.add(chunk)
                    yield name, chunk
            except TimeoutError:
                exceeded = limit
            if exceeded is not None:
                for name, chunk in child.last_words():
                    if name == "stderr":
                        last.add(chunk)
                    yield name, chunk
        done = self.finished(
            command, child.process.returncode, ("", last.text()), feeder=feeder, exceeded=exceeded
        )
        return command.read(done)

    def follow(
        self,
        plan: Plan[R],
        leash: Leash | None = None,
        *,
        protected: bool = False,
        hold: bool = False,
    ) -> R:
        """Run a plan.

        Args:
            plan: which.
            leash: by which it can be stopped.
            protected: no command of it is killed half-way, not even for the `host_timeout`.
            hold: it is not stopped between two commands either.
        """
        go_on: Callable[[], Command[Any] | Pause] = partial(next, plan)
        while True:
            try:
                step = go_on()
            except StopIteration as end:
                result: R = end.value
                return result
            try:
                if leash is not None and leash.pulled and not hold:
                    raise Interrupted  # noqa: TRY301 - the plan is told of it like of all else
                if not isinstance(step, Pause):
                    said = step.read(self.run(step, leash, protected=protected))
                    go_on = partial(plan.send, said)
                    continue
                if leash is None:
                    time.sleep(step.seconds)
                else:
                    leash.wait(step.seconds)
                go_on = partial(plan.send, None)
            except BaseException as error:  # noqa: BLE001 - the plan decides
                go_on = partial(plan.throw, error)

    def carry_out(self, built: Command[R] | Plan[R], leash: Leash | None = None) -> R:
        """Run a command or plan to its end, and return what comes of it."""
        if isinstance(built, Command):
            return built.read(self.run(built, leash))
        return self.follow(built, leash)

    def finished(
        self,
        command: Command[Any],
        returncode: int,
        outputs: tuple[bytearray, bytearray] | tuple[str, str],
        *,
        feeder: Feeder,
        exceeded: float | None = None,
        overflowed: str = "",
    ) -> Finished:
        """Return how a command ended.

        Raises:
            HostTimeoutError: it exceeded so many seconds.
            OutputLimitError: a stream had more than there is room for.
            BaseException: whatever the user's stdin iterator raised.
        """
        stdout, stderr = (
            said if isinstance(said, str) else said.decode("utf-8", "surrogateescape")
            for said in outputs
        )
        cut_off = exceeded is not None or bool(overflowed) or returncode < 0
        done = Finished(
            self.argv(command), returncode, stdout, stderr, command.secrets, cut_off=cut_off
        )
        if exceeded is not None:
            raise done.error(HostTimeoutError, f"killed after {exceeded:g} s")
        if feeder.error is not None:
            raise feeder.error
        if overflowed:
            raise done.error(
                OutputLimitError,
                f"it printed more than {MOST_OUTPUT // 2**20} MiB to {overflowed}; `stream` has no"
                " such limit",
            )
        return done

    def not_started(self, command: Command[Any], error: OSError) -> SmolvmError:
        """Return the error for a binary that could not be started."""
        argv = mask_argv(self.argv(command), command.secrets)
        if not isinstance(error, (FileNotFoundError, NotADirectoryError, PermissionError)):
            return SmolvmError(f"{self.binary!r} could not be started: {error.strerror}", argv=argv)
        places = [self.binary]
        if os.sep not in self.binary:
            folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
            places = [f"{folder}{os.sep}{self.binary}" for folder in folders]
        return SmolvmNotFoundError(
            f"there is no smolvm to run ({error.strerror}); tried {self.binary!r}, {self._origin}: "
            + ", ".join(places),
            argv=argv,
        )


class Job(Generic[R]):
    """Something that is done in a thread of its own, where no interruption of the caller comes.

    Attributes:
        over: whether it is done.
        leash: by which it can be stopped.
        error: what it raised.
    """

    unfinished: set[Job[Any]] = set()  # noqa: RUF012 - of the process, as threads are
    """Those that the interpreter's end has to wait for."""

    def __init__(self, work: Callable[[Leash], R], tell: Callable[[], None] | None = None) -> None:
        self._work = work
        self._tell = tell
        self._ended = threading.Lock()
        self.over = False
        self.error: BaseException | None = None
        self._result: Any = None
        try:
            self.leash = Leash()
        except OSError as error:
            not_begun = error
        else:
            self._ended.acquire()
            self._begin()
            return
        raise SmolvmError(f"smolvm could not be started: {not_begun.strerror}")

    def _begin(self) -> None:
        Job.unfinished.add(self)
        # A daemon: it is waited for when the interpreter ends, and there nothing interrupts that.
        thread = threading.Thread(target=self._do, daemon=True, name="smolvm_wrapper")
        try:
            thread.start()
        except RuntimeError:  # there are no more threads: then in this one
            self._do()

    def _do(self) -> None:
        try:
            self._result = self._work(self.leash)
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            self.error = error
        self.over = True
        self.leash.close()
        Job.unfinished.discard(self)
        self._ended.release()
        if self._tell is not None:
            self._tell()

    def wait(self) -> None:
        """Wait until it is over."""
        if not self.over:
            with self._ended:
                pass

    def outcome(self, interruption: BaseException | None) -> R:
        """Return what came of it, or raise what did; whatever interrupted its caller comes first.

        Raises:
            BaseException: as said.
        """
        if interruption is not None:
            if isinstance(self.error, SmolvmError):
                interruption.add_note(f"and smolvm failed: {self.error}")
            for note in getattr(self.error, "__notes__", ()):
                interruption.add_note(note)
            raise interruption
        try:
            if self.error is not None:
                raise self.error
            result: R = self._result
            return result
        finally:
            self.error = self._result = None  # no circle with the traceback


def finish_jobs() -> None:
    """Have every job stopped that may be, and wait for the others: the interpreter ends."""
    while Job.unfinished:
        try:
            with Held():
                for job in tuple(Job.unfinished):
                    job.leash.pull()
                    job.wait()
        except BaseException:  # noqa: BLE001, S112 - before they were held
            continue


def _binary(given: StrPath | None) -> tuple[str, str]:
    if given is not None:
        return checks.binary(given), "as asked for"
    if named := os.environ.get("SMOLVM_BINARY"):
        return named, "from $SMOLVM_BINARY"
    return "smolvm", "from PATH"


atexit.register(finish_jobs)
# A fork takes no threads along.
os.register_at_fork(after_in_child=Job.unfinished.clear)
