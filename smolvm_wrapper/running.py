"""What runs smolvm, whether it is waited for or awaited: binary, version, environment, limits."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from smolvm_wrapper import results
from smolvm_wrapper.command import Command, Finished, StrPath, mask_argv
from smolvm_wrapper.dialects import NEWEST_KNOWN, OLDEST_KNOWN, Dialect, version_in
from smolvm_wrapper.durations import Duration, as_seconds
from smolvm_wrapper.errors import (
    HostTimeoutError,
    SmolvmError,
    SmolvmNotFoundError,
    UnknownVersionWarning,
    warn,
)
from smolvm_wrapper.guards import Guards

if TYPE_CHECKING:
    from smolvm_wrapper.processes import Feeder

MACHINE_NAME_VARIABLE = "SMOLVM_MACHINE_NAME"
ASK_VERSION = Command(("smolvm", "--version"), lambda done: version_in(results.text(done)))


class Runner:
    """Which smolvm is run, and how. Sync and async clients have one each."""

    def __init__(
        self,
        binary: StrPath | None,
        version: str | None,
        guards: Guards | None,
        host_timeout: Duration | None,
    ) -> None:
        self.binary, self._origin = _binary(binary)
        self.guards = guards or Guards()
        self._limit = None if host_timeout is None else as_seconds(host_timeout)
        self._given_version = version
        self._dialect: Dialect | None = None

    @property
    def dialect(self) -> Dialect | None:
        """How this version is spoken to, as soon as the version is known."""
        if self._dialect is None and self._given_version is not None:
            self.learn(self._given_version)
        return self._dialect

    def learn(self, version: str) -> Dialect:
        """Take note of the version; warn if it is an unknown one."""
        dialect = Dialect(version_in(version))
        self._dialect = dialect
        if not dialect.known:
            warn(
                UnknownVersionWarning,
                f"smolvm {dialect.version} is not one of {OLDEST_KNOWN} to {NEWEST_KNOWN}, for"
                " which this wrapper was made",
            )
        return dialect

    def argv(self, command: Command[Any]) -> list[str]:
        """What is really run."""
        return [self.binary, *command.argv[1:]]

    def environment(self) -> dict[str, str] | None:
        """The child's environment; None is this process's own."""
        if not self.guards.machine_name_variable or MACHINE_NAME_VARIABLE not in os.environ:
            return None
        return {key: text for key, text in os.environ.items() if key != MACHINE_NAME_VARIABLE}

    def limit(self, command: Command[Any]) -> float | None:
        """Seconds until the command's process group is killed; a user at a terminal has all day."""
        if command.on_terminal:
            return None
        return self._limit if command.host_timeout is None else command.host_timeout

    def finished(
        self,
        command: Command[Any],
        returncode: int,
        outputs: tuple[bytes | None, bytes | None],
        *,
        feeder: Feeder | None = None,
        exceeded: float | None = None,
    ) -> Finished:
        """How a command ended.

        Raises:
            HostTimeoutError: it exceeded so many seconds.
            BaseException: whatever the user's stdin iterator raised.
        """
        argv = tuple(self.argv(command))
        stdout, stderr = ((out or b"").decode("utf-8", "surrogateescape") for out in outputs)
        done = Finished(argv, returncode, stdout, stderr, command.secrets)
        if exceeded is not None:
            raise done.error(HostTimeoutError, f"killed after {exceeded:g} s")
        if feeder is not None and feeder.error is not None:
            raise feeder.error
        return done

    def not_started(self, command: Command[Any], error: OSError) -> SmolvmError:
        """The error for a binary that could not be started."""
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


def _binary(given: StrPath | None) -> tuple[str, str]:
    if given is not None:
        return os.fspath(given), "as asked for"
    if named := os.environ.get("SMOLVM_BINARY"):
        return named, "from $SMOLVM_BINARY"
    return "smolvm", "from PATH"
