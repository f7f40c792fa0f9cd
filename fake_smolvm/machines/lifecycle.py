"""Machines as processes: booting, stopping, and telling which state a machine is in.

Two things know of a running machine, and on 0.8.0 they can disagree (vm.jsonl, part i2): its
record, and its agent, found by way of the data directory. `ls` and `start` ask the record, `exec`
and `status` the agent. The agent here is a file in the data directory that names the process.

Out of process that process is a real one that does nothing and ends when the store is gone. In
process (`virtual=True`) there is only a number, larger than any that a system gives to a process.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # `signal` itself imports enum
import fcntl
import os
import sys
import time
from itertools import count

from fake_smolvm import variables
from fake_smolvm.errors import CommandError, LimitError, SetupError
from fake_smolvm.machines import hazards, spare
from fake_smolvm.machines.paths import os_error_text, read_small

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal, Self, TypeAlias

    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.record import Record, State
    from fake_smolvm.machines.store import Store

    Condition: TypeAlias = Literal["alive", "frozen", "gone"]

FIRST_VIRTUAL_PID = 1 << 22
"""Linux gives out smaller numbers only, macOS much smaller ones."""

_WATCH_SECONDS = 0.5
"""How often the keeper of a machine's process looks whether the store is still there."""

_LONGEST_BOOT_SECONDS = 86_400

_SHELL = "/bin/sh"
_SHELLS = ("sh", "dash", "bash", "ksh", "zsh")
"""Those that are a shell under any name; busybox is what its name says."""

_virtual_pids = count(FIRST_VIRTUAL_PID + 1)
_virtual_conditions: dict[int, Condition] = {}


class Process:
    """The process of a machine; `start_time` tells it from a later one with the same number."""

    __slots__ = ("pid", "start_time")

    def __init__(self, pid: int, start_time: str | None) -> None:
        self.pid = pid
        self.start_time = start_time

    def condition(self) -> Condition:
        """Whether the process runs, is stopped by a signal, or is not there any more."""
        if self.pid >= FIRST_VIRTUAL_PID:
            return _virtual_conditions.get(self.pid, "alive")
        seen = _look_at(self.pid) if self.pid > 0 else None
        if seen is None or seen[1] in "ZX" or self.start_time not in (None, seen[0]):
            return "gone"
        return "frozen" if seen[1] in "Tt" else "alive"

    def kill(self) -> None:
        """End the process, frozen or not, and wait until it is gone (2 seconds at most).

        One whose start nobody wrote down may be anybody's by now: it is left alone.
        """
        if self.condition() == "gone":
            return
        if self.pid >= FIRST_VIRTUAL_PID:
            set_condition(self.pid, "gone")
            return
        if self.start_time is None:
            return
        try:
            os.kill(self.pid, 9)
        except ProcessLookupError:
            return
        for _ in range(2000):
            if self.condition() == "gone":
                return
            time.sleep(0.001)


def set_condition(virtual_pid: int, condition: Condition) -> None:
    """Do to a virtual process what a signal does to a real one."""
    _virtual_conditions[virtual_pid] = condition


NO_KVM = (
    "kvm not available: KVM not available. Ensure KVM kernel module is loaded.\n"
    "Try: sudo modprobe kvm && sudo modprobe kvm_intel  # (or kvm_amd)"
)


def has_hypervisor(env: Mapping[str, str]) -> bool:
    """Whether machines can boot on this host: they cannot with `FAKE_SMOLVM_KVM=0`.

    Raises SetupError for a value that says neither.
    """
    given = env.get(variables.KVM) or "1"
    if given not in ("0", "1"):
        raise SetupError(
            f"{variables.KVM}={given}: 0 is a host without a hypervisor, 1 (or nothing) one with it"
        )
    return given == "1"


def boot_seconds(env: Mapping[str, str]) -> float:
    """How long a machine takes to boot; raises SetupError for what is no such time."""
    given = env.get(variables.BOOT_SECONDS) or "0"
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= _LONGEST_BOOT_SECONDS:
        raise SetupError(
            f"{variables.BOOT_SECONDS}={given}: a number of seconds is due, such as 0.5, "
            f"at most {_LONGEST_BOOT_SECONDS}"
        )
    return seconds


def begin_boot(paths: Paths, name: str, *, virtual: bool) -> Boot:
    """Become the one who starts a machine; the caller enters what this returns at once.

    Raises CommandError when another process is starting it, or the host lacks what a machine needs.
    """
    seconds, hypervisor = boot_seconds(paths.env), has_hypervisor(paths.env)
    paths.make_machine_dir(name)
    own, shared = lock_files(paths, name)
    lock = _try_lock(own)
    if lock < 0:
        raise CommandError(
            "agent operation failed: start agent: "
            "another process is already starting or running this VM"
        )
    rootfs = paths.env.get("SMOLVM_AGENT_ROOTFS", paths.state)
    missing = ""
    if not hypervisor:
        missing = NO_KVM
    elif not os.path.exists(rootfs):
        missing = f"agent operation failed: verify rootfs: agent rootfs not found: {rootfs}"
    if missing:
        os.close(lock)
        raise CommandError(missing)
    try:
        any_lock = _try_lock(shared)
        if any_lock < 0:
            hazards.note(
                paths,
                "H15",
                command="machine start",
                machine=name,
                consequence="two machines start at once: one start may fail, or never be recorded",
            )
    except BaseException:
        os.close(lock)
        raise
    return Boot(paths, name, virtual=virtual, locks=(lock, any_lock), seconds=seconds)


class Boot:
    """One start of a machine, as a context manager that holds the machine's start lock.

    Left through an exception, it ends the machine's process; on Ctrl-C it does so before this
    process dies of it. A kill leaves the machine behind (hazard H16).
    """

    __slots__ = (
        "_folder",
        "_locks",
        "_name",
        "_on_interrupt",
        "_paths",
        "_seconds",
        "_virtual",
        "process",
    )

    process: Process
    """The machine's process, from `run` on."""

    def __init__(
        self, paths: Paths, name: str, *, virtual: bool, locks: tuple[int, ...], seconds: float
    ) -> None:
        self._paths = paths
        self._name = name
        self._virtual = virtual
        self._locks = locks
        self._seconds = seconds
        self._folder = paths.machine_dir(name)

    def __enter__(self) -> Self:
        if not self._virtual:
            self._on_interrupt = _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        return self

    def run(self) -> Process:
        """Boot the machine, unless its agent answers already; returns once it does."""
        left_behind = _read_agent(self._folder)
        if left_behind is not None and left_behind.condition() != "gone":
            answering = agent(self._paths, self._name)
            if answering is not None:
                self.process = answering
                return answering
            hazards.note(
                self._paths,
                "H16",
                command="machine start",
                machine=self._name,
                consequence=f"process {left_behind.pid} of a killed start goes on on its disks",
            )
        self.process = (
            Process(next(_virtual_pids), None) if self._virtual else _spawn(self._paths, self._name)
        )
        _write_agent(self._folder, self.process, ready=False)
        if self._seconds:
            time.sleep(self._seconds)
        _write_agent(self._folder, self.process, ready=True)
        return self.process

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        # What is neither is the harness killing this "process", which runs no clean-up.
        if (
            failure is not None
            and issubclass(failure, (Exception, KeyboardInterrupt))
            and hasattr(self, "process")
        ):
            end(self._paths, self._name, self.process)
        for lock in self._locks:
            if lock >= 0:
                os.close(lock)
        if not self._virtual:
            _signal.signal(_signal.SIGINT, self._on_interrupt)
            if failure is KeyboardInterrupt:
                os.kill(os.getpid(), _signal.SIGINT)


def lock_files(paths: Paths, name: str) -> list[str]:
    """Return the files that a start of a machine locks: its own, and the one of all machines."""
    return [os.path.join(folder, "start.lock") for folder in (paths.machine_dir(name), paths.state)]


def agent(paths: Paths, name: str) -> Process | None:
    """The process that answers for a machine; None when there is none, or it is frozen.

    This is what `exec`, `cp`, `status` and `stop` of 0.8.0 go by, whatever the record says.
    """
    found = _read_agent(paths.machine_dir(name), ready=True)
    return found if found is not None and found.condition() == "alive" else None


def state_of(paths: Paths, record: Record) -> State:
    """The state that `ls` shows: the record's, but if it is running what the process looks like."""
    if record.state != "running":
        return record.state
    process = process_of(record)
    if process is not None and process.condition() != "gone":
        return "running" if agent(paths, record.name) else "unreachable"
    return "running" if agent(paths, record.name) else "stopped"


def recorded_state(record: Record) -> State:
    """The state that `update` and `resize` go by: to them a frozen process runs."""
    if record.state != "running":
        return record.state
    process = process_of(record)
    return "running" if process is not None and process.condition() != "gone" else "stopped"


def process_of(record: Record) -> Process | None:
    """The process that a record names."""
    return None if record.pid is None else Process(record.pid, record.pid_start_time)


def set_running(store: Store, name: str, process: Process) -> None:
    """Write into the record that the machine runs."""

    def change(record: Record) -> None:
        record.state = "running"
        record.pid = process.pid
        record.pid_start_time = process.start_time

    store.update(name, change)


def set_stopped(store: Store, name: str) -> None:
    """Write into the record that the machine does not run."""

    def change(record: Record) -> None:
        record.state = "stopped"
        record.pid = None
        record.pid_start_time = None

    store.update(name, change)


def end(paths: Paths, name: str, process: Process) -> None:
    """End a machine's process, and its agent with it."""
    process.kill()
    try:
        os.unlink(os.path.join(paths.machine_dir(name), "agent"))
    except OSError:
        pass


def sweep(paths: Paths, store: Store) -> None:
    """Remove what `machine run` left behind: ephemeral machines whose process is gone."""
    for record in store.ephemeral():
        process = process_of(record)
        if process is None or process.condition() == "gone":
            store.remove(record.name)
            remove_data(paths, record.name)


def remove_data(paths: Paths, name: str) -> bool:
    """Remove a machine's data directory; False when there was none."""
    folder = paths.machine_dir(name)
    if not os.path.isdir(folder):
        return False
    spare.remove(paths, folder)
    return True


def _try_lock(path: str) -> int:
    """An open file that holds the lock on `path`, or -1 if another process holds it."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CommandError(
            f"agent operation failed: acquire VM lock: {os_error_text(error)}"
        ) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return -1
    return file


def _write_agent(folder: str, process: Process, *, ready: bool) -> None:
    text = f"{process.pid} {'ready' if ready else 'booting'} {process.start_time or ''}"
    fresh = os.path.join(folder, "agent.new")
    with open(fresh, "wb", buffering=0) as file:
        file.write(text.encode())
    os.rename(fresh, os.path.join(folder, "agent"))


def _read_agent(folder: str, *, ready: bool = False) -> Process | None:
    """The process named in a data directory; with `ready`, only if its agent has answered."""
    try:
        found = read_small(os.path.join(folder, "agent"))
        pid, stage, start_time = found.decode().split(" ", 2)
        process = Process(int(pid), start_time or None)
    except (OSError, ValueError):
        return None
    return None if ready and stage != "ready" else process


def _look_at(pid: int) -> tuple[str, str] | None:
    """When a process started, and the letter of its state; None if it is gone."""
    if sys.platform == "linux":
        try:
            with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
                # The second field is the program's name in brackets, which may hold spaces.
                fields = file.read().decode("latin-1").rpartition(") ")[2].split(" ")
        except OSError:
            return None
        return fields[19], fields[0]
    import subprocess

    shown = subprocess.run(
        ["/bin/ps", "-o", "lstart=,state=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    start_time, _, letters = shown.rpartition(" ")
    return (start_time.strip(), letters[0]) if shown else None


def _spawn(paths: Paths, name: str) -> Process:
    """Start a machine's process, and its keeper: forks of this one, so without any start-up."""
    there = os.stat(paths.state)
    pid_here, pid_there = os.pipe()
    if os.fork() == 0:
        try:
            _keep(paths, name, (there.st_dev, there.st_ino), pid_there)
        finally:
            os._exit(0)
    os.close(pid_there)
    reported = os.read(pid_here, 32)
    os.close(pid_here)
    if not reported:
        raise LimitError("no process for a machine: too few files or processes are left")
    pid = int(reported)
    seen = _look_at(pid)
    return Process(pid, None if seen is None else seen[0])


def _keep(paths: Paths, name: str, store: tuple[int, int], report: int) -> None:
    """Fork the machine's process, report its number, and end it, frozen or not, with the store.

    The keeper also buries it, at once, which the first process of many containers never does.
    """
    from select import POLLIN, poll

    _detach(report)
    # Each end of these reads as closed once the process that has the other end is gone.
    keeper_lives, _keeper_end = os.pipe()
    machine_lives, machine_end = os.pipe()
    os.set_inheritable(machine_end, True)
    pid = os.fork()
    if pid == 0:
        _detach(keeper_lives, machine_end)
        _idle(f"smolvm _boot-vm {paths.shown_data_dir(name)}/boot-config.json", keeper_lives)
        return
    os.close(machine_end)
    os.write(report, str(pid).encode())
    os.close(report)
    life = poll()  # `select` knows no descriptor above 1,023
    life.register(machine_lives, POLLIN)
    while not life.poll(_WATCH_SECONDS * 1000):
        if not _is_there(paths, store):
            os.kill(pid, 9)
            break
    os.waitpid(pid, 0)


def _idle(title: str, until_closed: int) -> None:
    """Do nothing until a pipe is closed, small, and under the name that 0.8.0's process has."""
    if os.path.basename(os.path.realpath(_SHELL)) in _SHELLS:
        os.dup2(until_closed, 0)
        try:
            # It reads commands from the pipe, and none ever come.
            os.execve(_SHELL, [title], {})  # noqa: S606
        except OSError:
            pass
    os.read(until_closed, 1)


def _is_there(paths: Paths, store: tuple[int, int]) -> bool:
    try:
        now = os.stat(paths.state)
        os.stat(paths.store)
    except OSError:
        return False
    return (now.st_dev, now.st_ino) == store


def _detach(*kept: int) -> None:
    """Leave everything of the caller's: session, signals, folder and all files but `kept`."""
    os.setsid()
    for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGPIPE):
        _signal.signal(number, _signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    for entry in os.listdir("/dev/fd"):
        file = int(entry)
        if file > 2 and file not in kept:  # noqa: PLR2004
            try:
                os.close(file)
            except OSError:
                pass
    os.chdir("/")
