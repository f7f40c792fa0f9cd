"""What the store knows of one machine."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Literal, TypeAlias

    State: TypeAlias = Literal["created", "running", "stopped", "failed", "unreachable"]
    RestartPolicy: TypeAlias = Literal["never", "always", "on-failure", "unless-stopped"]
    Mount: TypeAlias = tuple[str, str, bool]
    """Host folder, guest folder, read-only."""
    Port: TypeAlias = tuple[int, int]
    """Host port, guest port."""

DEFAULT_CPUS = 4
DEFAULT_MEMORY_MIB = 8192
DEFAULT_STORAGE_GIB = 20
DEFAULT_OVERLAY_GIB = 10


class Record:
    """One machine, with the fields and the defaults of 0.8.0's own record.

    A field that holds its default takes no room in the store. Sequences are replaced, never
    changed in place.
    """

    name: str
    created_at: int
    """Seconds since 1970."""
    state: State = "created"
    """As last written; `lifecycle.state_of` looks at the process too."""
    pid: int | None = None
    pid_start_time: str | None = None
    """Tells the process from a later one with the same number; see `lifecycle.Process`."""
    cpus: int = DEFAULT_CPUS
    mem: int = DEFAULT_MEMORY_MIB
    """MiB."""
    mounts: Sequence[Mount] = ()
    ports: Sequence[Port] = ()
    network: bool = False
    network_backend: str | None = None
    gpu: bool | None = None
    gpu_vram_mib: int | None = None
    restart_policy: RestartPolicy = "never"
    restart_max_retries: int = 0
    """0: no limit."""
    restart_max_backoff_secs: int = 0
    """0: 300 seconds."""
    restart_count: int = 0
    user_stopped: bool = False
    init: Sequence[str] = ()
    init_completed: bool = False
    images_pruned: bool = False
    """Whether `machine prune --all` took the image away; no later start fetches it again."""
    env: Sequence[tuple[str, str]] = ()
    workdir: str | None = None
    user: str | None = None
    storage_gb: int | None = None
    overlay_gb: int | None = None
    allowed_cidrs: Sequence[str] | None = None
    dns_filter_hosts: Sequence[str] | None = None
    image: str | None = None
    entrypoint: Sequence[str] = ()
    cmd: Sequence[str] = ()
    health_cmd: Sequence[str] | None = None
    health_interval_secs: int | None = None
    health_timeout_secs: int | None = None
    health_retries: int | None = None
    health_startup_grace_secs: int | None = None
    ssh_agent: bool = False
    ephemeral: bool = False
    source_smolmachine: str | None = None
    """Absolute path of the artifact that the machine was created from."""

    def __init__(self, name: str, created_at: int) -> None:
        self.name = name
        self.created_at = created_at

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Record:
        """The record that `to_row` made `row` of."""
        record = cls.__new__(cls)
        record.__dict__.update(row)
        return record

    def to_row(self) -> dict[str, Any]:
        """The fields that differ from their default, fit for JSON."""
        return {
            field: value
            for field, value in self.__dict__.items()
            if value != getattr(Record, field, _NOTHING)
        }


_NOTHING = object()
