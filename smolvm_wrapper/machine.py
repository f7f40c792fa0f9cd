"""A handle on one machine: the same for sync and async clients."""

from __future__ import annotations

from contextlib import suppress

from smolvm_wrapper.commands import CommandSet
from smolvm_wrapper.errors import MachineExistsError, MachineNotFoundError, SmolvmError
from smolvm_wrapper.methods import do, method, streaming
from smolvm_wrapper.processes import Interrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from smolvm_wrapper.command import Command, Env, Stdin, StrPath
    from smolvm_wrapper.durations import Duration, GuestDuration
    from smolvm_wrapper.methods import Plan
    from smolvm_wrapper.processes import Leash
    from smolvm_wrapper.results import SmolvmRunResult
    from smolvm_wrapper.running import Runner


class MachineHandle:
    """What can be done with one machine. Errors are those of the client's methods.

    As a context manager it brings the machine up and tears down what it brought up: it creates the
    machine if there is none, and deletes it afterwards; it starts it if it is not running, and
    stops it afterwards. That holds for exceptions, Ctrl-C and cancellation too, however often they
    come: a step that was interrupted is finished, then undone, and only then the interruption goes
    on. What its `env` holds is masked in the errors of all commands in it.
    """

    def __init__(self, commands: CommandSet, name: str, options: Mapping[str, Any]) -> None:
        self._commands = commands
        self.guards = commands.guards
        self.name = name
        self._options = options
        self._created = False
        self._started = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def _is_up(self) -> bool:
        """Whether something that this brought up is still to be taken down."""
        return self._created or self._started

    @method
    def start(self) -> Command[bool]:
        """Start it; whether this started it, or it was running already.

        Raises:
            MachineNotFoundError: no such machine.
            HypervisorUnavailableError: no KVM.
        """
        return CommandSet.machine_start(self._commands, self.name)

    @method
    def exec(
        self,
        command: Sequence[str],
        *,
        env: Env | None = None,
        workdir: str | None = None,
        timeout: GuestDuration | None = None,
        stdin: Stdin | None = None,
        tty: bool = False,
        host_timeout: Duration | None = None,
    ) -> Command[SmolvmRunResult]:
        """Run a command in it: `machine_exec`.

        Raises:
            UsageError: an argument is not what is wanted.
            SmolvmNotFoundError: there is no smolvm to run.
            HostTimeoutError: the `host_timeout` was over.
            OutputLimitError: there was more than 64 MiB of output.
        """
        return CommandSet.machine_exec(
            self._commands,
            self.name,
            command,
            env=env,
            workdir=workdir,
            timeout=timeout,
            stdin=stdin,
            tty=tty,
            host_timeout=host_timeout,
        )

    @streaming
    def stream(
        self,
        command: Sequence[str],
        *,
        env: Env | None = None,
        workdir: str | None = None,
        timeout: GuestDuration | None = None,
        stdin: Stdin | None = None,
        tty: bool = False,
        host_timeout: Duration | None = None,
    ) -> Command[SmolvmRunResult]:
        """Run a command in it, and have its output as it comes: the client's `stream`.

        Raises:
            UsageError: an argument is not what is wanted (at once).
            MachineNotRunningError: it is not running; like all that follows, while iterating.
            HostTimeoutError: the `host_timeout` was over.
            SmolvmError: smolvm failed.
        """
        return CommandSet.stream(
            self._commands,
            self.name,
            command,
            env=env,
            workdir=workdir,
            timeout=timeout,
            stdin=stdin,
            tty=tty,
            host_timeout=host_timeout,
        )

    @method
    def cp_in(self, path: StrPath, guest_path: str) -> Plan[None]:
        """Copy the host's file `path` into it; parents are made, mode and owner are not kept.

        Raises:
            MachineNotRunningError: it is not running.
            SmolvmError: smolvm failed.
        """
        return CommandSet.upload(self._commands, path, f"{self.name}:{guest_path}")

    @method
    def cp_out(self, guest_path: str, path: StrPath) -> Plan[None]:
        """Copy its file `guest_path` to the host's `path`; if that fails, what was there stays.

        Raises:
            MachineNotRunningError: it is not running.
            SmolvmError: smolvm failed.
        """
        return CommandSet.download(self._commands, f"{self.name}:{guest_path}", path)

    @method
    def stop(self) -> Command[None]:
        """Stop it, if it runs.

        Raises:
            MachineNotFoundError: no such machine.
        """
        return CommandSet.machine_stop(self._commands, self.name)

    @method
    def delete(self) -> Plan[None]:
        """Delete it and its disks.

        Raises:
            MachineNotFoundError: no such machine.
        """
        return CommandSet.machine_delete(self._commands, self.name)

    def _creation(self) -> Command[None]:
        """Return the command that creates it; warns of what this version does with the options."""
        return CommandSet.machine_create(self._commands, self.name, **self._options)

    def _up(self, runner: Runner, creation: Command[None], leash: Leash) -> None:
        """Bring it up, or nothing of it: for a thread that nobody interrupts.

        Raises:
            BaseException: why it is not up.
        """
        try:
            runner.follow(self._bring_up(creation), leash, protected=True)
            if leash.pulled:
                raise Interrupted  # noqa: TRY301 - there is nobody to take it down
        except BaseException as error:
            try:
                self._down(runner, leash)
            except SmolvmError as failed:
                error.add_note(f"{self} could not be torn down: {failed}")
            raise

    def _down(self, runner: Runner, leash: Leash) -> None:
        """Take down what was brought up: for a thread that nobody interrupts.

        Raises:
            SmolvmError: smolvm failed to.
        """
        runner.follow(self._tear_down(), leash, protected=True, hold=True)

    def _bring_up(self, creation: Command[None]) -> Plan[None]:
        try:
            yield from do(creation)
            self._created = True
        except MachineExistsError:
            if self._options:  # it is there, but not necessarily like this
                raise
        self._started = yield from do(CommandSet.machine_start(self._commands, self.name))

    def _tear_down(self) -> Plan[None]:
        created, started = self._created, self._started
        self._created = self._started = False
        with suppress(MachineNotFoundError):  # gone already, as it should be
            if started or created:
                yield from do(CommandSet.machine_stop(self._commands, self.name))
            if created:
                yield from self._commands._delete(self.name)  # noqa: SLF001 - without another stop
