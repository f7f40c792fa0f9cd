"""`smolvm` as a thread of the test's own process, wherever the code under test starts it.

pytest-subprocess decides who answers a command; it hands those of `smolvm` on to what it takes for
the real Popen, which is `ThreadPopen` here: the standard library's own, with all its pipes, text
modes and timeouts, except that its child is a thread that calls the fake.

A thread answers only where the executable first on PATH would have run, and would have done the
same. Whatever a thread cannot do (a `preexec_fn`, another user, a shell, a forked worker) is left
to the standard library, which then finds that executable. Who asks for the process ID gets one: a
tiny process, which lives and dies with the thread, so that all that works by process IDs does
(asyncio, trio, `os.kill`, `os.waitpid`, psutil). What is different all the same is in
`docs/in-process.md`.
"""

from __future__ import annotations

import _thread
import contextlib
import io
import os
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
from itertools import count
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from fake_smolvm.harness.in_process.body import Body, RealPopen
from fake_smolvm.harness.in_process.streams import (
    Input,
    Output,
    is_fed_by_others,
    is_writable,
    own_streams,
)
from fake_smolvm.harness.in_process.worker import KilledByCallerError, Worker, raise_in_thread
from fake_smolvm.harness.on_path import handed, journal, starts
from fake_smolvm.host import Host, KilledError

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from fake_smolvm.harness.on_path.starts import File, Start

_NO_SUCH_PIDS = count(1 << 23)
"""Above every number that Linux (4,194,304) or macOS (99,999) gives to a process."""

_HARMLESS_SIGNALS = {0, signal.SIGCHLD, signal.SIGCONT, signal.SIGSTOP, signal.SIGTSTP}
_HARMLESS_SIGNALS |= {signal.SIGTTIN, signal.SIGTTOU, signal.SIGURG, signal.SIGWINCH}
_HARMLESS_SIGNALS |= {signal.SIGPIPE, signal.SIGXFSZ}
"""Those that do not end a Python program; a thread cannot be frozen by one either."""

_MOMENT_SECONDS = 0.005

_LONGEST_LINGER_SECONDS = 5.0
"""How long a call that is over leaves its stdin open to a caller that does nothing about it."""

_PANIC = 101
"""Exit code of a Rust program whose output nobody reads, as `fake_smolvm.entry` has it."""


class ThreadPopen(RealPopen):
    """A Popen whose child, if it is `smolvm`, is a thread.

    `install` makes a subclass of it for each test, with that test's runner.
    """

    runner: Runner
    number = 0
    """What the journal knows a child by that is a thread."""
    _is_thread = False
    _outcome: int | None = None
    _body: Body | None = None
    _process_id: Any = None
    _asks_for_no_body = False

    def _execute_child(  # noqa: PLR0917  as subprocess has it
        self,
        args: Any,
        executable: Any,
        preexec_fn: Any,
        close_fds: bool,
        pass_fds: Any,
        cwd: Any,
        env: Mapping[Any, Any] | None,
        startupinfo: Any,
        creationflags: int,
        shell: bool,
        *pipes_and_rest: Any,
    ) -> None:
        """Start the child: the one step of Popen that this class does in another way."""
        pipes, rest = pipes_and_rest[:6], pipes_and_rest[6:]
        start = None
        as_parent = not (shell or preexec_fn or pass_fds or not close_fds)
        if as_parent and _is_for_a_thread(rest) and not is_fed_by_others(*pipes[:2]):
            start = self._understood(args, executable, cwd, env)
        streams = None if start is None else own_streams(pipes)
        if start is None or streams is None:
            super()._execute_child(  # type: ignore[misc]
                args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo,
                creationflags, shell, *pipes_and_rest,
            )  # fmt: skip
            return
        sys.audit("subprocess.Popen", executable or start.argv[0], start.argv, cwd, env)
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]
        self._is_thread = self._child_created = True
        self.number = next(_NO_SUCH_PIDS)
        *_, self._starts_session, self._process_group = rest
        stdin, stdout, stderr = streams
        self._stdout, self._stderr = Output(stdout), Output(stderr)
        self._cancelled = threading.Event()
        self._over = _thread.allocate_lock()
        self._over.acquire()
        self._dying = _thread.allocate_lock()
        self._embodying = _thread.allocate_lock()
        self._is_alive = self._is_dead = False
        file = journal.file_at_hand(stdin)
        self._call = self.runner.notes.start(
            self.number, start.argv, start.cwd, start.env.data.copy(), file
        )
        handed.watch(self, self.runner.notes)
        self.runner.keep_inside(start.env)
        self.runner.alive[self.number] = self
        source = io.FileIO(stdin) if file is not None else Input(stdin, self._note_read)
        self._is_fed = pipes[1] != -1
        self._thread = Worker.do(lambda: self._live(start, source))

    def _understood(
        self, args: Any, executable: Any, cwd: Any, env: Mapping[Any, Any] | None
    ) -> Start | None:
        """Return what a thread can play; all else is left to the standard library."""
        wanted = self.runner.executable
        if not self.runner.answers() or wanted is None:
            return None
        start = starts.understood(args, executable, cwd, env, wanted)
        return start if start is not None and start.is_plain() else None

    def _note_read(self, data: bytes, more: int) -> None:
        self.runner.notes.read(self._call, data, more)

    def _live(self, *parts: Any) -> None:
        arrived = False
        try:
            try:
                self._is_alive = True
                self._be_the_child(*parts)
            except KilledByCallerError:
                arrived = True
            except KilledError:
                pass
            with self._dying:
                self._is_dead = True
            # An exception that was sent before that is still to come, and must not come elsewhere.
            while self._cancelled.is_set() and not arrived:
                time.sleep(_MOMENT_SECONDS)
        except KilledByCallerError:
            pass

    def _be_the_child(self, start: Start, stdin: io.FileIO) -> None:
        with stdin:
            code = self._code_of(start, stdin)
            if self._is_first_to_end():
                self._end(code)
            if self._is_fed:
                self._linger(stdin.fileno())

    def _linger(self, stdin: int) -> None:
        """Leave the pipe to stdin open, as no process is over before its caller can write to it.

        Until it is seen that the call is over, or nobody has the other end, or the pipe is full.
        """
        end = time.monotonic() + _LONGEST_LINGER_SECONDS
        reading = select.poll()
        reading.register(stdin, 0)
        while self.returncode is None and time.monotonic() < end:
            if reading.poll(1) or not is_writable(self.stdin):
                break

    def _code_of(self, start: Start, stdin: io.FileIO) -> int:
        code = 1
        try:
            host = Host(
                env=start.env,
                cwd=start.cwd,
                stdin=cast("BinaryIO", stdin),
                stdout=cast("BinaryIO", self._stdout),
                stderr=cast("BinaryIO", self._stderr),
                in_process=True,
            )
            host.cancelled = self._cancelled
            code = self.runner.run_command(start.argv[1:], host)
        except BrokenPipeError:
            code = _PANIC
        except KilledError:
            raise
        except BaseException:  # noqa: BLE001  a process of its own would end like this as well
            crash = traceback.format_exc()
            self.runner.notes.crash(self._call, crash)
            with contextlib.suppress(OSError):
                self._stderr.write(crash.encode())
        return code

    def _is_first_to_end(self) -> bool:
        return self.runner.alive.pop(self.number, None) is not None

    def _end(self, code: int) -> None:
        """Close the child's streams and tell those who wait."""
        self._stdout.close()
        self._stderr.close()
        if code >= 0:  # a process that is killed leaves no note either
            self.runner.notes.end(self._call, code, self._stderr.head, self._stdout.head)
        with self._embodying:
            self._outcome = code
            if self._body is not None:
                self._body.end(code)
        self._over.release()

    @property
    def pid(self) -> int:
        """The process ID of the child; one that is a thread gets a process at the first look."""
        if not self._is_thread:
            return cast("int", self._process_id)
        with self._embodying:
            if self._body is None and self.returncode is None and not self._asks_for_no_body:
                self._body = Body(self._starts_session, self._process_group)
                if self._outcome is None:
                    Worker.do(self._watch_body)
                else:
                    self._body.end(self._outcome)
                    self._body.wait_without_reaping()
        return self.number if self._body is None else self._body.pid

    @pid.setter
    def pid(self, value: int) -> None:
        self._process_id = value

    def _watch_body(self) -> None:
        """Die when the body is killed by somebody who knows its process ID."""
        if self._body is not None:
            self._body.wait_without_reaping()
            self._kill_thread(signal.SIGKILL)

    def _is_ours(self) -> bool:
        return self.runner.pid == os.getpid()

    def communicate(self, input: Any = None, timeout: float | None = None) -> Any:  # noqa: A002
        """Read all output and wait for the child."""
        # Most children are over at once, and then there is no need to watch several pipes.
        moment = _MOMENT_SECONDS if timeout is None else min(timeout, _MOMENT_SECONDS)
        if (
            self._is_thread
            and self._body is None
            and self.stdin is None
            and not self._communication_started  # type: ignore[attr-defined]
            and self._is_ours()
            and self._over.acquire(timeout=max(moment, 0))
        ):
            self._over.release()
            said = [stream and stream.read() for stream in (self.stdout, self.stderr)]
            for stream in (self.stdout, self.stderr):
                if stream is not None:
                    stream.close()
            self.wait()
            return tuple(said)
        return super().communicate(input, timeout)

    def _internal_poll(self, *args: Any, **kwargs: Any) -> int | None:
        """Say, without waiting, whether the child is over."""
        if not self._is_thread:
            code: int | None = super()._internal_poll(*args, **kwargs)  # type: ignore[misc]
            return code
        if self.returncode is None:
            if not self._is_ours():
                self.returncode = 0  # what Popen makes of a child that is another process's
            elif self._body is not None:
                self.returncode = self._body.poll()
            else:
                self.returncode = self._outcome
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        """Wait for the child, `timeout` seconds at most."""
        if not self._is_thread:
            code: int = super()._wait(timeout=timeout)  # type: ignore[misc]
            return code
        end = None if timeout is None else time.monotonic() + timeout
        if self._internal_poll() is None:
            if not self._over.acquire(timeout=-1 if timeout is None else max(timeout, 0)):
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self._over.release()
            if self._body is not None:
                try:
                    self._body.wait(None if end is None else max(end - time.monotonic(), 0.05))
                except subprocess.TimeoutExpired:
                    raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
            self._internal_poll()
        return cast("int", self.returncode)

    def send_signal(self, sig: int) -> None:
        """Do to the child what the signal would do to a process that does not handle it."""
        if not self._is_thread:
            super().send_signal(sig)
        elif self.poll() is None:
            if sig in _HARMLESS_SIGNALS or _is_ignored(sig):
                if self._body is not None:
                    self._body.send_signal(sig)
            else:
                self._kill_thread(sig)

    def _kill_thread(self, sig: int) -> None:
        if self._is_first_to_end():
            with self._dying:
                if not self._is_dead:
                    while not self._is_alive:
                        time.sleep(_MOMENT_SECONDS)  # its thread has not come to the point yet
                    raise_in_thread(self._thread, self._cancelled.set)
            self._end(-int(sig))

    def __del__(self, *args: Any, **kwargs: Any) -> None:
        self._asks_for_no_body = True
        super().__del__(*args, **kwargs)


def _is_for_a_thread(rest: tuple[Any, ...]) -> bool:
    """Tell whether all that makes a process another one than its parent is left alone."""
    _restore_signals, *ids, umask, _start_new_session, process_group = rest
    return not any(one is not None for one in ids) and umask < 0 and process_group in (-1, 0)


def _is_ignored(number: int) -> bool:
    """Tell whether a child would inherit that it ignores a signal; smolvm does not for Ctrl-C."""
    return number != signal.SIGINT and signal.getsignal(number) is signal.SIG_IGN


class Runner(Protocol):
    """What the threads of one test have in common."""

    alive: dict[int, ThreadPopen]
    notes: journal.Journal
    pid: int
    """The process that has these threads: a fork takes none along."""
    executable: File | None
    """The one on PATH that they stand for."""

    def answers(self) -> bool:
        """Tell whether a thread is to answer, here and now."""

    def keep_inside(self, env: MutableMapping[str, str]) -> None:
        """Take out of a child's environment what leads out of the sandbox."""

    def run_command(self, argv: list[str], host: Host) -> int:
        """Run `smolvm` with these arguments."""
