"""`smolvm` as a thread of the test's own process, wherever the code under test starts it.

pytest-subprocess decides who answers a command; it hands those of `smolvm` on to what it takes for
the real Popen, which is `ThreadPopen` here: the standard library's own, with all its pipes, text
modes and timeouts, except that its child is a thread that calls the fake. What has to be done
beside pytest-subprocess is that class, a transport that gives it to asyncio, and signals sent by
number to a process that is none.
"""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import inspect
import io
import os
import signal
import subprocess
import threading
import time
import traceback
from asyncio import unix_events
from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Protocol, cast

from pytest_subprocess.process_dispatcher import FakePopenWrapper, ProcessDispatcher
from pytest_subprocess.utils import Command

from fake_smolvm.harness import journal
from fake_smolvm.host import Host, KilledError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pytest
    from pytest_subprocess import FakeProcess

PROGRAM = "smolvm"

_NO_SUCH_PIDS = count(1 << 23)
"""Above every number that Linux (4,194,304) or macOS (99,999) gives to a process."""

_HARMLESS_SIGNALS = {0, signal.SIGCHLD, signal.SIGCONT, signal.SIGSTOP, signal.SIGTSTP}
_HARMLESS_SIGNALS |= {signal.SIGTTIN, signal.SIGTTOU, signal.SIGURG, signal.SIGWINCH}
"""Those that do not end a process; a thread cannot be frozen by one either."""

_MOMENT_SECONDS = 0.005

_PANIC = 101
"""Exit code of a Rust program whose output nobody reads, as `fake_smolvm.entry` has it."""

_ENDING = _thread.allocate_lock()


if TYPE_CHECKING:
    RealPopen = subprocess.Popen[Any]
else:
    # While any `fp` is active, `subprocess.Popen` is not a class.
    RealPopen = ProcessDispatcher.built_in_popen or subprocess.Popen


class ThreadPopen(RealPopen):
    """A Popen whose child, if it is `smolvm`, is a thread.

    `install` makes a subclass of it for each test, with that test's runner.
    """

    runner: Runner
    _is_thread = False
    _outcome: int | None = None

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
        if shell or not is_smolvm(args if executable is None else executable):
            super()._execute_child(  # type: ignore[misc]
                args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo,
                creationflags, shell, *pipes_and_rest,
            )  # fmt: skip
            return
        argv = [os.fsdecode(word) for word in _words(args)]
        if any("\0" in word for word in argv):
            raise ValueError("embedded null byte")
        folder = os.getcwd() if cwd is None else os.path.abspath(os.fsdecode(cwd))
        os.stat(os.path.join(folder, ""))  # raises what a child's failed chdir would
        pipes, rest = pipes_and_rest[:6], pipes_and_rest[6:]
        p2cread, _, _, c2pwrite, _, errwrite = pipes
        # The child's ends are its own, as after a fork; the caller may close its ends at once.
        stdin, stdout, stderr = [
            os.dup(inherited if given == -1 else given)
            for inherited, given in enumerate((p2cread, c2pwrite, errwrite))
        ]
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]
        self._is_thread = self._child_created = True
        self.pid = next(_NO_SUCH_PIDS)
        *_, start_new_session, process_group = rest
        self.leads_group: bool = start_new_session or process_group == 0
        self._stdout, self._stderr = _Output(stdout), _Output(stderr)
        self._cancelled = threading.Event()
        self._over = _thread.allocate_lock()
        self._over.acquire()
        self._dying = _thread.allocate_lock()
        self._is_alive = self._is_dead = False
        self._exit_callbacks: list[Callable[[int], object]] = []
        self._argv = argv
        env = self.runner.environment(env)
        start = journal.started(self.pid, argv, folder)
        self._call = start[1]
        self.runner.note(start)
        self.runner.alive[self.pid] = self
        self._thread = _Worker.do(lambda: self._live(argv, stdin, env, folder))

    def _live(self, *parts: Any) -> None:
        arrived = False
        try:
            try:
                self._is_alive = True
                self._be_the_child(*parts)
            except _KilledByCallerError:
                arrived = True
            except KilledError:
                pass
            with self._dying:
                self._is_dead = True
            # An exception that was sent before that is still to come, and must not come elsewhere.
            while self._cancelled.is_set() and not arrived:
                time.sleep(_MOMENT_SECONDS)
        except _KilledByCallerError:
            pass

    def _be_the_child(self, argv: list[str], stdin: int, env: Mapping[str, str], cwd: str) -> None:
        code = 1
        try:
            with io.FileIO(stdin) as stream:
                host = Host(
                    env=env,
                    cwd=cwd,
                    stdin=cast("BinaryIO", stream),
                    stdout=cast("BinaryIO", self._stdout),
                    stderr=cast("BinaryIO", self._stderr),
                    in_process=True,
                )
                host.cancelled = self._cancelled
                code = self.runner.run_command(argv[1:], host)
        except BrokenPipeError:
            code = _PANIC
        except KilledError:
            raise
        except BaseException:  # noqa: BLE001  a process of its own would end like this as well
            crash = traceback.format_exc()
            self.runner.note(journal.crashed(self._call, argv, crash))
            with contextlib.suppress(OSError):
                self._stderr.write(crash.encode())
        if self._is_first_to_end():
            self._end(code)

    def _is_first_to_end(self) -> bool:
        return self.runner.alive.pop(self.pid, None) is not None

    def _end(self, code: int) -> None:
        """Close the child's streams and tell those who wait."""
        self._stdout.close()
        self._stderr.close()
        if code >= 0:  # a process that is killed leaves no note either
            head = bytes(self._stderr.head)
            self.runner.note(journal.ended(self._call, code, self._argv, head))
        with _ENDING:
            self._outcome = code
        self._over.release()
        for callback in self._exit_callbacks:
            callback(code)

    def communicate(self, input: Any = None, timeout: float | None = None) -> Any:  # noqa: A002
        """Read all output and wait for the child."""
        # Most children are over at once, and then there is no need to watch several pipes.
        moment = _MOMENT_SECONDS if timeout is None else min(timeout, _MOMENT_SECONDS)
        if (
            self._is_thread
            and self.stdin is None
            and not self._communication_started  # type: ignore[attr-defined]
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
            self.returncode = self._outcome
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        """Wait for the child, `timeout` seconds at most."""
        if not self._is_thread:
            code: int = super()._wait(timeout=timeout)  # type: ignore[misc]
            return code
        if self.returncode is None:
            if not self._over.acquire(timeout=-1 if timeout is None else max(timeout, 0)):
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self._over.release()
            self._internal_poll()
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """Do to the child what the signal would do to a process that does not handle it."""
        if not self._is_thread:
            super().send_signal(sig)
        elif sig not in _HARMLESS_SIGNALS and self._is_first_to_end():
            with self._dying:
                if not self._is_dead:
                    while not self._is_alive:
                        time.sleep(_MOMENT_SECONDS)  # its thread has not come to the point yet
                    _raise_in_thread(self._thread)
                    self._cancelled.set()
            self._end(-int(sig))

    def when_over(self, callback: Callable[[int], object]) -> None:
        """Have `callback` called with the exit code, from the child's thread, once it is over."""
        with _ENDING:
            if self._outcome is None:
                self._exit_callbacks.append(callback)
                return
        callback(self._outcome)


class _Worker:
    """A thread that does one thing after the other: a new one for each child would take longer."""

    _idle: ClassVar[list[_Worker]] = []

    def __init__(self) -> None:
        self._work: Callable[[], object] = int
        self._has_work = _thread.allocate_lock()
        self._has_work.acquire()
        self._number = _thread.start_new_thread(self._live, ())

    @classmethod
    def do(cls, work: Callable[[], object]) -> int:
        """Have a thread do `work`; give that thread's number."""
        try:
            worker = cls._idle.pop()
        except IndexError:
            worker = cls()
        worker._work = work
        worker._has_work.release()
        return worker._number

    def _live(self) -> None:
        while True:
            self._has_work.acquire()
            self._work()
            self._work = int
            self._idle.append(self)


# A fork takes no threads along.
os.register_at_fork(after_in_child=_Worker._idle.clear)  # noqa: SLF001


class _Output(io.RawIOBase):
    """The writing end of one of a child's streams, which another thread may close at any moment."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._writing = _thread.allocate_lock()
        self._gone = False
        self.head = bytearray()
        """What the journal keeps of it."""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: Any) -> int:
        with self._writing:
            rest = memoryview(data)
            if len(self.head) < journal.HEAD_OF_STDERR:
                self.head += rest[: journal.HEAD_OF_STDERR]
            while rest and not self._gone:
                rest = rest[os.write(self._descriptor, rest) :]
            if self._gone:
                self._close_descriptor()
                raise BrokenPipeError
        return len(data)

    def close(self) -> None:
        # A writer that is blocked on a full pipe closes the descriptor itself when it gets on.
        self._gone = True
        if self._writing.acquire(blocking=False):
            self._close_descriptor()
            self._writing.release()

    def _close_descriptor(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor != -1:
            os.close(descriptor)


class Runner(Protocol):
    """What the threads of one test have in common."""

    alive: dict[int, ThreadPopen]

    def environment(self, env: Mapping[Any, Any] | None) -> Mapping[str, str]:
        """Give the environment of a child that is started with this `env=`."""

    def run_command(self, argv: list[str], host: Host) -> int:
        """Run `smolvm` with these arguments."""

    def note(self, event: journal.Event) -> None:
        """Keep an event of the journal."""


class _SmolvmCommand(Command):
    """Matches every command line of `smolvm` that the test itself has registered no answer for."""

    __slots__ = ("_definitions",)

    def __init__(self, definitions: Mapping[Command, object]) -> None:
        super().__init__([PROGRAM])
        self._definitions = definitions

    def __eq__(self, other: object) -> bool:
        return is_smolvm(other) and not any(
            key is not self and key == other for key in self._definitions
        )

    __hash__ = Command.__hash__


class _Always(deque[dict[Any, Any] | bool]):
    """Never used up: `True` means "the real thing" to pytest-subprocess."""

    def popleft(self) -> bool:
        return True


def is_smolvm(command: Any) -> bool:
    """Tell whether a command as given to Popen, a string or a sequence, starts `smolvm`."""
    program = _words(command)[:1]
    return bool(program) and os.path.basename(os.fsdecode(program[0])) == PROGRAM


def install(runner: Runner, fp: FakeProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `smolvm` run by `runner` until `monkeypatch` undoes it; other programs really start."""
    popen = type("ThreadPopen", (ThreadPopen,), {"runner": runner})
    fp.allow_unregistered(True)
    fp.definitions[_SmolvmCommand(fp.definitions)] = _Always((True,))
    monkeypatch.setattr(ProcessDispatcher, "built_in_popen", popen)
    monkeypatch.setattr(FakePopenWrapper, "__new__", _popen)
    _install_in_asyncio(popen, monkeypatch)
    _install_signals(runner, monkeypatch)


def _popen(_: object, *positional: Any, **named: Any) -> Any:
    """Call pytest-subprocess, which takes one positional argument, with all that Popen takes."""
    named.update(zip(_POPEN_PARAMETERS, positional, strict=False))
    return ProcessDispatcher.dispatch(named.pop("args"), **named)


_POPEN_PARAMETERS = list(inspect.signature(RealPopen.__init__).parameters)[1:]


def _install_in_asyncio(popen: type[ThreadPopen], monkeypatch: pytest.MonkeyPatch) -> None:
    # Below create_subprocess_exec, so that it does not matter how that was imported.
    make_transport = asyncio.SelectorEventLoop._make_subprocess_transport  # type: ignore[attr-defined]  # noqa: SLF001

    class Transport(unix_events._UnixSubprocessTransport):  # type: ignore[name-defined,misc]  # noqa: SLF001
        def _start(self, args: Any, shell: bool, *rest: Any, **kwargs: Any) -> None:
            streams = dict(zip(("stdin", "stdout", "stderr", "bufsize"), rest, strict=False))
            self._proc = popen(args, shell=shell, **streams, **kwargs)

    async def make(loop: Any, protocol: Any, args: Any, shell: bool, *streams: Any,
                   **kwargs: Any) -> Any:  # fmt: skip
        if shell or not is_smolvm(args):
            return await make_transport(loop, protocol, args, shell, *streams, **kwargs)
        waiter = loop.create_future()
        transport = Transport(loop, protocol, args, shell, *streams, waiter=waiter, **kwargs)

        def over(code: int) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(transport._process_exited, code)  # noqa: SLF001

        transport.get_extra_info("subprocess").when_over(over)
        await waiter
        return transport

    monkeypatch.setattr(asyncio.SelectorEventLoop, "_make_subprocess_transport", make)
    create = asyncio.create_subprocess_exec

    async def create_subprocess_exec(program: Any, *args: Any, **kwargs: Any) -> Any:
        # pytest-subprocess takes no path objects here, asyncio does.
        return await create(os.fspath(program), *map(os.fspath, args), **kwargs)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", create_subprocess_exec)


def _install_signals(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    kill, killpg, getpgid = os.kill, os.killpg, os.getpgid

    def kill_any(pid: int, signal_number: int, /) -> None:
        child = runner.alive.get(pid)
        if child is None:
            kill(pid, signal_number)
        else:
            child.send_signal(signal_number)

    def killpg_any(group: int, signal_number: int, /) -> None:
        (kill_any if group in runner.alive else killpg)(group, signal_number)

    def getpgid_any(pid: int, /) -> int:
        child = runner.alive.get(pid)
        if child is None:
            return getpgid(pid)
        return pid if child.leads_group else getpgid(0)

    monkeypatch.setattr(os, "kill", kill_any)
    monkeypatch.setattr(os, "killpg", killpg_any)
    monkeypatch.setattr(os, "getpgid", getpgid_any)


def _words(command: Any) -> Sequence[Any]:
    return (command,) if isinstance(command, str | bytes | os.PathLike) else tuple(command)


class _KilledByCallerError(KilledError):
    """As it is raised in a child's thread from outside, wherever that thread happens to be."""


def _raise_in_thread(thread: int) -> None:
    import ctypes  # only now: it takes longer than most tests

    number, error = ctypes.c_ulong(thread), ctypes.py_object(_KilledByCallerError)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(number, error)
