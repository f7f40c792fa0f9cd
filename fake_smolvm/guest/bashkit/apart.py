"""Commands of a guest that get a process of their own.

Some may outlive their client, and some the shell library might not survive: a crash there is the
guest's, and nobody else's. Out of process that is a fork; in process, where a fork would take the
threads of the test with it, a new Python.
"""

from __future__ import annotations

import _thread
import os
import sys
import time

from fake_smolvm.errors import LimitError, SetupError
from fake_smolvm.guest.bashkit import child
from fake_smolvm.guest.bashkit.frames import (
    ASKED,
    CHANNEL,
    END,
    FAILED,
    HEAD,
    LOST,
    OUT_OF_TIME,
    REFUSED,
    TOLD,
    Work,
    receive,
)
from fake_smolvm.guest.bashkit.run import PipeClosedError
from fake_smolvm.guest.protocol import KILLED, TIMED_OUT, ConnectionLostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, BinaryIO

    from fake_smolvm.guest.bashkit.inside import Inside
    from fake_smolvm.guest.bashkit.run import Output

_POLL_SECONDS = 0.05
_GRACE_SECONDS = 10.0
"""After its own timeout a process is given that long to say so."""
_SIGKILL, _SIGTERM, _SIGINT, _SIGHUP = 9, 15, 2, 1
_FROM_OUTSIDE = (_SIGKILL, _SIGTERM, _SIGINT, _SIGHUP)
_CRASHED = (
    b"fake_smolvm: killed: it went deeper, or took more, than the guest's shell has room for\n"
)
_CHILD = f"from {child.__name__} import be_child; be_child()"


def forked(
    guest: Inside,
    work: Work,
    stdin: BinaryIO | None,
    output: Output,
    *,
    terminal: bool,
    cancelled: Callable[[], bool] | None,
) -> int:
    """Run a command in a fork of this process; return its exit code.

    With a `stdin` it goes on when this process is killed.

    Raises:
        ConnectionLostError: its machine is gone.
    """
    del cancelled  # A process that is killed cancels nothing.
    reading, writing = os.pipe()
    client = os.getpid()
    pid = child.fork(guest.locks())
    if pid == 0:
        os.close(reading)
        child.live(
            guest, work, stdin, writing, client, terminal=terminal, outlives=stdin is not None
        )
    os.close(writing)
    with open(reading, "rb", buffering=0) as frames:
        code = _Relay(work, output, lambda size: receive(frames, size)).run()
    return code if code is not None else _ended(pid, output)


def spawned(
    guest: Inside,
    work: Work,
    stdin: BinaryIO | None,
    output: Output,
    *,
    terminal: bool,
    cancelled: Callable[[], bool] | None,
) -> int:
    """Run a command in a new Python; return its exit code.

    Raises:
        ConnectionLostError: its machine is gone, or it was cancelled.
    """
    from marshal import dumps
    from socket import socketpair

    ours, theirs = socketpair()
    given = _file_of(stdin)
    try:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; {_CHILD}"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, given, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), CHANNEL),
            ],
        )
    finally:
        theirs.close()
        os.close(given)
    over = False
    try:
        request = dumps(_told(guest, work, has_stdin=stdin is not None, terminal=terminal))
        ours.sendall(len(request).to_bytes(4, "big") + request)
        watch = _Watch(guest, work, cancelled)
        relay = _Relay(work, output, lambda size: watch.read(ours, size), guest=guest, answers=ours)
        code = relay.run()
        over = True
    finally:
        ours.close()
        if not over:
            os.kill(pid, _SIGKILL)
        if over and code is not None:
            # It may stay for what it left in the background.
            _thread.start_new_thread(os.waitpid, (pid, 0))
    if code is None and watch.out_of_time:
        os.kill(pid, _SIGKILL)
        os.waitpid(pid, 0)
        work.timed_out = True
        return TIMED_OUT
    return code if code is not None else _ended(pid, output)


def _told(guest: Inside, work: Work, *, has_stdin: bool, terminal: bool) -> dict[str, Any]:
    """Return all that another process has to know to run a command in this guest."""
    return {
        "paths": dict(guest.paths.env),
        "record": guest.record.to_row(),
        "pid": None if guest.process is None else guest.process.pid,
        "asks": guest.asks_the_test,
        "argv": list(work.argv),
        "env": dict(work.env),
        "cwd": work.cwd,
        "timeout": work.timeout,
        "for_children": work.for_children,
        "has_stdin": has_stdin,
        "terminal": terminal,
    }


def _file_of(stdin: BinaryIO | None) -> int:
    """Return a new descriptor of what a command is to read."""
    if stdin is None:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.dup(stdin.fileno())
    except OSError:  # There is none behind it.
        from tempfile import TemporaryFile

        with TemporaryFile() as file:
            file.write(stdin.read())
            file.seek(0)
            return os.dup(file.fileno())


def _ended(pid: int, output: Output) -> int:
    """Return the exit code of a process that ended without a word."""
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status >= 0 or -status in _FROM_OUTSIDE:
        raise ConnectionLostError
    output.write(2, _CRASHED)
    return KILLED


class _Watch:
    """Reads what comes from a process, and notices what may happen meanwhile."""

    def __init__(self, guest: Inside, work: Work, cancelled: Callable[[], bool] | None) -> None:
        self._guest = guest
        self._cancelled = cancelled
        self._timeout = work.timeout
        self._started: float | None = None
        self.out_of_time = False

    def read(self, channel: Any, size: int) -> bytes:
        """Return so many bytes, or less at the end.

        Raises:
            ConnectionLostError: the machine is gone, or the command was cancelled.
        """
        channel.settimeout(_POLL_SECONDS)
        data = b""
        while len(data) < size:
            try:
                more = channel.recv(size - len(data))
            except TimeoutError:
                self._look()
                if self.out_of_time:
                    return b""
                continue
            if not more:
                break
            self._started = self._started or time.monotonic()
            data += more
        return data

    def _look(self) -> None:
        process = self._guest.process
        gone = process is not None and process.condition() == "gone"
        if gone or (self._cancelled is not None and self._cancelled()):
            raise ConnectionLostError
        if self._timeout is not None:
            self._started = self._started or time.monotonic()
            late = time.monotonic() - self._started - self._timeout
            self.out_of_time = late > _GRACE_SECONDS


class _Relay:
    """Takes the frames of a process, and answers its questions."""

    def __init__(
        self,
        work: Work,
        output: Output,
        read: Callable[[int], bytes],
        *,
        guest: Inside | None = None,
        answers: Any = None,
    ) -> None:
        self._work = work
        self._output = output
        self._read = read
        self._guest = guest
        self._answers = answers

    def run(self) -> int | None:
        """Relay until the end; return the exit code, or None if the process ended without one."""
        while len(head := self._read(HEAD)) == HEAD:
            kind, number = head[0], int.from_bytes(head[1:], "big", signed=True)
            if kind in (END, OUT_OF_TIME):
                self._work.timed_out = kind == OUT_OF_TIME
                return number
            if kind == LOST:
                raise ConnectionLostError
            content = self._read(number)
            if kind == FAILED:
                raise RuntimeError(content.decode())
            if kind == REFUSED:
                errno, _, path = content.decode("utf-8", "surrogateescape").partition(" ")
                raise OSError(int(errno), os.strerror(int(errno)), path or None)
            if kind == TOLD:
                name, _, message = content.decode("utf-8", "surrogateescape").partition(" ")
                raise (SetupError if name == "SetupError" else LimitError)(message)
            if kind == ASKED:
                self._answer(content)
                continue
            try:
                self._output.write(kind, content)
            except PipeClosedError:
                return KILLED
        return None

    def _answer(self, question: bytes) -> None:
        from marshal import dumps, loads

        assert self._guest is not None  # noqa: S101 - only those that have one are asked
        answer = dumps(self._guest.ask_the_test(*loads(question)))  # noqa: S302 - from our own child
        self._answers.settimeout(None)
        self._answers.sendall(len(answer).to_bytes(4, "big") + answer)
