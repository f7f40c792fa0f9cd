"""The sync client."""

from __future__ import annotations

import threading
from functools import partial

from smolvm_wrapper.commands import CommandSet
from smolvm_wrapper.errors import SmolvmError
from smolvm_wrapper.interruptions import Held
from smolvm_wrapper.machine import MachineHandle
from smolvm_wrapper.methods import Sync
from smolvm_wrapper.running import ASK_VERSION, Job, Runner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from typing import Any, Self, TypeVar

    from smolvm_wrapper.command import Command, Finished, StrPath
    from smolvm_wrapper.dialects import Dialect
    from smolvm_wrapper.durations import Duration
    from smolvm_wrapper.guards import Guards
    from smolvm_wrapper.methods import Plan
    from smolvm_wrapper.processes import Leash, Output
    from smolvm_wrapper.results import SmolvmRunResult

    R = TypeVar("R")


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
        self.result = yield from runner.stream(command)
        if self.result.speaker == "smolvm":
            self.result.check()


class Machine(MachineHandle, Sync):
    """A handle on one machine of a `Smolvm`."""

    _stream_type = ExecStream

    def __init__(self, client: Smolvm, name: str, options: Mapping[str, Any]) -> None:
        super().__init__(client, name, options)
        self.runner = client.runner

    def __enter__(self) -> Self:
        self.runner.known_dialect()
        try:
            self.runner.in_background(partial(self._up, self.runner, self._creation()))
        except BaseException as error:
            self._undo(error)
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._undo(error)

    def _undo(self, error: BaseException | None) -> None:
        interruption: BaseException | None = None
        while self._is_up():
            try:
                self.runner.in_background(partial(self._down, self.runner))
            except SmolvmError as failed:
                if error is None:
                    raise
                error.add_note(f"{self} could not be torn down: {failed}")
                return
            except BaseException as raised:  # noqa: BLE001 - and if it had not begun, it does now
                interruption = interruption or raised
        if interruption is not None:
            raise interruption


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

    Raises:
        UsageError: one of them is not what is wanted.
    """

    handle_type = Machine
    _stream_type = ExecStream

    def __init__(
        self,
        binary: StrPath | None = None,
        *,
        version: str | None = None,
        guards: Guards | None = None,
        host_timeout: Duration | None = None,
    ) -> None:
        self.runner = SyncRunner(binary, version, guards, host_timeout)
        super().__init__(self.runner.guards)

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
        """Return whether there is such a binary."""
        from shutil import which

        return which(self.runner.binary) is not None


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
        """Return the dialect; the first time, smolvm is asked for its version."""
        with self._asking:
            return self.dialect or self.learn(self.perform(ASK_VERSION))

    def perform(self, built: Command[R] | Plan[R]) -> R:
        """Run a command or plan to its end, and return what comes of it."""
        return self.carry_out(built)

    def run(
        self, command: Command[Any], leash: Leash | None = None, *, protected: bool = False
    ) -> Finished:
        """Run a command to its end; one that must finish does, before an interruption goes on."""
        if leash is None and command.must_finish and not protected:
            return self.in_background(partial(super().run, command))
        return super().run(command, leash, protected=protected)

    def in_background(self, work: Callable[[Leash], R]) -> R:
        """Wait for something in a thread of its own, however often that is interrupted.

        Raises:
            BaseException: what it raised, or (once it is over) what interrupted the waiting.
        """
        with Held() as held:
            job = Job(work)
            held.pulls(job.leash)
            job.wait()
        return job.outcome(held.raised)
