"""A command in a machine: the session with its guest, and the words for what becomes of it."""

from __future__ import annotations

import os

from fake_smolvm.errors import CommandError, os_error_text
from fake_smolvm.guest import kinds
from fake_smolvm.guest.protocol import KILLED, ConnectionLostError, SpawnError
from fake_smolvm.machines.hazards import note
from fake_smolvm.operations.connection import DEFAULT_MACHINE, connect, open_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

    from fake_smolvm.guest.protocol import Guest
    from fake_smolvm.host import Host
    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.process import Process
    from fake_smolvm.machines.record import Record
    from fake_smolvm.machines.store import Store

_NANOSECONDS = 10**9

_MILLISECOND = 10**6


class Leaving:
    """Around a command that may use a guest's shell: ends this process, if it is ours, at once.

    Python would wait for what still runs in that shell, and take 3 ms to clean up after it.
    """

    __slots__ = ("_host", "code")

    def __init__(self, host: Host) -> None:
        self._host = host
        self.code = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._host.in_process and kinds.linger():
            import atexit

            atexit.register(self._end)

    def _end(self) -> None:
        for stream in (self._host.stdout, self._host.stderr):
            try:
                stream.flush()
            except OSError:
                pass
        os._exit(self.code)


def execute(
    host: Host,
    name: str | None,
    argv: Sequence[str],
    *,
    env: Sequence[str] = (),
    workdir: str | None = None,
    timeout: int | None = None,
    interactive: bool = False,
    terminal: bool = False,
    stream: bool = False,
) -> int:
    """Run a command in a machine that runs; return its exit code. `timeout` is in nanoseconds.

    Raises CommandError when there is no such machine, or the command cannot be started in it.
    """
    paths, store = open_state(host)
    label = DEFAULT_MACHINE if name is None else name
    if name is None:
        _note_positional(paths, store, argv)
    try:
        process = connect(paths, store, name)
    except CommandError:
        if timeout is not None:
            _note_hanging(paths, store, label)
        raise
    record = _record(store, label)
    variables, folder = kinds.defaults(paths, record)
    given, malformed = pairs(env)
    if malformed:
        note(
            paths,
            "H8",
            command="machine exec",
            machine=label,
            consequence=f"{malformed} value(s) of -e without '=' or without a name: dropped",
        )
    guest = kinds.of(host, paths, record, process)
    mode = "interactive" if interactive or terminal else "stream" if stream else ""
    container = record.image is not None
    joined = container and bool(record.entrypoint or record.cmd)
    how = Session(host, guest, process, mode=mode, container=container, joined=joined)
    if mode == "stream" and guest.wants_stdin(argv):
        note(
            paths,
            "H11",
            command="machine exec --stream",
            machine=label,
            consequence="the command waits for a stdin that never ends",
        )
    code = how.run(
        argv,
        [*variables, *given],
        folder if workdir is None else workdir,
        timeout=timeout,
        terminal=terminal,
    )
    _note_result(paths, label, code, how)
    return code


class Session:
    """One command in a guest, and the words of 0.8.0 for what becomes of it.

    `mode` is "" for output at the end, "stream" for output as it comes, "interactive" with stdin.
    In a machine of an image a `container` runs the command, and says itself that it cannot; beside
    a workload the command has `joined` the workload's.
    """

    __slots__ = (
        "container",
        "guest",
        "host",
        "joined",
        "mode",
        "process",
        "timed_out",
        "truncated",
    )

    def __init__(
        self,
        host: Host,
        guest: Guest,
        process: Process | None,
        *,
        mode: str,
        container: bool = False,
        joined: bool = False,
    ) -> None:
        self.host = host
        self.guest = guest
        self.process = process
        self.mode = mode
        self.container = container
        self.joined = joined
        self.truncated = False
        self.timed_out = False

    def run(
        self,
        argv: Sequence[str],
        env: Iterable[tuple[str, str]],
        workdir: str | None,
        *,
        timeout: int | None = None,
        terminal: bool = False,
    ) -> int:
        """Run the command and show its output; return its exit code. `timeout` is nanoseconds."""
        host = self.host
        cancelled = host.cancelled
        try:
            result = self.guest.run(
                argv,
                env=env,
                workdir=workdir,
                stdin=host.stdin if self.mode == "interactive" else None,
                timeout=None if timeout is None else timeout / _NANOSECONDS,
                on_output=self._pass_on if self.mode else None,
                terminal=terminal,
                silent_stdin=self.mode == "stream",
                cancelled=None if cancelled is None else cancelled.is_set,
            )
        except SpawnError as error:
            if self.container:
                what = f"executable file `{argv[0]}` not found in $PATH"
                host.err(f"crun: {what}: {os.strerror(error.errno)}\n")
                return 1
            raise CommandError(f"agent operation failed: {self._spawn_text(error)}") from None
        except OSError as error:
            raise CommandError(f"io operation failed: {os_error_text(error)}") from None
        except ConnectionLostError:
            if self.mode == "stream":
                host.err("error: io operation failed: connection closed\n")
                return 1
            raise CommandError("io operation failed: connection closed") from None
        self.truncated = result.truncated
        self.timed_out = result.timed_out
        self._pass_on(1, result.stdout)
        self._pass_on(2, result.stderr)
        if result.timed_out and self.container and not self.mode:
            what = "command" if self.joined else "container"
            host.err(f"\n{what} timed out after {(timeout or 0) // _MILLISECOND}ms")
        return result.exit_code

    def _pass_on(self, number: int, data: bytes) -> None:
        stream = self.host.stdout if number == 1 else self.host.stderr
        if data:
            try:
                stream.write(data)
                stream.flush()
            except BrokenPipeError:
                pass  # 0.8.0 does not care who reads.

    def _spawn_text(self, error: SpawnError) -> str:
        reason = os_error_text(OSError(error.errno, ""))
        if not self.mode:
            return f"vm exec: failed to spawn command: {reason}"
        what = "streaming exec" if self.mode == "stream" else "vm exec interactive"
        return f"{what}: {reason}"


def pairs(entries: Iterable[str]) -> tuple[list[tuple[str, str]], int]:
    """Read `-e` values; return the pairs, and how many entries are none."""
    read: list[tuple[str, str]] = []
    malformed = 0
    for entry in entries:
        name, equals, value = entry.partition("=")
        if equals and name:
            read.append((name, value))
        else:
            malformed += 1
    return read, malformed


def _record(store: Store, label: str) -> Record:
    record = store.get(label)
    if record is None:
        from fake_smolvm.machines.record import Record

        return Record(label, 0)  # Its data is there, its record is gone; 0.8.0 goes on without.
    return record


def _note_positional(paths: Paths, store: Store, argv: Sequence[str]) -> None:
    """Note a command that looks like a machine's name put in the wrong place (hazard H6)."""
    try:
        meant = store.get(argv[0])
    except CommandError:
        return
    if meant is not None:
        note(
            paths,
            "H6",
            command="machine exec",
            machine=DEFAULT_MACHINE,
            consequence=f"{argv[0]!r} is run as a command in '{DEFAULT_MACHINE}', and no name",
        )


def _note_hanging(paths: Paths, store: Store, label: str) -> None:
    try:
        record = store.get(label)
    except CommandError:
        return
    if record is not None and record.state == "unreachable":
        note(
            paths,
            "H17",
            command="machine exec --timeout",
            machine=label,
            consequence="the timeout does not count: the real one waits 30 s for the agent",
        )


def _note_result(paths: Paths, label: str, code: int, how: Session) -> None:
    if how.truncated:
        note(
            paths,
            "H14",
            command="machine exec",
            machine=label,
            consequence="output after 11 MiB of a stream is cut off, and nothing says so",
        )
    if code == KILLED:
        note(
            paths,
            "H12",
            command="machine exec",
            machine=label,
            consequence="255: the command's own exit code, or that of a signal: nothing tells",
        )
    elif code in (1, 2) and how.mode != "interactive":
        note(
            paths,
            "H7",
            command="machine exec",
            machine=label,
            consequence=f"exit code {code} is the command's; smolvm's own failures have the same",
        )
