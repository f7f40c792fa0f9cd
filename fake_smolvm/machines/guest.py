"""The inside of a machine: runs commands on its files, as its agent does (0.8.0, vm.jsonl part b).

A command is an argv, not a line of shell. The guest knows the commands of its identity, those that the
test provides, and executable files in its folders; a shell among them is bashkit.
"""

from __future__ import annotations

import _thread
import errno
import os
import time

from fake_smolvm.errors import CommandError
from fake_smolvm.machines import guest_root, images, lifecycle, spare
from fake_smolvm.machines.guest_commands import (
    STREAMING,
    SYSTEM,
    Invocation,
    Stopped,
    missing,
    not_emulated,
    streaming,
)
from fake_smolvm.machines.tree import GuestTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any, BinaryIO

    from fake_smolvm.host import Host
    from fake_smolvm.machines.egress import Reach
    from fake_smolvm.machines.guest_commands import Command
    from fake_smolvm.machines.lifecycle import Process
    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.record import Record
    from fake_smolvm.scenarios import Scenario

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BOOT_ENV = (
    ("HOME", "/root"),
    ("TERM", "xterm-256color"),
    ("KRUN_INIT", "/sbin/init"),
    ("KRUN_WORKDIR", "/"),
    ("PATH", PATH),
)
"""What the agent hands on to every command."""
SSH_AGENT = "/tmp/ssh-agent.sock"  # noqa: S108 - in the guest
"""Where the host's SSH agent is in a machine that has it; here a file that nobody listens to."""
MAX_OUTPUT = 11 << 20
"""Bytes of one stream that come back from a command that is not streamed (hazard H14)."""
TIMED_OUT = 124
KILLED = 255
"""The exit code of a command that a signal ended (hazard H12)."""
SHELLS = frozenset(("sh", "ash", "bash", "dash"))

_PIPE_SIZE = 1 << 16
_POLL_SECONDS = 0.05
_FOR_EVER = ("sleep", "infinity")
_ENDLESS = frozenset(("cat", "head", "seq", "sleep", "yes"))
_PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-,+:@% "
"""Characters that mean themselves to a shell, wherever they are."""
_KERNEL_THREADS = ("kthreadd", "kworker/0:0-eve", "ksoftirqd/0", "rcu_preempt", "kswapd0")
_AGENT_PID = 360
_FIRST_PID = 640
_AT_ONCE = frozenset((*SYSTEM, "true", "false", "echo", "env", "printenv", "pwd")) - {"seq"}
"""Commands of ours that are over before anybody could stop them."""
_READERS = frozenset(
    "ash awk base64 bash bc bzip2 cat cksum cmp comm cut dash dd diff egrep fgrep fold grep gunzip "
    "gzip head hexdump jq less md5sum more nl od paste python python3 read rev sed sh sha1sum "
    "sha256sum sha512sum sort split strings sum tac tail tar tee tr uniq unexpand wc while xargs "
    "xxd zcat mapfile readarray select node".split()
)
"""Commands that may want stdin. For all others nobody waits until it ends."""


class SpawnError(Exception):
    """A command cannot be started; `errno` says why."""

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.errno = number


class ConnectionLostError(Exception):
    """The machine ended, or was cut off, while a command ran in it."""


class GuestResult:
    """What became of a command: its exit code, and what it wrote unless that was passed on."""

    __slots__ = ("exit_code", "stderr", "stdout", "timed_out", "truncated")

    def __init__(
        self,
        exit_code: int,
        stdout: bytes = b"",
        stderr: bytes = b"",
        *,
        truncated: bool = False,
        timed_out: bool = False,
    ) -> None:
        self.exit_code = exit_code
        self.stdout = stdout
        self.stderr = stderr
        self.truncated = truncated
        """Whether output was cut off at MAX_OUTPUT."""
        self.timed_out = timed_out


class Guest:
    """The inside of one machine, from one start of it to its stop.

    `root` is the host folder that is `/`. With `process` the commands end when that process does. With
    `may_fork` a command that outlives this process gets one of its own.
    """

    __slots__ = (
        "_may_fork",
        "_record",
        "_scenario",
        "cpus",
        "hostname",
        "identity",
        "memory_mib",
        "mounts",
        "overlay_gib",
        "paths",
        "process",
        "root",
        "storage_gib",
        "tree",
        "user",
    )

    def __init__(
        self,
        paths: Paths,
        record: Record,
        *,
        process: Process | None = None,
        scenario: Scenario | None = None,
        may_fork: bool = False,
    ) -> None:
        self._may_fork = may_fork
        self.paths = paths
        self._record = record
        self._scenario = scenario
        self.process = process
        self.root = paths.guest_root(record.name)
        self.mounts = record.mounts
        self.tree = GuestTree(self.root, self.mounts)
        self.hostname = "localhost"
        self.cpus = record.cpus
        self.memory_mib = record.mem
        self.storage_gib = record.storage_gb or 20
        self.overlay_gib = record.overlay_gb or 10
        image = None if record.image is None else images.find(paths.env, record.image)
        self.identity = guest_root.load(images.BARE_IDENTITY if image is None else image.identity)
        self.user = 0 if image is None else image.user
        spare.take(paths, self.root)
        workdir = None if image is None else image.workdir
        guest_root.lay_out(self.root, self.identity, workdir or "/")
        if os.path.exists(f"{self.root}/.smolvm-packages"):
            from fake_smolvm.machines.packages import with_installed

            self.identity = with_installed(self.identity, self.root)
        for _, place, _ in self.mounts:
            # Where a volume goes there is a folder, as the agent makes it.
            guest_root.make_folder(self.root, place)
        if record.ssh_agent:
            guest_root.make_file(self.root, SSH_AGENT)

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
        """Run a command to its end, and that of its children that hold its output.

        `timeout` is in seconds; a command that it ends has the exit code 124. `on_output` gets the
        output as it comes (1 for stdout, 2 for stderr), from another thread; without it the result has
        it, cut at MAX_OUTPUT a stream. With `on_output` nobody waits for children. `terminal` joins
        stderr into stdout and ends lines as a terminal does. With `silent_stdin` the command's stdin
        is a pipe into which nobody ever writes.

        Raises SpawnError when it does not start, ConnectionLostError when the machine goes first.
        """
        variables = dict(BOOT_ENV)
        if self._record.ssh_agent:
            variables["SSH_AUTH_SOCK"] = SSH_AGENT
        given = dict(env)
        if given:
            variables = dict(sorted({**variables, **given}.items()))
        cwd = self._folder("/" if workdir is None else workdir)
        answer = self._provided(argv, variables, cwd, stdin)
        if answer is not None:
            code, stdout, stderr = answer
            output = _Output(on_output, terminal=terminal)
            output.write(1, stdout)
            output.write(2, stderr)
            return output.result(code)
        started = self._find(argv, variables, cwd)
        if silent_stdin and wants_stdin(started):
            started = [*_FOR_EVER]
        output = _Output(on_output, terminal=terminal)
        for_children = on_output is None
        if self._may_fork and (stdin is not None or _leaves_children(" ".join(started))):
            from fake_smolvm.machines.guest_apart import run_apart

            def run(write: Callable[[int, bytes], None]) -> _Run:
                return _Run(self, started, variables, cwd, stdin, _Output(write, terminal=terminal))

            relayed = _Output(on_output, terminal=False)
            code = run_apart(
                run, relayed, timeout, for_children=for_children, outlives=stdin is not None
            )
            return relayed.result(code)
        running = _Run(self, started, variables, cwd, stdin, output)
        return running.wait(timeout, cancelled, for_children=for_children)

    def find_command(self, name: str, path: str) -> str | None:
        """Give the absolute path that a name means, looked up in a PATH; None if there is none."""
        for folder in path.split(":"):
            place = f"{folder}/{name}"
            if folder and (self.identity.has(place) or self._is_executable(place)):
                return place
        return None

    def builtins(self, script: str) -> Iterator[tuple[str, Command]]:
        """Give the commands of ours that a script meets, by name; those of the test before all."""
        known = self.identity.names
        for name, command in SYSTEM.items():
            yield name, command if name in known else missing
        yield "__dd", STREAMING["dd"]
        for name in _NOT_IN_EVERY_GUEST:
            if name not in known:
                yield name, missing
            elif name in _NEVER_EMULATED:
                yield name, not_emulated
        if self._scenario is not None and self._scenario.guest_commands:
            import re

            for name in set(re.findall(r"[\w.+-]+", script)) - known - _SHELL_WORDS:
                yield name, self._of_the_test

    def _of_the_test(self, call: Invocation) -> int:
        """Be a command that the test may provide."""
        stdin = b"".join(iter(lambda: call.read(1 << 16), b""))
        assert self._scenario is not None
        answer = self._scenario.guest_command(list(call.argv), call.env, call.cwd, stdin)
        if answer is None:
            return missing(call)
        code, stdout, stderr = answer
        call.out(stdout)
        call.stderr(stderr)
        return code

    def reach(self, argv: Sequence[str], destination: str) -> Reach:
        """Tell whether this machine reaches a destination; notes what 0.8.0 does not enforce."""
        from fake_smolvm.machines import egress

        found = egress.reach(self._record, destination, egress.network_of(self.paths.env))
        if found.unenforced:
            from fake_smolvm.machines.hazards import note

            note(
                self.paths,
                "H2",
                command=f"machine exec ({argv[0]})",
                machine=self._record.name,
                consequence=f"{destination} is outside the machine's list, and reached all the same",
            )
        return found

    def fetch(self, argv: Sequence[str], url: str, host: str) -> tuple[str | None, Mapping[str, Any]]:
        """Ask for a URL: why it cannot be had, or None, and what the test has there."""
        from fake_smolvm.machines import egress

        found = self.reach(argv, host)
        if found.verdict == "no network":
            return "Network unreachable", {}
        if not found:
            return found.verdict, {}
        answer = egress.network_of(self.paths.env).answer(url)
        # Nothing leaves the host: where the test has no answer, nobody is there.
        return ("Network unreachable", {}) if answer is None else (None, answer)

    def process_lines(self, own: str) -> Iterator[tuple[int, str]]:
        """Give the processes in the machine, as `ps` shows them; the last is `ps` itself."""
        yield 1, "/init.krun /sbin/init"
        for number, name in enumerate(_KERNEL_THREADS, 2):
            yield number, f"[{name}]"
        yield _AGENT_PID, "{memfd:agent} /sbin/init /sbin/init"
        pid = _FIRST_PID
        for line in self._background():
            yield pid, line
            pid += 1
        yield pid, own

    def go_silent(self) -> None:
        """Let the agent be gone and the process stay, as after a `poweroff` in the guest."""
        process = self.process
        if process is None:
            return
        if process.pid >= lifecycle.FIRST_VIRTUAL_PID:
            lifecycle.set_condition(process.pid, "frozen")
        else:
            from signal import SIGSTOP

            os.kill(process.pid, SIGSTOP)

    def start(self, argv: Sequence[str], env: Iterable[tuple[str, str]], workdir: str | None) -> None:
        """Start a command that lives as long as the machine, or until it ends by itself.

        Raises SpawnError.
        """
        self._find(argv, {**dict(BOOT_ENV), **dict(env)}, self._folder(workdir or "/"))
        self.note_background(argv)
        if argv[0] in ("sleep", "tail"):
            return  # They do nothing but be there.

        def live() -> None:
            try:
                self.run(argv, env=env, workdir=workdir, on_output=_discard)
            except (SpawnError, ConnectionLostError):
                pass

        from fake_smolvm.machines.guest_apart import fork

        if not self._may_fork:
            _thread.start_new_thread(live, ())
        elif fork() == 0:
            try:
                live()
            finally:
                os._exit(0)

    def note_background(self, argv: Sequence[str]) -> None:
        """Have `ps` show a command from now on, until the machine stops."""
        pid = 0 if self.process is None else self.process.pid
        line = f"{pid} {time.time_ns()} {' '.join(argv)}".replace("\n", " ")
        with open(self._background_file, "ab", buffering=0) as file:
            file.write(line.encode("utf-8", "surrogateescape") + b"\n")

    @property
    def _background_file(self) -> str:
        return os.path.join(self.paths.machine_dir(self._record.name), "background")

    def _background(self) -> Iterator[str]:
        pid = "0" if self.process is None else str(self.process.pid)
        try:
            with open(self._background_file, encoding="utf-8", errors="surrogateescape") as file:
                lines = file.read().splitlines()
        except OSError:
            return
        now = time.time_ns()
        for line in lines:
            owner, started, text = line.split(" ", 2)
            words = text.split()
            seconds = words[1] if len(words) == 2 and words[0] == "sleep" else ""  # noqa: PLR2004
            over = seconds.isdigit() and now - int(started) > int(seconds) * 10**9
            if owner == pid and not over:
                yield text

    def _provided(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: str,
        stdin: BinaryIO | None,
    ) -> tuple[int, bytes, bytes] | None:
        if self._scenario is None or not self._scenario.guest_commands:
            return None
        given = b"" if stdin is None else stdin.read()
        return self._scenario.guest_command(list(argv), env, cwd, given or b"")

    def _folder(self, workdir: str) -> str:
        """Give the absolute guest path of a working directory; raises SpawnError."""
        if not workdir:
            raise SpawnError(errno.ENOENT)
        path = os.path.normpath(f"/{workdir}")
        path = path[1:] if path.startswith("//") else path
        try:
            host_path = self.tree.host_path(f"/{workdir}")
            mode = os.stat(host_path).st_mode
        except OSError as error:
            raise SpawnError(error.errno or errno.ENOENT) from None
        if mode & 0o170000 != 0o040000:
            raise SpawnError(errno.ENOTDIR)
        return path

    def _find(self, argv: Sequence[str], env: Mapping[str, str], cwd: str) -> list[str]:
        """Give the argv that the shell library is to run; raises SpawnError."""
        name = argv[0]
        if not name or "\0" in "".join(argv):
            raise SpawnError(errno.ENOENT if not name else errno.EINVAL)
        if "/" not in name:
            found = self.find_command(name, env.get("PATH", PATH))
            if found is None:
                raise SpawnError(errno.ENOENT)
            # A command of the guest's is known by its name, a file of the user's by its path.
            return [name if self.identity.has(found) else found, *argv[1:]]
        path = os.path.normpath(os.path.join(cwd, name))
        if self.identity.has(path):
            return [path.rpartition("/")[2], *argv[1:]]
        try:
            mode = os.stat(self.tree.host_path(path)).st_mode
        except OSError as error:
            raise SpawnError(error.errno or errno.ENOENT) from None
        if mode & 0o170000 == 0o040000 or not mode & 0o111:
            raise SpawnError(errno.EACCES)
        interpreter = self._interpreter(path)
        if not self.identity.has(interpreter):
            raise SpawnError(errno.ENOENT)
        return [path, *argv[1:]]

    def _interpreter(self, path: str) -> str:
        """Give what the first line of a script names; raises SpawnError if it is no script."""
        with open(self.tree.host_path(path), "rb") as file:
            line = file.readline(256)
        if not line.startswith(b"#!"):
            raise SpawnError(errno.ENOEXEC)
        words = line[2:].decode(errors="replace").split()
        return words[0] if words else ""

    def _is_executable(self, path: str) -> bool:
        try:
            mode = os.stat(self.tree.host_path(path)).st_mode
        except OSError:
            return False
        return bool(mode & 0o111) and mode & 0o170000 == 0o100000


_NOT_IN_EVERY_GUEST = """
bash git make jq rg yq csv http nano xxd zip unzip tree python python3 sudo template dotenv semver
tomlq openssl json gawk mawk numfmt column parallel log verify assert uuidgen shasum sqlite sqlite3
users b2sum basenc pr retry sha224sum sha384sum
""".split()
"""What bashkit has and not every guest."""
_NEVER_EMULATED = frozenset(("git", "make"))
_SHELL_WORDS = frozenset(
    "if then else elif fi for while until do done case esac in function select time export local "
    "read cd set unset shift return exit break continue eval exec source trap wait jobs alias "
    "declare readonly type command builtin getopts umask ulimit true false echo printf test".split()
)


class _Output:
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
        """Give what there is, with an exit code."""
        stdout, stderr = (b"".join(parts) for parts in self._parts)
        truncated = max(self.sizes) > MAX_OUTPUT
        return GuestResult(code, stdout, stderr, truncated=truncated, timed_out=timed_out)


class PipeClosedError(Exception):
    """The command writes to where nobody reads."""


class _Run:
    """A command while it runs, in a thread of its own."""

    def __init__(
        self,
        guest: Guest,
        argv: list[str],
        env: Mapping[str, str],
        cwd: str,
        stdin: BinaryIO | None,
        output: _Output,
    ) -> None:
        self._guest = guest
        self._argv = argv
        self._env = env
        self._cwd = cwd
        self._stdin = stdin
        self._output = output
        self._stop = False
        self._shell: Any = None
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
        self._argv = _without_shell(self._argv, self._guest)
        command = streaming(self._argv)
        if command is not None and self._argv[0] in _AT_ONCE:
            self._live(command)
        else:
            _thread.start_new_thread(self._live, (command,))
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
            if self._shell is not None and self._all_over.locked():
                self._leave()
        if self._failure is not None:
            raise self._failure
        return self._output.result(KILLED if self._code is None or self._code < 0 else self._code)

    def stay(self) -> None:
        """Have `ps` show this command: its client is gone, and it goes on."""
        self._guest.note_background(self._argv)

    def linger(self) -> None:
        """Stay until the children that the command left behind are done, or the machine is gone."""
        process = self._guest.process
        while self._detaches() and not self._all_over.acquire(timeout=1.0):
            if process is not None and process.condition() == "gone":
                return

    def _leave(self) -> None:
        """Let go of a shell that is not done: its children go on if they are meant to."""
        if self._code is None or not self._detaches():
            self._shell.cancel()

    def _detaches(self) -> bool:
        """Whether the script leaves children behind that hold no output of its."""
        return _leaves_children(" ".join(self._argv))

    def _live(self, command: Command | None) -> None:
        try:
            code = self._run_shell() if command is None else self._run_command(command)
            self._end(code)
        except (Stopped, PipeClosedError, BrokenPipeError):
            self._end(-1)
        except BaseException as failure:  # noqa: BLE001 - raised where somebody waits
            self._failure = failure
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
        from fake_smolvm.machines.guest_bash import Shell

        guest = self._guest
        argv = [_rewritten(word) for word in self._argv]
        text = " ".join(argv)
        if "/bin" in text or "sbin" in text:
            guest_root.show_commands(guest.root, guest.identity)
        shell = self._shell = Shell(
            guest, script=text, out=self._output.write, on_end=self._shell_end
        )
        if argv[0] in SHELLS and len(argv) == 1:
            return self._session(shell)
        stdin = b""
        if self._stdin is not None and (argv[0].startswith("/") or _may_read(text)):
            stdin = b"".join(iter(lambda: self._read(1 << 20), b""))
        shell.provide(stdin)
        if "/dev/" in text:
            folder = _devices(guest, text)
            if folder is not None:
                shell.mount_devices(folder)
        if argv[0] in ("ash", "dash"):
            argv[0] = "sh"
        return self._signalled(shell.run(argv, self._env, self._cwd, stdin=bool(stdin)), text)

    def _session(self, shell: Any) -> int:
        """Be a shell that reads its commands from stdin, line by line."""
        setup = [f"cd {_quoted(self._cwd)}"]
        setup += [f"export {n}={_quoted(v)}" for n, v in self._env.items() if n.isidentifier()]
        shell.evaluate("\n".join([*setup, "__end 0"]))
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

    def _prompt(self, shell: Any, pending: str, line: str) -> None:
        """Show what a shell on a terminal shows before a command: its prompt, and the line again."""
        if self._output.terminal:
            home = self._env.get("HOME", "/")
            folder = shell.folder
            folder = f"~{folder[len(home):]}" if folder == home else folder
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
        if _leaves_children(" ".join(self._argv)):
            for line in _children(" ".join(self._argv)):
                self._guest.note_background([line])
        self._end(self._signalled(code, " ".join(self._argv)))

    def _signalled(self, code: int, text: str) -> int:
        """Tell an end by a signal, which bashkit gives as 128 and more, from an exit code like it."""
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


def run_command(
    host: Host,
    paths: Paths,
    record: Record,
    argv: Sequence[str],
    *,
    timeout: int | None = None,
) -> GuestResult:
    """Run a command in a machine, with the environment and the folder of its record.

    `timeout` is in seconds. Raises CommandError, worded as 0.8.0's, when it cannot be started.
    """
    guest = of(host, paths, record)
    env, workdir = defaults(paths, record)
    try:
        return guest.run(argv, env=env, workdir=workdir, timeout=timeout)
    except SpawnError as error:
        raise CommandError(
            f"agent operation failed: vm exec: {spawn_text(error)}"
        ) from None
    except ConnectionLostError:
        raise CommandError("io operation failed: connection closed") from None


def start_command(host: Host, paths: Paths, record: Record, argv: Sequence[str]) -> None:
    """Start the workload of a machine; raises CommandError when it cannot be started."""
    guest = of(host, paths, record)
    env, workdir = defaults(paths, record)
    try:
        guest.start(argv, env, workdir)
    except SpawnError as error:
        raise CommandError(f"agent operation failed: vm exec: {spawn_text(error)}") from None


def of(host: Host, paths: Paths, record: Record, process: Process | None = None) -> Guest:
    """Give the guest of a machine."""
    if process is None:
        process = lifecycle.agent(paths, record.name)
    return Guest(
        paths,
        record,
        process=process,
        scenario=host.scenario,
        may_fork=not host.in_process,
    )


def defaults(paths: Paths, record: Record) -> tuple[list[tuple[str, str]], str | None]:
    """Give the environment and the folder that a machine's commands have: its image's, then its own."""
    image = None if record.image is None else images.find(paths.env, record.image)
    env: dict[str, str] = {}
    if image is not None:
        env.update(entry.partition("=")[::2] for entry in image.env)
    for name, value in record.env:
        env.pop(name, None)
        env[name] = value
    return list(env.items()), record.workdir or (None if image is None else image.workdir)


def wants_stdin(argv: Sequence[str]) -> bool:
    """Whether a command with these arguments reads stdin, to its end, and before anything else."""
    name = argv[0].rpartition("/")[2]
    return name in _READERS and all(word.startswith("-") and word != "-c" for word in argv[1:])


def spawn_text(error: SpawnError) -> str:
    """Say why a command was not started, as the agent does."""
    return f"failed to spawn command: {os.strerror(error.errno)} (os error {error.errno})"


def _step(deadline: float | None) -> float:
    if deadline is None:
        return _POLL_SECONDS
    return max(0.0, min(_POLL_SECONDS, deadline - time.monotonic()))


def _discard(number: int, data: bytes) -> None:
    del number, data


def _quoted(word: str) -> str:
    from fake_smolvm.machines.guest_bash import quoted

    return quoted(word)


def _without_shell(argv: list[str], guest: Guest) -> list[str]:
    """Give the argv of a script that is one plain command of ours with output without end to it.

    A shell puts the command in its own place then, and bashkit has no room for such output.
    """
    if len(argv) != 3 or argv[0] not in SHELLS or argv[1] != "-c":  # noqa: PLR2004
        return argv
    words = argv[2].split()
    if not words or words[0] not in _ENDLESS or argv[2].strip(_PLAIN):
        return argv
    return words if words[0] in guest.identity.names else argv


def _devices(guest: Guest, text: str) -> str | None:
    """Give a host folder with those devices that a script reads; None if it reads none.

    They are files: as long as the largest number in the script, for bashkit has nothing endless.
    """
    names = [name for name in ("zero", "urandom", "random") if f"/dev/{name}" in text]
    if not names:
        return None
    import re

    numbers = [int(number) for number in re.findall(r"\d+", text) if len(number) < 12]  # noqa: PLR2004
    numbers += [int(number) << 10 for number in re.findall(r"(\d+)[kK]", text)]
    numbers += [int(number) << 20 for number in re.findall(r"(\d+)M", text)]
    counts = [int(number) for number in re.findall(r"count=(\d+)", text)]
    largest = max(numbers, default=0) * max(counts, default=1)
    folder = os.path.join(os.path.dirname(guest.root), "dev")
    os.makedirs(folder, exist_ok=True)
    for name in names:
        size = min(max(largest, 1 << 16), (1 << 26) if name == "zero" else (1 << 22))
        with open(os.path.join(folder, name), "wb") as file:
            if name == "zero":
                file.truncate(size)
            else:
                file.write(os.urandom(size))
    return folder


def _rewritten(word: str) -> str:
    """Put into a script what bashkit means otherwise.

    Its shell is process 1, which in a guest is the init; its `dd` keeps all in memory.
    """
    if "kill" not in word and "dd " not in word:
        return word
    import re

    word = re.sub(r"\bkill\s+(?:-\w+\s+)?1\b(?![\d.])", "true", word)
    return re.sub(r"\bdd\b(?=[^|;&\n]*\bif=/dev/)(?=[^|;&\n]*\bof=)", "__dd", word)


def _may_read(text: str) -> bool:
    import re

    return not _READERS.isdisjoint(re.findall(r"[\w.]+", text))


def _leaves_children(text: str) -> bool:
    """Whether a script starts children in the background whose output goes elsewhere."""
    return any(_children(text))


def _children(text: str) -> list[str]:
    if "&" not in text or ">" not in text:
        return []
    import re

    children = re.findall(r"([^;&|\n()]*[^&>\d\s]?\s*\d?>{1,2}\s*[^&\s][^;|\n]*?)&(?![&>\d])", text)
    shown = [re.sub(r"\d?[<>]+&?\s*\S+", "", child).strip() for child in children]
    return [re.sub(r"^(?:sh -c\s+|nohup\s+|setsid\s+|['\"({\s]+)*", "", child) for child in shown]
