"""A handle on one machine: the same for sync and async clients."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from smolvm_wrapper.commands import CommandSet, Env
from smolvm_wrapper.errors import MachineExistsError, MachineNotFoundError
from smolvm_wrapper.methods import Plan, do, method, streaming

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from smolvm_wrapper.command import Command, Stdin, StrPath
    from smolvm_wrapper.durations import Duration
    from smolvm_wrapper.results import SmolvmRunResult


class MachineHandle:
    """What can be done with one machine. Errors are those of the client's methods.

    As a context manager it brings the machine up and tears down what it brought up: it creates the
    machine if there is none, and deletes it afterwards; it starts it if it is not running, and
    stops it afterwards. That holds for exceptions, Ctrl-C and cancellation too: a step that was
    interrupted is finished, then undone.
    """

    def __init__(self, commands: CommandSet, name: str, options: Mapping[str, Any]) -> None:
        self._commands = commands
        self.name = name
        self._options = options
        self._created = False
        self._started = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @method
    def start(self) -> Command[bool]:
        """Start it; whether this started it, or it was running already."""
        return CommandSet.machine_start(self._commands, self.name)

    @method
    def exec(
        self,
        command: Sequence[str],
        *,
        env: Env | None = None,
        workdir: str | None = None,
        timeout: Duration | None = None,
        stdin: Stdin | None = None,
        tty: bool = False,
        host_timeout: Duration | None = None,
    ) -> Command[SmolvmRunResult]:
        """Run a command in it: `machine_exec`."""
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
        timeout: Duration | None = None,
        stdin: Stdin | None = None,
        tty: bool = False,
        host_timeout: Duration | None = None,
    ) -> Command[SmolvmRunResult]:
        """Run a command in it, and have its output as it comes: the client's `stream`."""
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
        """Copy the host's file `path` into it; parents are made, mode and owner are not kept."""
        return self._commands.upload(path, f"{self.name}:{guest_path}")

    @method
    def cp_out(self, guest_path: str, path: StrPath) -> Plan[None]:
        """Copy its file `guest_path` to the host's `path`; if that fails, what was there stays."""
        return self._commands.download(f"{self.name}:{guest_path}", path)

    @method
    def stop(self) -> Command[None]:
        """Stop it, if it runs."""
        return CommandSet.machine_stop(self._commands, self.name)

    @method
    def delete(self) -> Plan[None]:
        """Delete it and its disks."""
        return CommandSet.machine_delete(self._commands, self.name)

    def _bring_up(self) -> Plan[None]:
        try:
            yield from do(CommandSet.machine_create(self._commands, self.name, **self._options))
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
                yield from do(self._commands.delete_only(self.name))
