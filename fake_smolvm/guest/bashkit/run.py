"""A command of a guest while it runs: its thread, its stdin, and the ends it can come to."""

from __future__ import annotations

import _thread
import os
import time

from fake_smolvm.guest.bashkit.invocation import Invocation, Stopped
from fake_smolvm.guest.bashkit.programs.table import SYSTEM, streaming
from fake_smolvm.guest.bashkit.quirks import (
    SHELLS,
    children,
    devices,
    leaves_children,
    may_read,
    rewritten,
    without_bash,
    without_shell,
)
from fake_smolvm.guest.protocol import (
    KILLED,
    MAX_OUTPUT,
    TIMED_OUT,
    ConnectionLostError,
    GuestResult,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import BinaryIO

    from fake_smolvm.guest.bashkit.inside import Inside
    from fake_smolvm.guest.bashkit.invocation import Command
    from fake_smolvm.guest.bashkit.shell import Shell


STACK = 64 << 20
"""Bytes for a command's thread, by default; only those that are used take memory."""
_POLL_SECONDS = 0.05
_LINGER_SECONDS = 0.1
_PAUSE_SECONDS = 0.15
"""A stdin that gives nothing for so long is fed to a script as it comes."""
_MOST_STDIN = 24 << 20
"""Bytes that a script gets at once; bashkit has room for little more."""
_AT_ONCE = frozenset((*SYSTEM, "true", "false", "echo", "env", "printenv", "pwd")) - {"seq"}
"""Commands of ours that are over before anybody could stop them."""


_PIPE_SIZE = 1 << 16


class PipeClosedError(Exception):
    """The command writes to where nobody reads."""


class Output:
    """Where a command's output goes: to the result, or on as it comes."""

    __slots__ = ("_closed", "_lock", "_on_output", "_parts", "sizes", "terminal")

    def __init__(self, on_output: Callable[[int, bytes], None] | None, *, terminal: bool) -> None:
        self._on_output = on_output
        self.terminal = terminal
        self._lock = _thread.allocate_lock()
        self._parts: tuple[list[bytes], list[bytes]] = ([], [])
        self._closed = False
        self.sizes = [0, 0]

    def write(self, number: int, data: bytes) -> None:
        """Take output; raises Stopped once nobody takes any more."""
        if not data:
            return
        with self._lock:
            if self._closed:
                raise Stopped
            if self.terminal:
                number, data = 1, data.replace(b"\n", b"\r\n")
            if self._on_output is not None:
                self._on_output(number, data)
                return
            size = self.sizes[number - 1]
            self.sizes[number - 1] = size + len(data)
            if size < MAX_OUTPUT:
                self._parts[number - 1].append(data[: MAX_OUTPUT - size])
            if size + len(data) > MAX_OUTPUT + _PIPE_SIZE:
                # The agent reads no further, so the writer gets a SIGPIPE (vm.jsonl, part b).
                raise PipeClosedError

    def close(self) -> None:
        """Take no more."""
        with self._lock:
            self._closed = True

    def result(self, code: int, *, timed_out: bool = False) -> GuestResult:
        """Return what there is, with an exit code."""
        stdout, stderr = (b"".join(parts) for parts in self._parts)
        truncated = max(self.sizes) > MAX_OUTPUT
        return GuestResult(code, stdout, stderr, truncated=truncated, timed_out=timed_out)


class Run:
    """A command while it runs, in a thread of its own."""

    def __init__(
        self,
        guest: Inside,
        argv: list[str],
        output: Output,
        *,
        env: Mapping[str, str],
        cwd: str,
        stdin: BinaryIO | None,
        stack: int = STACK,
    ) -> None:
        self._guest = guest
        self._stack = stack
        self._argv = argv
        self._env = env
        self._cwd = cwd
        self._stdin = stdin
        self._output = output
        self._stop = False
        self._shell: Shell | None = None
        self._code: int | None = None
        self._failure: BaseException | None = None
        self._command_over = _thread.allocate_lock()
        self._command_over.acquire()
        self._all_over = _thread.allocate_lock()
        self._all_over.acquire()

    def wait(
        self,
        timeout: float | None,
        cancelled: Callable[[], bool] | None,
        *,
        for_children: bool,
    ) -> GuestResult:
        """Start the command and wait for its end, or another one."""
        self._argv = without_shell(self._argv, self._guest)
        command = streaming(self._argv)
        if command is not None and self._argv[0] in _AT_ONCE:
            self._live(command)
        else:
            _start_thread(lambda: self._live(command), self._stack)
        deadline = None if timeout is None else time.monotonic() + timeout
        over = self._all_over if for_children and not self._detaches() else self._command_over
        try:
            while not over.acquire(timeout=_step(deadline)):
                if deadline is not None and time.monotonic() >= deadline:
                    return self._output.result(TIMED_OUT, timed_out=True)
                process = self._guest.process
                if process is not None and process.condition() == "gone":
                    raise ConnectionLostError
                if cancelled is not None and cancelled():
                    raise ConnectionLostError
        finally:
            self._stop = True
            self._output.close()
            self._leave()
        if self._failure is not None:
            if not os.path.isdir(self._guest.root):
                raise ConnectionLostError  # the machine was deleted meanwhile
            raise self._failure
        return self._output.result(KILLED if self._code is None or self._code < 0 else self._code)

    def stay(self) -> None:
        """Have `ps` show this command: its client is gone, and it goes on."""
        self._guest.note_background(self._argv)

    def linger(self) -> None:
        """Stay until the children that the command left behind are done, or the machine is gone."""
        process = self._guest.process
        while self._detaches() and not self._all_over.acquire(timeout=_LINGER_SECONDS):
            if process is not None and process.condition() == "gone":
                return

    def _leave(self) -> None:
        """Let go of a shell that is not done: its children go on if they are meant to."""
        if self._shell is None or not self._all_over.locked():
            return
        if self._code is None or not self._detaches():
            self._shell.cancel()
        else:
            _thread.start_new_thread(self._outlast, ())

    def _outlast(self) -> None:
        """Wait for the children that were left behind, and end them with their machine."""
        self.linger()
        if self._shell is not None:
            self._shell.cancel()

    def _detaches(self) -> bool:
        """Whether the script leaves children behind that hold no output of its."""
        return leaves_children(" ".join(self._argv))

    def _live(self, command: Command | None) -> None:
        try:
            code = self._run_shell() if command is None else self._run_command(command)
            self._end(code)
        except (Stopped, PipeClosedError, BrokenPipeError):
            self._end(-1)
        except BaseException as failure:  # noqa: BLE001 - raised where somebody waits
            from fake_smolvm.guest.bashkit.native import told_by_the_system

            self._failure = told_by_the_system(failure)
            self._end(-1)
        self._all_over.release()

    def _end(self, code: int) -> None:
        if self._code is None:
            self._code = code
            self._command_over.release()

    def _run_command(self, command: Command) -> int:
        call = Invocation(
            self._guest,
            self._argv,
            env=self._env,
            cwd=self._cwd,
            read=self._read,
            out=lambda data: self._output.write(1, data),
            stderr=lambda data: self._output.write(2, data),
            wait=self._sleep,
        )
        return command(call)

    def _run_shell(self) -> int:
        from fake_smolvm.guest.bashkit import shown
        from fake_smolvm.guest.bashkit.builtins import builtins
        from fake_smolvm.guest.bashkit.shell import Shell

        guest = self._guest
        argv = [rewritten(word) for word in self._argv]
        if argv[0] in SHELLS and len(argv) > 2 and not guest.identity.has_bash:  # noqa: PLR2004
            argv[2] = without_bash(argv[2])
        text = " ".join(argv)
        if "/bin" in text or "sbin" in text:
            shown.show_commands(guest.root, guest.identity)
        shown.provide_scripts(guest.root, guest.identity, text)
        shell = self._shell = Shell(
            guest,
            builtins(guest, text),
            script=text,
            out=self._output.write,
            on_end=self._shell_end,
        )
        if argv[0] in SHELLS and len(argv) == 1:
            return self._session(shell)
        stdin, ended = b"", True
        if self._stdin is not None and (argv[0].startswith("/") or may_read(text)):
            stdin, ended = self._stdin_at_hand()
        if "/dev/" in text:
            folder = devices(guest, text)
            if folder is not None:
                shell.mount_devices(folder)
        if argv[0] in ("ash", "dash"):
            argv[0] = "sh"
        more = None if ended else self._more_stdin
        code = shell.run(argv, self._env, self._cwd, stdin=stdin, more=more)
        return self._signalled(code, text)

    def _stdin_at_hand(self) -> tuple[bytes, bool]:
        """Read stdin until it ends or pauses; gives what came, and whether it ended."""
        parts: list[bytes] = []
        size = 0
        while size < _MOST_STDIN:
            data = self._more_stdin(_PAUSE_SECONDS)
            if data is None or not data:
                return b"".join(parts), data is None
            parts.append(data)
            size += len(data)
        return b"".join(parts), False

    def _more_stdin(self, seconds: float = 0.0) -> bytes | None:
        """Give what comes on stdin within so many seconds, maybe nothing; None at its end."""
        if self._stdin is None:
            return None
        try:
            number = self._stdin.fileno()
        except OSError:
            return self._read(1 << 20) or None
        from select import POLLIN, poll

        waiting = poll()  # `select` knows no descriptor above 1,023
        waiting.register(number, POLLIN)
        deadline = time.monotonic() + seconds
        while not waiting.poll(min(seconds, _POLL_SECONDS) * 1000):
            if self._stop:
                raise Stopped
            if time.monotonic() >= deadline:
                return b""
        return self._read(1 << 20) or None

    def _session(self, shell: Shell) -> int:
        """Be a shell that reads its commands from stdin, line by line."""
        shell.begin_session(self._env, self._cwd)
        pending, code = "", 0
        for line in self._lines():
            self._prompt(shell, pending, line)
            pending += line
            if not shell.is_complete(pending):
                continue
            shell.forget_end()
            code = shell.evaluate(f"{pending}\n__end $?")
            pending = ""
            if not shell.ended:
                return code
        self._prompt(shell, "", "\n")
        return code

    def _prompt(self, shell: Shell, pending: str, line: str) -> None:
        """Show what a terminal shows before a command: the prompt, and the line again."""
        if self._output.terminal:
            home = self._env.get("HOME", "/")
            folder = shell.folder
            folder = f"~{folder[len(home) :]}" if folder == home else folder
            prompt = "> " if pending else f"{folder} # "
            self._output.write(1, (prompt + line).encode(errors="replace"))

    def _lines(self) -> Iterator[str]:
        rest = b""
        while data := self._read(1 << 16):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield line.decode(errors="replace") + "\n"
        if rest:
            yield rest.decode(errors="replace") + "\n"

    def _shell_end(self, code: int) -> None:
        if self._argv[0] in SHELLS and len(self._argv) == 1:
            return
        if leaves_children(" ".join(self._argv)):
            for line in children(" ".join(self._argv)):
                self._guest.note_background([line])
        self._end(self._signalled(code, " ".join(self._argv)))

    def _signalled(self, code: int, text: str) -> int:
        """Tell an end by a signal from an exit code: bashkit gives 128 and more for both."""
        return -1 if 128 < code < 192 and "kill" in text else code  # noqa: PLR2004

    def _read(self, size: int) -> bytes:
        """Read stdin as it comes; nothing at its end."""
        if self._stdin is None:
            return b""
        read: Callable[[int], bytes] = getattr(self._stdin, "read1", None) or self._stdin.read
        data = read(size) or b""
        if self._stop:
            raise Stopped
        if self._output.terminal and not self._stdin.isatty():
            self._output.write(1, data)  # the echo of a terminal
        return data

    def _sleep(self, seconds: float | None) -> None:
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            left = 1.0 if end is None else end - time.monotonic()
            if self._stop:
                raise Stopped
            if left <= 0:
                return
            time.sleep(min(left, _POLL_SECONDS))


def _start_thread(live: Callable[[], None], stack: int) -> None:
    """Start a thread that the shell library can be deep in."""
    with _starting:
        usual = _thread.stack_size(stack)
        try:
            _thread.start_new_thread(live, ())
        except RuntimeError:  # There is no room for that much.
            _thread.stack_size(usual)
            _thread.start_new_thread(live, ())
        finally:
            _thread.stack_size(usual)


_starting = _thread.allocate_lock()


def _step(deadline: float | None) -> float:
    if deadline is None:
        return _POLL_SECONDS
    return max(0.0, min(_POLL_SECONDS, deadline - time.monotonic()))
