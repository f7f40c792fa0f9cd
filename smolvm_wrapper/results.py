"""What commands give back, and how it is read from what smolvm printed."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import Enum
from functools import partial
from typing import Any

from smolvm_wrapper.command import Finished
from smolvm_wrapper.errors import (
    GuestCommandError,
    GuestTimeoutError,
    MachineNotFoundError,
    SmolvmError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from smolvm_wrapper.diagnosis import Speaker


@dataclass(frozen=True)
class SmolvmRunResult:
    """How a command in a machine ended.

    Attributes:
        returncode: its exit code. 124 when the guest's timeout ended it; a signal is 255 up to
            0.8.0 (as in vm.jsonl), 128 + its number from 0.8.1.
        stdout: text; bytes that are no UTF-8 are lone surrogates (PEP 383), so that `stdout_bytes`
            has them all. Cut at 11 MiB by smolvm (0.8.0), silently.
        stderr: likewise.
        speaker: whose exit code it is: the "guest" command's, or "smolvm" itself failed, or
            "ambiguous". Up to 0.8.0, 255 is ambiguous (the guest's own, or a signal); 124 is, where
            there was a timeout; 1 and 2 are where stderr looks like smolvm's but a guest could have
            said it.
    """

    returncode: int
    stdout: str
    stderr: str
    speaker: Speaker = field(default="guest", compare=False)
    _error: SmolvmError | None = field(default=None, compare=False, repr=False)

    @property
    def stdout_bytes(self) -> bytes:
        """Exactly the bytes that came."""
        return self.stdout.encode(errors="surrogateescape")

    @property
    def stderr_bytes(self) -> bytes:
        """Exactly the bytes that came."""
        return self.stderr.encode(errors="surrogateescape")

    def check(self) -> Self:
        """The result itself, if the exit code is 0.

        Raises:
            GuestTimeoutError: 124, and there was a guest timeout.
            GuestCommandError: another exit code of the guest's, or perhaps of the guest's.
            SmolvmError: smolvm itself failed; the subclass says how.
        """
        if self.returncode == 0:
            return self
        done = Finished((), self.returncode, self.stdout, self.stderr)
        raise self._error or done.error(GuestCommandError, f"exit code {self.returncode}")


class State(Enum):
    """What a machine is doing; an unknown word is UNKNOWN, and the word its value."""

    CREATED = "created"
    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    FROZEN = "frozen"
    UNKNOWN = "unknown"

    @classmethod
    def _missing_(cls, value: object) -> State:
        unknown = object.__new__(cls)
        unknown._name_ = cls.UNKNOWN.name
        unknown._value_ = str(value)
        return unknown

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and self.name == other.name

    __hash__ = Enum.__hash__


@dataclass(frozen=True)
class MachineInfo:
    """A machine, as `ls` and `status` describe it (0.8.0: 25 fields).

    Attributes:
        created_at: seconds since 1970.
        memory_mib: MiB.
        pid: of the machine's process on the host; None unless it runs.
        mounts: how many.
        ports: how many.
        storage_gb: GiB; None is smolvm's default.
        overlay_gb: GiB; None is smolvm's default.
        extra: what this smolvm says beyond that, untouched.
    """

    name: str
    state: State
    cpus: int
    memory_mib: int
    pid: int | None
    mounts: int
    ports: int
    network: bool
    created_at: int
    storage_gb: int | None = None
    overlay_gb: int | None = None
    image: str | None = None
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    ephemeral: bool = False
    gpu: bool = False
    gpu_vram_mib: int | None = None
    restart_policy: str | None = None
    restart_max_retries: int | None = None
    restart_count: int | None = None
    health_cmd: tuple[str, ...] | None = None
    health_interval_secs: int | None = None
    health_timeout_secs: int | None = None
    health_retries: int | None = None
    health_startup_grace_secs: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


# --- readers: what a `Command.read` may be ---


def text(done: Finished) -> str:
    """What it printed, if it succeeded."""
    if done.returncode == 0:
        return done.stdout
    from smolvm_wrapper.diagnosis import failure

    raise failure(done)


def nothing(done: Finished) -> None:
    """Only that it succeeded."""
    text(done)


def line(done: Finished) -> str:
    """The one line it printed."""
    return text(done).rstrip("\n")


def document(done: Finished) -> Any:
    """The JSON it printed."""
    import json

    printed = text(done)
    try:
        return json.loads(printed)
    except ValueError as error:
        unreadable = error
    raise done.error(SmolvmError, f"printed no JSON ({unreadable})")


def machine(done: Finished) -> MachineInfo:
    """The machine of `status --json`."""
    return _machine(document(done), done)


def machines(done: Finished) -> list[MachineInfo]:
    """The machines of `ls --json`."""
    described = document(done)
    if not isinstance(described, list):
        raise done.error(SmolvmError, "printed no list of machines")
    return [_machine(one, done) for one in described]


def newly_started(done: Finished) -> bool:
    """Whether `start` started it, or found it running."""
    return " already running" not in text(done)


def stopped(done: Finished) -> None:
    """That there was such a machine; up to 0.8.0 the exit code does not tell (H5)."""
    if text(done).endswith(" not found or not running\n"):
        raise done.error(MachineNotFoundError, done.stdout.strip())


def terminal_session(done: Finished) -> int:
    """The exit code of what had the terminal."""
    return done.returncode


def guest_run(
    *, timed: bool = False, streamed: bool = False, signal_is_255: bool = False
) -> Callable[[Finished], SmolvmRunResult]:
    """A reader for `exec` and `run`: whatever the exit code, a result."""
    return partial(_guest_run, timed=timed, streamed=streamed, signal_is_255=signal_is_255)


def _guest_run(
    done: Finished, *, timed: bool, streamed: bool, signal_is_255: bool
) -> SmolvmRunResult:
    if done.returncode == 0:
        return SmolvmRunResult(0, done.stdout, done.stderr)
    from smolvm_wrapper.diagnosis import TIMED_OUT, failure, speaker

    spoke = speaker(done, timed=timed, streamed=streamed, signal_is_255=signal_is_255)
    kind = GuestTimeoutError if timed and done.returncode == TIMED_OUT else GuestCommandError
    error = failure(done) if spoke == "smolvm" else done.error(kind, f"exit code {done.returncode}")
    return SmolvmRunResult(done.returncode, done.stdout, done.stderr, spoke, error)


def _machine(described: Any, done: Finished) -> MachineInfo:
    known = {one.name for one in fields(MachineInfo)} - {"extra"}
    said: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    try:
        for key, stated in described.items():
            if key in known:
                said[key] = tuple(stated) if isinstance(stated, list) else stated
            else:
                extra[key] = stated
        said["state"] = State(said["state"])
        return MachineInfo(**said, extra=extra)
    except (AttributeError, LookupError, TypeError) as error:
        incomplete = error
    raise done.error(SmolvmError, f"did not describe a machine ({incomplete})")
