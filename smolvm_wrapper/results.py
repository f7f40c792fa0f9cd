"""What commands give back."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field
from enum import Enum

from smolvm_wrapper.command import Finished
from smolvm_wrapper.errors import GuestCommandError
from smolvm_wrapper.secrets import Secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Self

    from smolvm_wrapper.diagnosis import Speaker
    from smolvm_wrapper.errors import SmolvmError

_NO_SECRETS = Secrets()


@dataclass(frozen=True, repr=False)
class SmolvmRunResult:
    """How a command in a machine ended. Its `repr` masks the values of `-e`; its fields do not.

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
    _error: SmolvmError | None = field(default=None, compare=False)
    _secrets: InitVar[Secrets] = _NO_SECRETS

    def __post_init__(self, _secrets: Secrets) -> None:
        # Not a field: whoever takes the fields apart, as `asdict` and `json` do, gets no secrets.
        object.__setattr__(self, "_masked", _secrets.excerpt)

    def __repr__(self) -> str:
        masked: Callable[[str], str] = vars(self)["_masked"]
        stdout, stderr = masked(self.stdout), masked(self.stderr)
        return (
            f"SmolvmRunResult(returncode={self.returncode!r}, {stdout=}, {stderr=},"
            f" speaker={self.speaker!r})"
        )

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
