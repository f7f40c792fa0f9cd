"""A guest that runs commands by bashkit, as the agent of a machine does (0.8.0, vm.jsonl part b).

A command is an argv, not a line of shell. The guest knows the commands of its identity, those that
the test provides, and executable files in its folders; a shell among them is bashkit.
"""

from __future__ import annotations

import _thread
import errno
import os
from io import BytesIO
from stat import S_ISDIR

from fake_smolvm.guest.bashkit.programs.table import streaming
from fake_smolvm.guest.bashkit.quirks import leaves_children, wants_stdin, without_shell
from fake_smolvm.guest.bashkit.run import Output, Run
from fake_smolvm.guest.files import SSH_AGENT
from fake_smolvm.guest.protocol import ConnectionLostError, GuestResult, SpawnError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import BinaryIO

    from fake_smolvm.guest.bashkit.inside import Inside
    from fake_smolvm.scenarios.guest_commands import Answer

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BOOT_ENV = (
    ("HOME", "/root"),
    ("TERM", "xterm-256color"),
    ("KRUN_INIT", "/sbin/init"),
    ("KRUN_WORKDIR", "/"),
    ("PATH", PATH),
)
"""What the agent hands on to every command."""
_FOR_EVER = ("sleep", "infinity")


class BashkitGuest:
    """The guest of a machine whose shell is bashkit.

    With `may_fork` a command that outlives this process gets one of its own.
    """

    __slots__ = ("_inside", "_may_fork")

    def __init__(self, inside: Inside, *, may_fork: bool = False) -> None:
        self._inside = inside
        self._may_fork = may_fork

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
        """Run a command to its end: see `Guest.run`."""
        variables = dict(BOOT_ENV)
        if self._inside.record.ssh_agent:
            variables["SSH_AUTH_SOCK"] = SSH_AGENT
        given = dict(env)
        if given:
            variables = dict(sorted({**variables, **given}.items()))
        cwd = self._folder("/" if workdir is None else workdir)
        answer, stdin = self._provided(argv, variables, cwd, stdin)
        if answer is not None:
            code, stdout, stderr = answer
            output = Output(on_output, terminal=terminal)
            output.write(1, stdout)
            output.write(2, stderr)
            return output.result(code)
        started = self._find(argv, variables, cwd)
        if silent_stdin and wants_stdin(started):
            started = [*_FOR_EVER]
        for_children = on_output is None
        forks = self._may_fork and (stdin is not None or leaves_children(" ".join(started)))
        if forks or _needs_process(self._inside, started):
            from fake_smolvm.guest.bashkit import apart
            from fake_smolvm.guest.bashkit.frames import Work

            work = Work(started, variables, cwd, timeout, for_children=for_children)
            output = Output(on_output, terminal=False)
            run_apart = apart.forked if self._may_fork else apart.spawned
            code = run_apart(
                self._inside, work, stdin, output, terminal=terminal, cancelled=cancelled
            )
            return output.result(code, timed_out=work.timed_out)
        output = Output(on_output, terminal=terminal)
        running = Run(self._inside, started, output, env=variables, cwd=cwd, stdin=stdin)
        return running.wait(timeout, cancelled, for_children=for_children)

    def start(
        self, argv: Sequence[str], env: Iterable[tuple[str, str]], workdir: str | None
    ) -> None:
        """Start a command that lives as long as the machine: see `Guest.start`."""
        self._find(argv, {**dict(BOOT_ENV), **dict(env)}, self._folder(workdir or "/"))
        self._inside.note_background(argv)
        if argv[0] in ("sleep", "tail"):
            return  # They do nothing but be there.

        def live() -> None:
            try:
                self.run(argv, env=env, workdir=workdir, on_output=_discard)
            except (OSError, SpawnError, ConnectionLostError):
                pass

        from fake_smolvm.guest.bashkit.child import fork

        if not self._may_fork:
            _thread.start_new_thread(live, ())
        elif fork(self._inside.locks()) == 0:
            try:
                live()
            finally:
                os._exit(0)

    def wants_stdin(self, argv: Sequence[str]) -> bool:
        """Return whether a command reads its stdin to the end before it does anything."""
        return wants_stdin(argv)

    def _provided(
        self, argv: Sequence[str], env: Mapping[str, str], cwd: str, stdin: BinaryIO | None
    ) -> tuple[Answer | None, BinaryIO | None]:
        """Return what the test answers, and the stdin for who else is to read it."""
        if not self._inside.asks_the_test:
            return None, stdin
        given = b"" if stdin is None else stdin.read() or b""
        answer = self._inside.ask_the_test(list(argv), env, cwd, given)
        return answer, None if stdin is None else BytesIO(given)

    def _folder(self, workdir: str) -> str:
        """Give the absolute guest path of a working directory; raises SpawnError."""
        if not workdir:
            raise SpawnError(errno.ENOENT)
        path = os.path.normpath(f"/{workdir}")
        path = path[1:] if path.startswith("//") else path
        try:
            host_path = self._inside.tree.host_path(f"/{workdir}")
            mode = os.stat(host_path).st_mode
        except OSError as error:
            raise SpawnError(error.errno or errno.ENOENT) from None
        if not S_ISDIR(mode):
            raise SpawnError(errno.ENOTDIR)
        return path

    def _find(self, argv: Sequence[str], env: Mapping[str, str], cwd: str) -> list[str]:
        """Give the argv that the shell library is to run; raises SpawnError."""
        name = argv[0]
        if not name or "\0" in "".join(argv):
            raise SpawnError(errno.ENOENT if not name else errno.EINVAL)
        if "/" not in name:
            found = self._inside.find_command(name, env.get("PATH", PATH))
            if found is None:
                raise SpawnError(errno.ENOENT)
            # A command of the guest's is known by its name, a file of the user's by its path.
            return [name if self._inside.identity.has(found) else found, *argv[1:]]
        path = os.path.normpath(os.path.join(cwd, name))
        if self._inside.identity.has(path):
            return [path.rpartition("/")[2], *argv[1:]]
        try:
            mode = os.stat(self._inside.tree.host_path(path)).st_mode
        except OSError as error:
            raise SpawnError(error.errno or errno.ENOENT) from None
        if S_ISDIR(mode) or not mode & 0o111:
            raise SpawnError(errno.EACCES)
        interpreter = self._interpreter(path)
        if not self._inside.identity.has(interpreter):
            raise SpawnError(errno.ENOENT)
        return [path, *argv[1:]]

    def _interpreter(self, path: str) -> str:
        """Give what the first line of a script names; raises SpawnError if it is no script."""
        with open(self._inside.tree.open(path, os.O_RDONLY), "rb") as file:
            line = file.readline(256)
        if not line.startswith(b"#!"):
            raise SpawnError(errno.ENOEXEC)
        words = line[2:].decode(errors="replace").split()
        return words[0] if words else ""


def _needs_process(guest: Inside, argv: list[str]) -> bool:
    if streaming(without_shell(argv, guest)) is not None:
        return False
    from fake_smolvm.guest.bashkit.risk import is_safe

    return not is_safe(guest, argv)


def _discard(number: int, data: bytes) -> None:
    del number, data
