"""The guest's shell: bashkit, a bash in Rust, on the machine's own folders.

One interpreter runs one command of ours, and is forgotten. What bashkit cannot be told it is told
in the script: environment and folder before the command, and after it `__end $?`, which says that
the command is over while background children may go on.
"""

from __future__ import annotations

import os

from fake_smolvm.guest.bashkit.invocation import Invocation
from fake_smolvm.guest.bashkit.native import READ_ONLY, load, make
from fake_smolvm.guest.bashkit.quirks import largest_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from fake_smolvm.guest.bashkit.inside import Inside
    from fake_smolvm.guest.bashkit.invocation import Command

_STDIN = "/proc/self/fd0"
_MOST_IN_MEMORY = 8 << 20
_NO_ROOM = (
    b"fake_smolvm: killed: its shell has room for 32 MB, and 100 calls in each other, at a time; "
    b"a real guest for more\n"
)
_MOST_OF_A_COMMAND = 32 << 20
_TOO_MUCH = "killed: a script's commands have room for 32 MB of output each"
_NOT_SET = frozenset(("UID", "EUID", "PPID", "BASHOPTS", "SHELLOPTS", "BASH_VERSINFO", "_"))
_REPLACED = "\ufffd"
_LIMIT = "resource limit exceeded"
_FAILED = "io error: "


class Shell:
    """One command in a bash of its own.

    `run` blocks, other threads may `cancel` it.
    """

    __slots__ = (
        "_bash",
        "_beside",
        "_clean_up",
        "_ended",
        "_first",
        "_identity",
        "_memory",
        "_more",
        "_on_end",
        "_out",
        "_passed",
        "_script",
        "_torn",
        "_volumes",
    )

    def __init__(
        self,
        guest: Inside,
        programs: Iterable[tuple[str, Command]],
        *,
        script: str,
        out: Callable[[int, bytes], None],
        on_end: Callable[[int], None],
    ) -> None:
        """Make one for a script, with programs of ours.

        Args:
            guest: whose shell it is.
            programs: by their names.
            script: what it will run.
            out: gets the output.
            on_end: gets the script's own exit code.

        Raises:
            LimitError: bashkit is not installed.
        """
        bashkit = load()
        self._out = out
        self._on_end = on_end
        self._ended: int | None = None
        self._identity = guest.identity
        self._script = script
        self._memory = guest.memory_mib << 20
        self._beside = guest.root.rpartition("/")[0]
        builtins = {name: _adapted(guest, program, bashkit) for name, program in programs}
        builtins["__end"] = self._end
        builtins["__stdin"] = self._stdin
        self._clean_up: Callable[[], None] | None = None
        self._first = b""
        self._more: Callable[[], bytes | None] = bytes
        python = "python3" in guest.identity.names
        env = {"BASHKIT_ALLOW_INPROCESS_PYTHON": "1"} if python else {}
        self._bash = make(
            username="root",
            hostname=guest.hostname,
            cwd="/",
            env=env,
            profile=bashkit.ExecutionProfile.Interactive,
            custom_builtins=builtins,
            python=python,
        )
        # Mounts given to the constructor would be announced on the process's stderr.
        real = bashkit.FileSystem.real
        self._bash.mount("/", real(guest.root, writable=True))
        self._volumes: list[tuple[str, int]] = []
        for source, place, read_only in guest.mounts:
            if not os.path.isdir(source):
                # Its host folder is gone: there is nothing in it, and nothing can be put there.
                empty = os.path.join(self._beside, "empty")
                os.makedirs(empty, exist_ok=True)
                self._bash.mount(place, real(empty, writable=False), read_only=True)
                continue
            if not read_only:
                self._volumes.append((source, os.stat(source).st_mode))
            mounted = real(source, writable=not read_only)
            self._bash.mount(place, mounted, read_only=read_only)

    def cancel(self) -> None:
        """Have the command end at its next step."""
        self._bash.cancel()

    def _provide(self, stdin: bytes) -> None:
        if len(stdin) <= _MOST_IN_MEMORY:
            memory = load().FileSystem()
            memory.write_file("/fd0", stdin)
            self._bash.mount("/proc/self", memory)
            return
        from shutil import rmtree
        from tempfile import mkdtemp

        folder = mkdtemp(prefix="stdin-", dir=self._beside)
        self._clean_up = lambda: rmtree(folder, ignore_errors=True)
        with open(os.path.join(folder, "fd0"), "wb") as file:
            file.write(stdin)
        self._bash.mount("/proc/self", load().FileSystem.real(folder))

    def mount_devices(self, folder: str) -> None:
        """Let the files of a host folder be the guest's devices."""
        self._bash.mount("/dev", load().FileSystem.real(folder, writable=False))

    def run(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: str,
        *,
        stdin: bytes = b"",
        more: Callable[[], bytes | None] | None = None,
    ) -> int:
        """Run a command to the end of all its children; give its exit code.

        `stdin` is all of its stdin or, with `more`, the first of it: that gives what has come
        since, and None at the end. What comes so is text: bashkit takes no bytes there.
        """
        words = [f"{name}={quoted(value)}" for name, value in env.items() if _is_name(name)]
        words += [quoted(word) for word in argv]
        if more is not None:
            self._first = stdin
            self._more = more
            command = f"( {' '.join(words)} )"
            if argv[1:2] == ["-c"]:
                # A subshell gives its output as it comes, a shell of its own would not.
                setup = [f"export {name}={quoted(env[name])}" for name in env if _is_name(name)]
                given = " ".join([quoted(word) for word in argv[4:]])
                command = "(\n" + "\n".join([*setup, f"set -- {given}", argv[2], ")"])
            feed = "while __stdin; do sleep 0.01; done"
            return self.evaluate(f"cd {quoted(cwd)}\n{feed} | {{ {command}\n__end $?; }}")
        if stdin:
            self._provide(stdin)
            words.append(f"< {_STDIN}")
        return self.evaluate(f"cd {quoted(cwd)}\n{' '.join(words)}\n__end $?")

    def _stdin(self, _: Any) -> Any:
        """Be the command that writes the stdin of another, a piece at a time."""
        data: bytes | None = self._first
        if data:
            self._first = b""
        else:
            data = self._more()
        if data is None:
            return load().BuiltinResult(exit_code=1)
        return data.decode(errors="replace")

    def begin_session(self, env: Mapping[str, str], cwd: str) -> None:
        """Make ready for scripts one after the other, with that environment, in that folder."""
        setup = [f"export {name}={quoted(env[name])}" for name in env if _is_name(name)]
        self.evaluate("\n".join([f"cd {quoted(cwd)}", *setup, "__end 0"]))

    def evaluate(self, script: str) -> int:
        """Run a script; give its exit code."""
        self._passed = [0, 0]
        self._torn = [False, False]
        result = self._bash.execute_sync(script, on_output=self._pass_on)
        if self._clean_up is not None:
            self._clean_up()
        self._keep_volumes()
        if result.error is not None and result.error.startswith(_LIMIT):
            # What bashkit has no room for, the guest has no memory for: it gets killed.
            if largest_number(self._script) <= self._memory:
                self._out(2, _NO_ROOM)
            self._on_end(-9)
            return -9
        if result.error is None:
            self._pass_rest(result.stdout_bytes, result.stderr_bytes)
        elif result.error.startswith(_FAILED):
            # A command that meets such an error ends all of the script.
            why = "Read-only file system" if READ_ONLY in result.error else result.error
            self._out(2, f"fake_smolvm: the guest's shell stopped here: {why}\n".encode())
        code = int(result.exit_code if self._ended is None else self._ended)
        self._on_end(code)
        return code

    def _keep_volumes(self) -> None:
        """Have the folder of each volume there again: nobody can remove what is mounted."""
        for source, mode in self._volumes:
            if not os.path.lexists(source):
                os.mkdir(source, mode & 0o7777)

    def _pass_rest(self, *whole: bytes) -> None:
        for number, data in enumerate(whole):
            rest = data[self._passed[number] :]
            if rest and number:
                rest = self._as_guest(rest.decode(errors="replace")).encode()
            if rest:
                self._out(number + 1, rest)

    def _as_guest(self, stderr: str) -> str:
        from fake_smolvm.guest.bashkit.wording import Wording

        return Wording(self._identity.names, has_bash=self._identity.has_bash).of(stderr)

    def is_complete(self, script: str) -> bool:
        """Whether a script is one, and not the beginning of one."""
        try:
            self._bash.analyze(script)
        except load().BashError:
            return False
        return True

    @property
    def ended(self) -> bool:
        """Whether the last script reached its `__end`; one that did not has left the shell."""
        return self._ended is not None

    def forget_end(self) -> None:
        """Make ready for the next script of a session."""
        self._ended = None

    @property
    def folder(self) -> str:
        """The folder that a session is in."""
        return str(self._bash.shell_state().cwd)

    def _end(self, context: Any) -> Any:
        self._ended = int(context.argv[0])
        if not any(self._torn):  # else there is output to come
            self._on_end(self._ended)
        return ""

    def _pass_on(self, stdout: str, stderr: str) -> None:
        for number, text in enumerate((stdout, stderr)):
            if not text:
                continue
            # bashkit hands bytes over as text; what it had to replace comes at the end, whole.
            clean = text.partition(_REPLACED)[0] if not self._torn[number] else ""
            self._torn[number] = self._torn[number] or len(clean) < len(text)
            data = clean.encode()
            self._passed[number] += len(data)
            if data:
                self._out(number + 1, data if number == 0 else self._as_guest(clean).encode())


def quoted(word: str) -> str:
    """Quote a word for the shell."""
    return "'" + word.replace("'", "'\\''") + "'"


def _adapted(guest: Inside, command: Command, bashkit: Any) -> Callable[[Any], Any]:
    """Make a builtin of bashkit's of a command of ours."""

    def builtin(context: Any) -> Any:
        out: list[bytes] = []
        err: list[bytes] = []
        size = 0

        def take(data: bytes) -> None:
            nonlocal size
            size += len(data)
            if size > _MOST_OF_A_COMMAND:
                raise MemoryError
            out.append(data)

        stdin = (context.stdin or "").encode()

        def read(size: int) -> bytes:
            nonlocal stdin
            data, stdin = stdin[:size], stdin[size:]
            return data

        def wait(_: float | None) -> None:
            return

        call = Invocation(
            guest,
            [context.name, *context.argv],
            env=context.env,
            cwd=context.cwd,
            read=read,
            out=take,
            stderr=err.append,
            wait=wait,
        )
        try:
            code = command(call)
        except MemoryError:
            out.clear()
            err.append(f"fake_smolvm: {context.name}: {_TOO_MUCH}\n".encode())
            code = 137
        return bashkit.BuiltinResult(
            b"".join(out).decode(errors="replace"), b"".join(err).decode(errors="replace"), code
        )

    return builtin


def _is_name(text: str) -> bool:
    return text.isascii() and text.isidentifier() and text not in _NOT_SET
