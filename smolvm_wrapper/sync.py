"""The sync client."""

from __future__ import annotations

import os
import selectors
import shutil
import subprocess
import threading
import time
from functools import partial
from typing import Any, TypeVar

from smolvm_wrapper.command import Command, Finished, Pause, StrPath
from smolvm_wrapper.commands import CommandSet
from smolvm_wrapper.errors import SmolvmError
from smolvm_wrapper.machine import MachineHandle
from smolvm_wrapper.methods import Plan, Sync
from smolvm_wrapper.processes import CHUNK, LAST_WORDS_SECONDS, TAIL, Feeder, kill_group
from smolvm_wrapper.running import ASK_VERSION, Runner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from typing import Self

    from smolvm_wrapper.dialects import Dialect
    from smolvm_wrapper.durations import Duration
    from smolvm_wrapper.guards import Guards
    from smolvm_wrapper.processes import Output
    from smolvm_wrapper.results import SmolvmRunResult

R = TypeVar("R")


class Machine(MachineHandle, Sync):
    """A handle on one machine of a `Smolvm`."""

    def __init__(self, client: Smolvm, name: str, options: Mapping[str, Any]) -> None:
        super().__init__(client, name, options)
        self.runner = client.runner

    def __enter__(self) -> Self:
        try:
            self.runner.follow(self._bring_up(), protected=True)
        except BaseException as error:
            self._undo(error)
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._undo(error)

    def _undo(self, error: BaseException | None) -> None:
        try:
            self.runner.follow(self._tear_down(), protected=True, hold=True)
        except SmolvmError as failed:
            if error is None:
                raise
            error.add_note(f"{self} could not be torn down: {failed}")


class Smolvm(CommandSet, Sync):
    """smolvm, run and waited for. It may be shared between threads.

    Args:
        binary: the smolvm to run, a path or a name on PATH; by default `$SMOLVM_BINARY`, else
            "smolvm".
        version: its version, such as "1.4.0"; by default it is asked, once, before the first
            command.
        guards: which traps to defuse; all by default.
        host_timeout: after which any smolvm is killed with its process group; no limit by default,
            and never while a context manager brings a machine up or tears it down. A machine that
            was just starting may stay behind (H16).
    """

    handle_type = Machine

    def __init__(
        self,
        binary: StrPath | None = None,
        *,
        version: str | None = None,
        guards: Guards | None = None,
        host_timeout: Duration | None = None,
    ) -> None:
        self.runner = SyncRunner(binary, version, guards, host_timeout)
        self.guards = self.runner.guards

    def __repr__(self) -> str:
        return f"Smolvm({self.runner.binary!r})"

    @property
    def version(self) -> str:
        """The version of this smolvm; asked once, unless it was given."""
        return self.dialect.version

    @property
    def dialect(self) -> Dialect:
        """How this version of smolvm is spoken to."""
        return self.runner.known_dialect()

    def is_available(self) -> bool:
        """Whether there is such a binary."""
        return shutil.which(self.runner.binary) is not None


class ExecStream:
    """The output of a command in a machine, as it comes: ("stdout" or "stderr", bytes).

    Attributes:
        result: how it ended, once everything has come; of the output it has the end of stderr only.
    """

    def __init__(self, runner: SyncRunner, command: Command[SmolvmRunResult]) -> None:
        self.result: SmolvmRunResult | None = None
        self._output = self._outputs(runner, command)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Output:
        return next(self._output)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill smolvm if it still runs, and with it (unless it has stdin) the guest's command."""
        self._output.close()

    def _outputs(
        self, runner: SyncRunner, command: Command[SmolvmRunResult]
    ) -> Generator[Output, None, None]:
        last = b""
        limit = runner.limit(command)
        process, feeder = runner.spawn(command)
        exceeded = None
        with process:
            try:
                for output in _outputs(process, limit):
                    if output[0] == "stderr":
                        last = (last + output[1])[-TAIL:]
                    yield output
            except TimeoutError:
                exceeded = limit
            finally:
                if process.poll() is None:
                    kill_group(process)
        done = runner.finished(
            command, process.returncode, (b"", last), feeder=feeder, exceeded=exceeded
        )
        self.result = command.read(done)
        if self.result.speaker == "smolvm":
            self.result.check()


class SyncRunner(Runner):
    """Runs smolvm, and waits."""

    def __init__(
        self,
        binary: StrPath | None,
        version: str | None,
        guards: Guards | None,
        host_timeout: Duration | None,
    ) -> None:
        super().__init__(binary, version, guards, host_timeout)
        self._asking = threading.Lock()

    def known_dialect(self) -> Dialect:
        """The dialect; the first time, smolvm is asked for its version."""
        with self._asking:
            return self.dialect or self.learn(self.perform(ASK_VERSION))

    def perform(self, built: Command[R] | Plan[R]) -> R:
        """Run a command or plan to its end."""
        if not isinstance(built, Command):
            return self.follow(built)
        done, interruption = self.run(built)
        if interruption is not None:
            raise interruption
        return built.read(done)

    def follow(self, plan: Plan[R], *, protected: bool = False, hold: bool = False) -> R:
        """Run a plan.

        Args:
            plan: which.
            protected: no command of it is killed half-way, not even for the `host_timeout`.
            hold: an interruption waits until all of it is done, not only the present command.
        """
        held: BaseException | None = None
        go_on: Callable[[], Command[Any] | Pause] = partial(next, plan)
        while True:
            try:
                step = go_on()
            except StopIteration as end:
                result: R = end.value
                break
            if held is not None and not hold:
                go_on = partial(plan.throw, held)
                continue
            try:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    go_on = partial(plan.send, None)
                else:
                    done, interruption = self.run(step, protected=protected)
                    held = held or interruption
                    go_on = partial(plan.send, step.read(done))
            except BaseException as error:  # noqa: BLE001 - the plan decides
                go_on = partial(plan.throw, error)
        if held is not None:
            raise held
        return result

    def run(
        self, command: Command[Any], *, protected: bool = False
    ) -> tuple[Finished, BaseException | None]:
        """Run a command; with how it ended comes what interrupted it, if it must not be."""
        limit = None if protected else self.limit(command)
        exceeded = None
        # A signal handler may raise any exception; if there is no end of them, it is none of those.
        patience = 10
        interruption: BaseException | None = None
        outputs: tuple[bytes | None, bytes | None]
        process, feeder = self.spawn(command)
        with process:
            while True:
                try:
                    outputs = process.communicate(timeout=None if interruption else limit)
                except subprocess.TimeoutExpired:
                    exceeded = limit
                    kill_group(process)
                    outputs = _last_words(process)
                except BaseException as error:
                    patience -= isinstance(error, Exception)
                    if not (protected or command.must_finish) or not patience:
                        kill_group(process)
                        process.wait()
                        raise
                    interruption = error
                    continue
                break
        done = self.finished(command, process.returncode, outputs, feeder=feeder, exceeded=exceeded)
        return done, interruption

    def spawn(self, command: Command[Any]) -> tuple[subprocess.Popen[bytes], Feeder]:
        """Start a command, in a process group of its own unless it wants the terminal."""
        with Feeder(command.stdin) as feeder:
            pipe = None if command.on_terminal else subprocess.PIPE
            try:
                process = subprocess.Popen(
                    self.argv(command),
                    stdin=None if command.on_terminal else feeder.stdin,
                    stdout=pipe,
                    stderr=pipe,
                    env=self.environment(),
                    process_group=None if command.on_terminal else 0,
                )
            except OSError as error:
                not_started = error
            else:
                feeder.start(process)
                return process, feeder
        raise self.not_started(command, not_started)


def _outputs(
    process: subprocess.Popen[bytes], limit: float | None
) -> Generator[Output, None, None]:
    """What a process prints, as it comes, until it has ended.

    Raises:
        TimeoutError: the limit in seconds was over first.
    """
    deadline = None if limit is None else time.monotonic() + limit

    def left() -> float | None:
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    with selectors.DefaultSelector() as selector:
        for name, pipe in (("stdout", process.stdout), ("stderr", process.stderr)):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ, name)
        while selector.get_map():
            ready = selector.select(left())
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                if chunk := os.read(key.fd, CHUNK):
                    yield key.data, chunk
                else:
                    selector.unregister(key.fileobj)
    try:
        process.wait(left())
    except subprocess.TimeoutExpired:
        raise TimeoutError from None


def _last_words(process: subprocess.Popen[bytes]) -> tuple[bytes | None, bytes | None]:
    try:
        return process.communicate(timeout=LAST_WORDS_SECONDS)
    except subprocess.TimeoutExpired as still:  # somebody who left the group holds its pipes
        return still.stdout, still.stderr
