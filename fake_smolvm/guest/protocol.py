"""What a guest does for commands and for the harness, whatever kind of guest it is."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import BinaryIO, Protocol
else:
    Protocol = object

MAX_OUTPUT = 11 << 20
"""Bytes of one stream that come back from a command that is not streamed (hazard H14)."""
TIMED_OUT = 124
KILLED = 255
"""The exit code of a command that a signal ended (hazard H12)."""


class SpawnError(Exception):
    """A command cannot be started; `errno` says why."""

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.errno = number


class ConnectionLostError(Exception):
    """The machine ended, or was cut off, while a command ran in it."""


class GuestResult:
    """What became of a command: its exit code, and what it wrote unless that was passed on."""

    __slots__ = ("exit_code", "stderr", "stdout", "timed_out", "truncated")

    def __init__(
        self,
        exit_code: int,
        stdout: bytes = b"",
        stderr: bytes = b"",
        *,
        truncated: bool = False,
        timed_out: bool = False,
    ) -> None:
        self.exit_code = exit_code
        self.stdout = stdout
        self.stderr = stderr
        self.truncated = truncated
        """Whether output was cut off at MAX_OUTPUT."""
        self.timed_out = timed_out


class Guest(Protocol):
    """The inside of one machine, from one start of it to its stop."""

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Iterable[tuple[str, str]] = (),
        workdir: str | None = None,
        stdin: BinaryIO | None = None,
        timeout: float | None = None,
        on_output: Callable[[int, bytes], None] | None = None,
        terminal: bool = False,
        silent_stdin: bool = False,
        cancelled: Callable[[], bool] | None = None,
    ) -> GuestResult:
        """Run a command to its end, and that of its children that hold its output.

        Args:
            argv: the command, which is no line of shell.
            env: variables beside those that every command has.
            workdir: an absolute path in the guest; `/` by default.
            stdin: what it reads; nothing by default.
            timeout: in seconds; a command that it ends has the exit code 124.
            on_output: gets the output as it comes (1 for stdout, 2 for stderr), from another
                thread, and nobody waits for children; without it the result has the output, cut at
                MAX_OUTPUT a stream.
            terminal: joins stderr into stdout, and ends lines as a terminal does.
            silent_stdin: its stdin is a pipe into which nobody ever writes.
            cancelled: asked now and then whether the client is gone.

        Raises:
            SpawnError: it does not start.
            ConnectionLostError: the machine goes first.
        """

    def start(
        self, argv: Sequence[str], env: Iterable[tuple[str, str]], workdir: str | None
    ) -> None:
        """Start a command that lives as long as the machine, or until it ends by itself.

        Raises:
            SpawnError: it does not start.
        """

    def wants_stdin(self, argv: Sequence[str]) -> bool:
        """Return whether a command reads its stdin to the end before it does anything."""
