r"""The journal of calls: who was called with what, when, and how it ended.

One line a event, each appended by a single write, so that any number of processes share a file.
A line is the `repr` of a tuple, which needs no import to write and keeps every string (also bytes
that are no UTF-8, as surrogates) exactly:

    ("start", call, nanoseconds, pid, [argv…], cwd, marks, environment, stdin if that is a file)
    ("spawned", "", …)   the first eight of these, noted by who started it, perhaps long before it
    ("read", call, nanoseconds, bytes that the call read from another stdin, how many more)
    ("given", "", nanoseconds, pid, bytes that another process handed over, how many more)
    ("end", call, nanoseconds, exit code, stderr, stdout)
    ("crash", call, nanoseconds, traceback of an error in the fake itself)

`call` tells calls apart. Times are of the monotonic clock, which all processes share. Secrets are
masked before anything is written. `marks` are the words that hold them, for exact comparison, and
beside the journal is a list of all secrets so far, as a later call may say one: both scrambled, so
that no search finds them. The key is in the sandbox, which nobody but the user can read, and which
is gone after the test.

A new event begins with a line feed, so that one cut short by a kill, or by a full disk, spoils no
other.
"""

from __future__ import annotations

import os
import time

from fake_smolvm.harness.on_path.secrets import (
    marked,
    masked_argv,
    masked_head,
    masked_text,
    scrambled,
    secret_values,
    smolfiles,
    unscrambled,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any, TypeAlias

    Event: TypeAlias = tuple[Any, ...]
    Environment: TypeAlias = Mapping[bytes, bytes]

KEPT = 64 * 1024
"""Bytes that are kept of each stream of a call, from its head on; the rest is counted."""

_JOURNAL = "calls.journal"
_KEY = "calls.key"
_SECRETS = "calls.secrets"
_NO_SPACE = 28
"""ENOSPC, on Linux and macOS."""
_KIND, _REGULAR = 0o170000, 0o100000
"""Bits of a file's mode, as `stat` has them."""
_COERCED = (b"C.UTF-8", b"C.utf8", b"UTF-8")
"""What Python sets LC_CTYPE to where no locale was asked for."""


class Head:
    """The head of a stream, and how long it was."""

    __slots__ = ("data", "size")

    def __init__(self, data: bytes = b"", size: int | None = None) -> None:
        self.data = bytearray(data)
        self.size = len(data) if size is None else size

    def add(self, data: Any) -> None:
        """Add what came next: anything with a buffer of bytes."""
        room = KEPT - len(self.data)
        if room > 0:
            self.data += data[:room]
        self.size += len(data)

    @property
    def more(self) -> int:
        """How many bytes are not kept."""
        return self.size - len(self.data)


class Portions:
    """A stream that is told of as it passes: of its head every portion, of the rest how much."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told = 0

    def next(self, data: bytes) -> tuple[bytes, int]:
        """Return what is kept of what came next, and how many bytes of it are not."""
        kept = data[: max(KEPT - self._told, 0)]
        self._told += len(data)
        return kept, len(data) - len(kept)


class Journal:
    """Takes notes of calls, and of what must not be shown, for the sandbox in a folder."""

    __slots__ = ("_folder", "_keep", "_key", "path")

    def __init__(self, folder: str, keep: Callable[[Event], object] | None = None) -> None:
        """Keep events in the file of that sandbox, or give them to `keep`."""
        self._folder = folder
        self._keep = keep
        self._key = ""
        self.path = os.path.join(folder, _JOURNAL)

    @staticmethod
    def found(folder: str, key: str) -> None:
        """Lay out a sandbox's journal; `key` scrambles its secrets."""
        with open(os.path.join(folder, _KEY), "w", encoding="ascii") as file:
            file.write(key)

    @property
    def key(self) -> str:
        """The key of what is scrambled; empty once the sandbox is gone, with all of that."""
        if not self._key:
            try:
                with open(os.path.join(self._folder, _KEY), encoding="ascii") as file:
                    self._key = file.read()
            except FileNotFoundError:
                pass
        return self._key

    def start(
        self,
        pid: int,
        argv: Sequence[str],
        cwd: str,
        env: Environment,
        stdin: Head | None = None,
    ) -> str:
        """Note that a call begins; return what tells it from others."""
        now = time.monotonic_ns()
        call = f"{pid}-{now}"
        given = None if stdin is None else (bytes(stdin.data), stdin.more)
        self._note(("start", call, now, *self._asked(pid, argv, cwd, env), given))
        return call

    def spawned(self, now: int, pid: int, argv: Sequence[str], cwd: str, env: Environment) -> None:
        """Note that a process was started that is to be a call, should it live to say so."""
        self._note(("spawned", "", now, *self._asked(pid, argv, cwd, env)))

    def _asked(self, pid: int, argv: Sequence[str], cwd: str, env: Environment) -> Event:
        marks: list[Any] = []
        secrets = secret_values(argv)
        if secrets:
            marks = marked(argv, self.key)
        secrets += [it for path in smolfiles(argv) for it in _of_smolfile(os.path.join(cwd, path))]
        self.learn(secrets)
        if secrets or self._knows_any():
            env = self._hidden(env)
        return pid, masked_argv(argv), cwd, marks, env

    def read(self, call: str, data: bytes, more: int = 0) -> None:
        """Note what a call read from its stdin, and how many bytes of it are not kept."""
        self._note(("read", call, time.monotonic_ns(), data, more))

    def give(self, pid: int, data: bytes, more: int = 0) -> None:
        """Note what was handed over as stdin to the call with that process ID."""
        self._note(("given", "", time.monotonic_ns(), pid, data, more))

    def end(self, call: str, exit_code: int, stderr: Head, stdout: Head) -> None:
        """Note that a call is over by itself; a signal is a negative exit code."""
        said = [""] * 2
        if stderr.size or stdout.size:
            secrets = self.secrets()
            said = [
                masked_head(bytes(head.data), KEPT, secrets, more=head.more)
                for head in (stderr, stdout)
            ]
        self._note(("end", call, time.monotonic_ns(), exit_code, *said))

    def crash(self, call: str, traceback: str) -> None:
        """Note that a call met an error in the fake."""
        self._note(("crash", call, time.monotonic_ns(), masked_text(traceback, self.secrets())))

    def learn(self, secrets: Iterable[str]) -> None:
        """Keep secrets that calls from now on may say, so that none of them is shown."""
        for secret in secrets:
            _append(os.path.join(self._folder, _SECRETS), scrambled(secret, self.key))

    def secrets(self) -> list[str]:
        """Return the secrets that calls of this sandbox were given so far."""
        found = []
        for line in _lines(os.path.join(self._folder, _SECRETS)):
            try:
                found.append(unscrambled(line.decode(), self.key))
            except ValueError:
                pass  # a kill, or a full disk, has cut it short: it was never used then
        return found

    def events(self) -> Iterator[Event]:
        """Return the events in the file; a line that is none, or only a part of one, is left out.

        That is what a kill, or a full disk, may leave.
        """
        from ast import literal_eval

        for line in _lines(self.path):
            try:
                event = literal_eval(line.decode())
            except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
                continue
            if _is_event(event):
                yield event

    def _note(self, event: Event) -> None:
        if self._keep is None:
            _append(self.path, repr(event))
        else:
            self._keep(event)

    def _knows_any(self) -> bool:
        return os.path.exists(os.path.join(self._folder, _SECRETS))

    def _hidden(self, env: Environment) -> Mapping[bytes, Any]:
        """Return an environment with each value that holds a secret masked, and scrambled."""
        secrets = self.secrets()
        hidden: dict[bytes, Any] = dict(env)
        for name, value in env.items():
            text = os.fsdecode(value)
            masked = masked_text(text, secrets)
            if masked != text:
                hidden[name] = masked, scrambled(text, self.key)
        return hidden


def surroundings() -> dict[bytes, bytes]:
    """Return the environment that this process was given."""
    env = dict(os.environb)
    if env.get(b"LC_CTYPE") in _COERCED:
        # Perhaps it is Python that has set this; what there was before is still to be seen here.
        try:
            with open("/proc/self/environ", "rb") as file:
                there = file.read().split(b"\0")
        except OSError:
            there = []
        if there and not any(entry.startswith(b"LC_CTYPE=") for entry in there):
            del env[b"LC_CTYPE"]
    return env


def file_at_hand(descriptor: int) -> Head | None:
    """Return what a regular file holds from where it stands; None if it is something else."""
    try:
        status = os.fstat(descriptor)
        if status.st_mode & _KIND != _REGULAR:
            return None
        position = os.lseek(descriptor, 0, os.SEEK_CUR)
        data = os.pread(descriptor, KEPT, position)
    except OSError:
        return None
    return Head(data, max(status.st_size - position, len(data)))


def _of_smolfile(path: str) -> list[str]:
    """Return the values in the `env` of a Smolfile; of one that is none, nothing."""
    import tomllib

    try:
        with open(path, "rb") as file:
            data = tomllib.load(file)
        lists = [data.get("env", ()), data.get("dev", {}).get("env", ())]
        values = [str(entry).partition("=")[2] for entries in lists for entry in entries]
    except (OSError, ValueError, RecursionError, AttributeError, TypeError):
        return []
    return [value for value in values if value]


def _append(path: str, text: str) -> None:
    line = f"\n{text}\n".encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.write(descriptor, line) < len(line):
            raise OSError(_NO_SPACE, os.strerror(_NO_SPACE), path)
    finally:
        os.close(descriptor)


def _lines(path: str) -> list[bytes]:
    """Return the whole lines of a file, none of them empty; of none, nothing."""
    try:
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")[:-1]
    except (FileNotFoundError, IsADirectoryError):
        return []
    return [line for line in lines if line]


_SHORTEST = {"start": 9, "spawned": 8, "read": 5, "given": 6, "end": 6, "crash": 4}


def _is_event(event: Any) -> bool:
    return (
        isinstance(event, tuple)
        and len(event) > 2  # noqa: PLR2004
        and event[0] in _SHORTEST
        and len(event) == _SHORTEST[event[0]]
        and isinstance(event[2], int)
    )
