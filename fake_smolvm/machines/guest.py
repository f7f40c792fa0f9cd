"""The inside of a machine: runs commands on its files, as its agent does (0.8.0, vm.jsonl part b).

A command is an argv, not a line of shell. The guest knows the commands of its identity, those that
the test provides, and executable files in its folders; a shell among them is bashkit.
"""

from __future__ import annotations

import _thread
import errno
import os
import time
from io import BytesIO
from stat import S_ISDIR, S_ISREG

from fake_smolvm.errors import CommandError
from fake_smolvm.machines import guest_root, images, lifecycle, spare
from fake_smolvm.machines.guest_commands import (
    SHELL_WORDS,
    STREAMING,
    SYSTEM,
    command_v,
    missing,
    no_bash,
    not_emulated,
    streaming,
    type_of,
)
from fake_smolvm.machines.guest_run import (
    FOR_EVER,
    ConnectionLostError,
    GuestResult,
    Output,
    Run,
    leaves_children,
    wants_stdin,
    without_shell,
)
from fake_smolvm.machines.tree import GuestTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any, BinaryIO

    from fake_smolvm.host import Host
    from fake_smolvm.machines.egress import Reach
    from fake_smolvm.machines.guest_apart import Work
    from fake_smolvm.machines.guest_commands import Command, Invocation
    from fake_smolvm.machines.images import Image
    from fake_smolvm.machines.lifecycle import Process
    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.record import Record
    from fake_smolvm.scenarios.guest_commands import Answer
    from fake_smolvm.scenarios.scenario import Scenario

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
_KERNEL_THREADS = ("kthreadd", "kworker/0:0-eve", "ksoftirqd/0", "rcu_preempt", "kswapd0")
_AGENT_PID = 360
_FIRST_PID = 640


def files(paths: Paths, record: Record, image: Image | None = None) -> GuestTree:
    """Return a machine's files, laid out if they were not yet, with its volumes in their places.

    `image` is the record's, if it is known already.
    """
    root = paths.guest_root(record.name)
    if not guest_root.is_laid_out(root):
        if image is None and record.image is not None:
            image = images.find(paths.env, record.image)
        spare.take(paths, root)
        guest_root.lay_out(root, identity_of(image), (image and image.workdir) or "/")
    for _, place, _ in record.mounts:
        # Where a volume goes there is a folder, as the agent makes it.
        guest_root.make_folder(root, place)
    if record.ssh_agent:
        guest_root.make_file(root, SSH_AGENT)
    return GuestTree(root, record.mounts)


def identity_of(image: Image | None) -> guest_root.Identity:
    """Return how the guest of an image looks, or that of a bare machine."""
    return guest_root.load(images.BARE_IDENTITY if image is None else image.identity)


class SpawnError(Exception):
    """A command cannot be started; `errno` says why."""

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.errno = number


class Guest:
    """The inside of one machine, from one start of it to its stop.

    `root` is the host folder that is `/`. With `process` the commands end when that process does.
    With `may_fork` a command that outlives this process gets one of its own.
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
        self.hostname = "localhost"
        self.cpus = record.cpus
        self.memory_mib = record.mem
        self.storage_gib = record.storage_gb or 20
        self.overlay_gib = record.overlay_gb or 10
        image = None if record.image is None else images.find(paths.env, record.image)
        self.identity = identity_of(image)
        self.user = 0 if image is None else image.user
        self.tree = files(paths, record, image)
        if os.path.exists(f"{self.root}/.smolvm-packages"):
            from fake_smolvm.machines.packages import with_installed

            self.identity = with_installed(self.identity, self.root)

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
        output as it comes (1 for stdout, 2 for stderr), from another thread; without it the result
        has it, cut at MAX_OUTPUT a stream. With `on_output` nobody waits for children. `terminal`
        joins stderr into stdout and ends lines as a terminal does. With `silent_stdin` the
        command's stdin is a pipe into which nobody ever writes.

        Raises SpawnError when it does not start, ConnectionLostError when the machine goes first.
        """
        variables = dict(BOOT_ENV)
        if self._record.ssh_agent:
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
            started = [*FOR_EVER]
        for_children = on_output is None
        forks = self._may_fork and (stdin is not None or leaves_children(" ".join(started)))
        if forks or _needs_process(self, started):
            from fake_smolvm.machines import guest_apart

            work = guest_apart.Work(started, variables, cwd, timeout, for_children=for_children)
            output = Output(on_output, terminal=False)
            apart = guest_apart.forked if self._may_fork else guest_apart.spawned
            code = apart(self, work, stdin, output, terminal=terminal, cancelled=cancelled)
            return output.result(code, timed_out=work.timed_out)
        output = Output(on_output, terminal=terminal)
        running = Run(self, started, output, env=variables, cwd=cwd, stdin=stdin)
        return running.wait(timeout, cancelled, for_children=for_children)

    def find_command(self, name: str, path: str) -> str | None:
        """Give the absolute path that a name means, looked up in a PATH; None if there is none."""
        places = [f"{folder}/{name}" for folder in path.split(":") if folder]
        for place in places:
            if self.identity.has(place):
                return place
            # Most places have nothing; a look past the guest's links is enough to see that.
            if os.path.lexists(self.root + place) and self._is_executable(place):
                return place
        return next((place for place in places if self._is_executable(place)), None)

    def builtins(self, script: str) -> Iterator[tuple[str, Command]]:
        """Give the commands of ours that a script meets, by name; those of the test before all."""
        known = self.identity.names
        for name, command in SYSTEM.items():
            yield name, command if name in known else missing
        if self.mounts:
            from fake_smolvm.machines.guest_files import COMMANDS

            yield from COMMANDS.items()
        yield "__dd", STREAMING["dd"]
        yield "__not_emulated", self._lacking
        yield "__no_bash", no_bash
        yield "__command_v", command_v
        yield "__type", type_of
        for name in _NOT_IN_EVERY_GUEST:
            if name not in known:
                yield name, missing
        words = set(script.translate(_WORDS).split())
        unsure = (words & known) - SHELL_WORDS - SYSTEM.keys() - _HAS
        if unsure:
            from fake_smolvm.machines.guest_bash import known_commands

            for name in unsure - known_commands() - set(guest_root.scripted()) | unsure & _LACKS:
                yield name, self._lacking
        if self._scenario is not None and self._scenario.guest_commands:
            for name in words - known - SHELL_WORDS:
                yield name, self._of_the_test

    def told(self, work: Work, *, has_stdin: bool, terminal: bool) -> dict[str, Any]:
        """Return all that another process has to know to run a command in this guest."""
        return {
            "paths": dict(self.paths.env),
            "record": self._record.to_row(),
            "pid": None if self.process is None else self.process.pid,
            "asks": self._scenario is not None and bool(self._scenario.guest_commands),
            "argv": list(work.argv),
            "env": dict(work.env),
            "cwd": work.cwd,
            "timeout": work.timeout,
            "for_children": work.for_children,
            "has_stdin": has_stdin,
            "terminal": terminal,
        }

    def ask_the_test(
        self, argv: list[str], env: Mapping[str, str], cwd: str, stdin: bytes
    ) -> Answer | None:
        """Return what the test answers for a command of the guest, if it does."""
        scenario = self._scenario
        return None if scenario is None else scenario.guest_command(argv, env, cwd, stdin)

    def _of_the_test(self, call: Invocation, otherwise: Command = missing) -> int:
        """Be a command that the test may provide."""
        stdin = b"".join(iter(lambda: call.read(1 << 16), b""))
        answer = self.ask_the_test(list(call.argv), call.env, call.cwd, stdin)
        if answer is None:
            return otherwise(call)
        code, stdout, stderr = answer
        call.out(stdout)
        call.stderr(stderr)
        return code

    def _lacking(self, call: Invocation) -> int:
        """Be a command that the guest has, and only the test can provide."""
        from fake_smolvm.machines.guest_tools import TOOLS

        if call.argv[0] == "__not_emulated":
            call.argv = call.argv[1:]
        if self._scenario is None or not self._scenario.guest_commands:
            return TOOLS.get(call.argv[0], not_emulated)(call)
        return self._of_the_test(call, TOOLS.get(call.argv[0], not_emulated))

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
                consequence=f"{destination} is not on the machine's list, and reached all the same",
            )
        return found

    def fetch(
        self, argv: Sequence[str], url: str, host: str
    ) -> tuple[str | None, Mapping[str, Any]]:
        """Ask for a URL: why it cannot be had, or None, and what the test has there."""
        from fake_smolvm.machines import egress

        found = self.reach(argv, host)
        if found.verdict == "no network":
            return "Network unreachable", {}
        if not found:
            return ("unknown" if found.unknown else found.verdict), {}
        answer = egress.network_of(self.paths.env).answer(url)
        if answer is not None:
            return None, answer
        # Nothing leaves the host. Only of the machine itself it is known that nobody is there.
        return ("Connection refused" if egress.is_loopback(found) else "no answer"), {}

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

    def start(
        self, argv: Sequence[str], env: Iterable[tuple[str, str]], workdir: str | None
    ) -> None:
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
            except (OSError, SpawnError, ConnectionLostError):
                pass

        from fake_smolvm.machines.guest_apart import fork

        if not self._may_fork:
            _thread.start_new_thread(live, ())
        elif fork(self) == 0:
            try:
                live()
            finally:
                os._exit(0)

    def locks(self) -> list[str]:
        """Return the files that whoever starts the machine holds locked meanwhile."""
        return lifecycle.lock_files(self.paths, self._record.name)

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
        self, argv: Sequence[str], env: Mapping[str, str], cwd: str, stdin: BinaryIO | None
    ) -> tuple[Answer | None, BinaryIO | None]:
        """Return what the test answers, and the stdin for who else is to read it."""
        if self._scenario is None or not self._scenario.guest_commands:
            return None, stdin
        given = b"" if stdin is None else stdin.read() or b""
        answer = self.ask_the_test(list(argv), env, cwd, given)
        return answer, None if stdin is None else BytesIO(given)

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
        if not S_ISDIR(mode):
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
        if S_ISDIR(mode) or not mode & 0o111:
            raise SpawnError(errno.EACCES)
        interpreter = self._interpreter(path)
        if not self.identity.has(interpreter):
            raise SpawnError(errno.ENOENT)
        return [path, *argv[1:]]

    def _interpreter(self, path: str) -> str:
        """Give what the first line of a script names; raises SpawnError if it is no script."""
        with open(self.tree.open(path, os.O_RDONLY), "rb") as file:
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
        return bool(mode & 0o111) and S_ISREG(mode)


def _needs_process(guest: Guest, argv: list[str]) -> bool:
    if streaming(without_shell(argv, guest)) is not None:
        return False
    from fake_smolvm.machines.guest_risk import is_safe

    return not is_safe(guest, argv)


_NOT_IN_EVERY_GUEST = """
bash git make jq rg yq csv http nano xxd zip unzip tree python python3 sudo template dotenv semver
tomlq openssl json gawk mawk numfmt column parallel log verify assert uuidgen shasum sqlite sqlite3
users b2sum basenc pr retry sha224sum sha384sum
""".split()  # noqa: SIM905
"""What bashkit has and not every guest."""
_LACKS = frozenset(("git", "make"))
"""What bashkit has by name only."""
_HAS = frozenset(
    """
awk basename cat chmod chown cp cut date diff dirname env expr find grep gunzip gzip head install
ls md5sum mkdir mktemp mv od printf python python3 readlink realpath rm rmdir sed sha256sum sleep
sort stat tail tar tee timeout touch tr truncate uniq wc whoami xargs
""".split()  # noqa: SIM905
)
"""What bashkit has for sure; of other commands it is asked."""
_WORDS = {
    number: " " for number in range(128) if not (chr(number).isalnum() or chr(number) in "_.+-[")
}
"""Leaves of a script the words that may be commands."""


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
        raise CommandError(f"agent operation failed: vm exec: {spawn_text(error)}") from None
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
    """Give the environment and the folder of a machine's commands: its image's, then its own."""
    image = None if record.image is None else images.find(paths.env, record.image)
    env: dict[str, str] = {}
    if image is not None:
        env.update(entry.partition("=")[::2] for entry in image.env)
    for name, value in record.env:
        env.pop(name, None)
        env[name] = value
    return list(env.items()), record.workdir or (None if image is None else image.workdir)


def spawn_text(error: SpawnError) -> str:
    """Say why a command was not started, as the agent does."""
    return f"failed to spawn command: {os.strerror(error.errno)} (os error {error.errno})"


def _discard(number: int, data: bytes) -> None:
    del number, data
