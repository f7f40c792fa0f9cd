"""Commands of a guest that get a process of their own.

Some may outlive their client, and some the shell library might not survive: a crash there is the
guest's, and nobody else's. Out of process that is a fork; in process, where a fork would take the
threads of the test with it, a new Python.

What the client is to show comes back in frames: a byte (1 stdout, 2 stderr, or one of those below),
and a number of four bytes: how much follows, or the exit code.
"""

from __future__ import annotations

import _thread
import os
import sys
import time

from fake_smolvm.errors import LimitError, SetupError
from fake_smolvm.machines.guest_run import (
    KILLED,
    TIMED_OUT,
    ConnectionLostError,
    Output,
    PipeClosedError,
    Run,
)
from fake_smolvm.machines.process import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, BinaryIO, NoReturn

    from fake_smolvm.machines.guest import Guest
    from fake_smolvm.machines.guest_run import GuestResult
    from fake_smolvm.machines.paths import Paths

_END = 0
_LOST = 3
_FAILED = 4
_TIMED_OUT = 5
_ASKED = 6
_REFUSED = 7
_TOLD = 8
_HEAD = 5
"""Bytes of a frame before its content."""
_POLL_SECONDS = 0.05
_GRACE_SECONDS = 10.0
"""After its own timeout a process is given that long to say so."""
_MOST_MEMORY = 4 << 30
"""Bytes of address space, most of them never used: four times the machine that a test makes."""
_STACK = 16 << 20
"""Bytes; what goes deeper than that goes on for ever, and is over the sooner."""
_SIGKILL, _SIGTERM, _SIGINT, _SIGHUP = 9, 15, 2, 1
_FROM_OUTSIDE = (_SIGKILL, _SIGTERM, _SIGINT, _SIGHUP)
_CRASHED = (
    b"fake_smolvm: killed: it went deeper, or took more, than the guest's shell has room for\n"
)
_CHANNEL = 3
_CHILD = f"from {__name__} import be_child; be_child()"


class Work:
    """A command that is to be run apart, and whether its time ran out."""

    __slots__ = ("argv", "cwd", "env", "for_children", "timed_out", "timeout")

    def __init__(
        self,
        argv: list[str],
        env: Mapping[str, str],
        cwd: str,
        timeout: float | None,
        *,
        for_children: bool,
    ) -> None:
        self.argv = argv
        self.env = env
        self.cwd = cwd
        self.timeout = timeout
        """In seconds."""
        self.for_children = for_children
        self.timed_out = False


def fork(guest: Guest) -> int:
    """Fork; the child has a session of its own, no output, and no part in a start's locks."""
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        pid = os.fork()
        if pid == 0:
            os.setsid()
            for stream in (1, 2):
                os.dup2(nothing, stream)
            _let_go(guest.locks())
    finally:
        os.close(nothing)
    return pid


def _let_go(paths: Iterable[str]) -> None:
    """Close what this process inherited of these files: they are locked as long as it is open."""
    held = []
    for path in paths:
        try:
            held.append(os.stat(path))
        except FileNotFoundError:
            continue
    for name in os.listdir("/dev/fd"):
        try:
            if any(os.path.samestat(os.fstat(int(name)), lock) for lock in held):
                os.close(int(name))
        except OSError:
            continue  # The listing's own is closed by now.


def forked(
    guest: Guest,
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
    pid = fork(guest)
    if pid == 0:
        os.close(reading)
        _live(guest, work, stdin, writing, client, terminal=terminal, outlives=stdin is not None)
    os.close(writing)
    with open(reading, "rb", buffering=0) as frames:
        code = _Relay(work, output, lambda size: _read(frames, size)).run()
    return code if code is not None else _ended(pid, output)


def spawned(
    guest: Guest,
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
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), _CHANNEL),
            ],
        )
    finally:
        theirs.close()
        os.close(given)
    over = False
    try:
        request = dumps(guest.told(work, has_stdin=stdin is not None, terminal=terminal))
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


def _read(frames: Any, size: int) -> bytes:
    parts: list[bytes] = []
    while size and (data := frames.read(size)):
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


class _Watch:
    """Reads what comes from a process, and notices what may happen meanwhile."""

    def __init__(self, guest: Guest, work: Work, cancelled: Callable[[], bool] | None) -> None:
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
        guest: Guest | None = None,
        answers: Any = None,
    ) -> None:
        self._work = work
        self._output = output
        self._read = read
        self._guest = guest
        self._answers = answers

    def run(self) -> int | None:
        """Relay until the end; return the exit code, or None if the process ended without one."""
        while len(head := self._read(_HEAD)) == _HEAD:
            kind, number = head[0], int.from_bytes(head[1:], "big", signed=True)
            if kind in (_END, _TIMED_OUT):
                self._work.timed_out = kind == _TIMED_OUT
                return number
            if kind == _LOST:
                raise ConnectionLostError
            content = self._read(number)
            if kind == _FAILED:
                raise RuntimeError(content.decode())
            if kind == _REFUSED:
                errno, _, path = content.decode("utf-8", "surrogateescape").partition(" ")
                raise OSError(int(errno), os.strerror(int(errno)), path or None)
            if kind == _TOLD:
                name, _, message = content.decode("utf-8", "surrogateescape").partition(" ")
                raise (SetupError if name == "SetupError" else LimitError)(message)
            if kind == _ASKED:
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


def be_child() -> NoReturn:
    """Be the process that `spawned` makes: read what is to be done from a socket, and do it."""
    from marshal import dumps, loads

    from fake_smolvm.machines.guest import Guest
    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.record import Record

    client = os.getppid()
    os.set_inheritable(_CHANNEL, False)
    os.setsid()

    def receive() -> Any:
        with open(os.dup(_CHANNEL), "rb", buffering=0) as channel:
            content = _read(channel, int.from_bytes(_read(channel, 4), "big"))
            return loads(content)  # noqa: S302 - from our own parent

    def ask(*question: Any) -> Any:
        content = dumps(question)
        _send(_CHANNEL, _ASKED, len(content), content)
        return receive()

    told = receive()
    work = Work(
        told["argv"], told["env"], told["cwd"], told["timeout"], for_children=told["for_children"]
    )
    paths, record = Paths(told["paths"]), Record.from_row(told["record"])
    process = None if told["pid"] is None else _Kept(paths, record.name, told["pid"], client)
    test: Any = _Test(ask) if told["asks"] else None
    guest = Guest(paths, record, process=process, scenario=test)
    stdin = open(0, "rb", buffering=0) if told["has_stdin"] else None  # noqa: SIM115
    _live(guest, work, stdin, _CHANNEL, client, terminal=told["terminal"], outlives=False)


class _Test:
    """The guest commands of a test that is another process."""

    guest_commands = True

    def __init__(self, ask: Callable[..., Any]) -> None:
        self.guest_command = ask


class _Kept(Process):
    """A virtual process, as another process sees it: its agent's file, and its own parent."""

    def __init__(self, paths: Paths, name: str, pid: int, client: int) -> None:
        super().__init__(pid, None)
        self._agent = os.path.join(paths.machine_dir(name), "agent")
        self._client = client

    def condition(self) -> Any:
        """Return whether the machine is still there, and who started it."""
        there = os.getppid() == self._client and os.path.exists(self._agent)
        return "alive" if there else "gone"


def _send(channel: int, kind: int, number: int, content: bytes = b"") -> None:
    frame = memoryview(bytes((kind,)) + number.to_bytes(4, "big", signed=True) + content)
    while frame:
        frame = frame[os.write(channel, frame) :]


def _live(
    guest: Guest,
    work: Work,
    stdin: BinaryIO | None,
    channel: int,
    client: int,
    *,
    terminal: bool,
    outlives: bool,
) -> NoReturn:
    """Be the process that runs a command."""

    def send(kind: int, number: int, content: bytes = b"") -> None:
        try:
            _send(channel, kind, number, content)
        except (BrokenPipeError, ConnectionResetError):
            if not outlives:
                os._exit(0)

    def client_gone() -> bool:
        nonlocal client
        if os.getppid() == client:
            return False
        if outlives and client:
            client = 0
            run.stay()
        return not outlives

    try:
        _bound()
        output = Output(lambda kind, data: send(kind, len(data), data), terminal=terminal)
        run = Run(guest, work.argv, output, env=work.env, cwd=work.cwd, stdin=stdin, stack=_STACK)
        result: GuestResult = run.wait(work.timeout, client_gone, for_children=work.for_children)
        send(_TIMED_OUT if result.timed_out else _END, result.exit_code)
        os.close(channel)
        run.linger()
    except ConnectionLostError:
        send(_LOST, 0)
    except BaseException as failure:  # noqa: BLE001 - the client raises it
        kind, content = _as_frame(failure)
        send(kind, len(content), content)
    finally:
        os._exit(0)


def _as_frame(failure: BaseException) -> tuple[int, bytes]:
    """Return the kind and the content of the frame from which the client makes `failure` again."""
    if isinstance(failure, (LimitError, SetupError)):
        text = f"{type(failure).__name__} {failure.message}"
        return _TOLD, text.encode("utf-8", "surrogateescape")
    if isinstance(failure, OSError):
        text = f"{failure.errno or 0} {failure.filename or ''}"
        return _REFUSED, text.encode("utf-8", "surrogateescape")
    return _FAILED, repr(failure).encode()


def _bound() -> None:
    """Leave no core behind, and take only so much memory."""
    import resource

    for what, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_AS, _MOST_MEMORY)):
        soft, hard = resource.getrlimit(what)
        known = [limit for limit in (soft, hard, most) if limit != resource.RLIM_INFINITY]
        try:
            resource.setrlimit(what, (min(known), hard))
        except (OSError, ValueError):
            pass  # Not on this system.
