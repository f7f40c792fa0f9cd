"""The `smolvm` that a test finds on PATH when it runs on the fake: notes the call, runs the fake.

Starts once for each call of the code under test, so it imports as little as the fake itself does.
"""

from __future__ import annotations

import os
import sys

from fake_smolvm import entry, variables
from fake_smolvm.harness.on_path.inside import keep_inside
from fake_smolvm.harness.on_path.journal import Head, Journal, Portions, file_at_hand, surroundings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, BinaryIO, NoReturn


def main(
    folder: str, outside: Mapping[str, Sequence[str]], *, version: str, noted: bool = True
) -> int:
    """Run the fake on this process's argv for the sandbox in `folder`; return the exit code.

    `version` is which smolvm it is, unless its caller says otherwise.
    Whether the call is `noted` or not (whoever started this does so), a crash of the fake is.
    """
    given = surroundings() if noted else {}
    env = os.environ
    keep_inside(env, folder, outside)
    env.setdefault(variables.VERSION, version)
    env.setdefault(variables.NETWORK, os.path.join(folder, "network.toml"))
    scenario = os.path.join(folder, "scenario.toml")
    if variables.SCENARIO not in env and os.path.exists(scenario):
        env[variables.SCENARIO] = scenario
    journal = Journal(folder)
    try:
        return _noted(journal, given) if noted else _run(journal, str(os.getpid()))
    except _JournalError as error:
        _give_up(error)


def _noted(journal: Journal, env: Mapping[bytes, bytes]) -> int:
    stdin = None if sys.stdin is None else file_at_hand(sys.stdin.fileno())
    with _Noting(journal):
        call = journal.start(os.getpid(), sys.argv, _working_directory(), env, stdin)
    if sys.stdin is not None and stdin is None:
        sys.stdin = _Watched(sys.stdin, _reader(journal, call))
    stdout, stderr = Head(), Head()
    if sys.stdout is not None:
        sys.stdout = _Watched(sys.stdout, stdout.add)
    if sys.stderr is not None:
        sys.stderr = _Watched(sys.stderr, stderr.add)
    code = 1
    try:
        code = _run(journal, call)
    finally:
        with _Noting(journal):
            journal.end(call, code, stderr, stdout)
    return code


def _reader(journal: Journal, call: str) -> Callable[[bytes], object]:
    """Return what notes the bytes that are read, perhaps in a fork of this process."""
    portions = Portions()

    def tell(data: bytes) -> None:
        with _Noting(journal):
            journal.read(call, *portions.next(data))

    return tell


def _run(journal: Journal, call: str) -> int:
    try:
        return entry.main()
    except Exception:
        from traceback import format_exc

        journal.crash(call, format_exc())
        raise


class _JournalError(Exception):
    """A call that cannot be noted must not pass for one that was not made."""


class _Noting:
    """Around what is written to the journal: tells its failures from all others."""

    __slots__ = ("_journal",)

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, failure: object, __: object) -> None:
        if isinstance(failure, OSError):
            reason = os.strerror(failure.errno or 0)
            text = f"fake_smolvm: this call cannot be noted in {self._journal.path}: {reason}"
            raise _JournalError(text) from None


def _give_up(error: Exception) -> NoReturn:
    try:
        sys.stdout.flush()
        os.write(2, f"{error}\n".encode("utf-8", "surrogateescape"))
    except (OSError, AttributeError):
        pass
    # At once: a command may have asked to end this process with another code.
    os._exit(1)


def _working_directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


class _Watched:
    """A text stream that tells of its bytes, as they are read or written."""

    def __init__(self, stream: Any, tell: Callable[[bytes], object]) -> None:
        self._stream = stream
        self.buffer = _WatchedBytes(stream.buffer, tell)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _WatchedBytes:
    def __init__(self, stream: BinaryIO, tell: Callable[[bytes], object]) -> None:
        self._stream = stream
        self._tell = tell

    def write(self, data: bytes) -> int:
        self._tell(data)
        return self._stream.write(data)

    def read(self, size: int = -1) -> bytes:
        return self._told(self._stream.read(size))

    def read1(self, size: int = -1) -> bytes:
        return self._told(self._stream.read1(size))  # type: ignore[attr-defined]

    def readline(self, size: int = -1) -> bytes:
        return self._told(self._stream.readline(size))

    def _told(self, data: bytes) -> bytes:
        if data:
            self._tell(data)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
