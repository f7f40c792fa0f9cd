"""Starting a machine, under the locks that a start holds."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # `signal` itself imports enum
import fcntl
import os
import time

from fake_smolvm import variables
from fake_smolvm.errors import CommandError, SetupError, os_error_text
from fake_smolvm.machines import hazards
from fake_smolvm.machines.agent import agent_of, end, read_agent, write_agent
from fake_smolvm.machines.keeper import spawn
from fake_smolvm.machines.process import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from fake_smolvm.machines.paths import Paths

_LONGEST_BOOT_SECONDS = 86_400

NO_KVM = (
    "kvm not available: KVM not available. Ensure KVM kernel module is loaded.\n"
    "Try: sudo modprobe kvm && sudo modprobe kvm_intel  # (or kvm_amd)"
)


def has_hypervisor(env: Mapping[str, str]) -> bool:
    """Tell whether machines can boot on this host: they cannot with `FAKE_SMOLVM_KVM=0`.

    Raises:
        SetupError: For a value that says neither.
    """
    given = env.get(variables.KVM) or "1"
    if given not in ("0", "1"):
        raise SetupError(
            f"{variables.KVM}={given}: 0 is a host without a hypervisor, 1 (or nothing) one with it"
        )
    return given == "1"


def boot_seconds(env: Mapping[str, str]) -> float:
    """Return how long a machine takes to boot.

    Raises:
        SetupError: For what is no such time.
    """
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
    """Take the locks that a start of a machine needs; the caller enters what this returns at once.

    Raises:
        CommandError: If another process is starting it, or the host lacks what a machine needs.
    """
    seconds, hypervisor = boot_seconds(paths.env), has_hypervisor(paths.env)
    paths.make_machine_dir(name)
    own, shared = paths.start_locks(name)
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
        "_process",
        "_seconds",
        "_virtual",
    )

    def __init__(
        self, paths: Paths, name: str, *, virtual: bool, locks: tuple[int, ...], seconds: float
    ) -> None:
        self._paths = paths
        self._name = name
        self._virtual = virtual
        self._locks = locks
        self._seconds = seconds
        self._folder = paths.machine_dir(name)
        self._process: Process | None = None

    def __enter__(self) -> Self:
        if not self._virtual:
            self._on_interrupt = _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        return self

    def run(self) -> Process:
        """Boot the machine, unless its agent answers already; return its process once it does."""
        left_behind = read_agent(self._folder)
        if left_behind is not None and left_behind.condition() != "gone":
            answering = agent_of(self._paths, self._name)
            if answering is not None:
                self._process = answering
                return answering
            hazards.note(
                self._paths,
                "H16",
                command="machine start",
                machine=self._name,
                consequence=f"process {left_behind.pid} of a killed start goes on on its disks",
            )
        process = Process.virtual() if self._virtual else spawn(self._paths, self._name)
        self._process = process
        write_agent(self._folder, process, ready=False)
        if self._seconds:
            time.sleep(self._seconds)
        write_agent(self._folder, process, ready=True)
        return process

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        # What is neither is the harness killing this "process", which runs no clean-up.
        if (
            failure is not None
            and issubclass(failure, (Exception, KeyboardInterrupt))
            and self._process is not None
        ):
            end(self._paths, self._name, self._process)
        for lock in self._locks:
            if lock >= 0:
                os.close(lock)
        if not self._virtual:
            _signal.signal(_signal.SIGINT, self._on_interrupt)
            if failure is KeyboardInterrupt:
                os.kill(os.getpid(), _signal.SIGINT)


def _try_lock(path: str) -> int:
    """Return an open file that holds the lock on `path`, or -1 if another process holds it."""
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
