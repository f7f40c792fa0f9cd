"""What the store knows of one machine."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
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
    """Tells the process from a later one with the same number; see `process.Process`."""
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
    def from_row(cls, row: object) -> Record:
        """Return the record that `to_row` made `row` of; a field that is none is left out.

        Raises:
            ValueError: For what `to_row` never makes.
        """
        if not isinstance(row, dict):
            raise ValueError("not a record")  # noqa: TRY004 - of a text
        record = cls.__new__(cls)
        fields = record.__dict__
        for field, value in row.items():
            fits = _FITS.get(field)
            if fits is not None:
                if not fits(value):
                    raise ValueError(f"`{field}` is not what it should be")
                fields[field] = value
        for field in ("name", "created_at"):
            if field not in fields:
                raise ValueError(f"missing field `{field}`")
        return record

    def become(self, other: Record) -> None:
        """Take every field of another record, defaults as well."""
        self.__dict__ = dict(other.__dict__)

    def to_row(self) -> dict[str, Any]:
        """Return the fields that differ from their default, fit for JSON."""
        return {
            field: value
            for field, value in self.__dict__.items()
            if value != getattr(Record, field, _NOTHING)
        }


_NOTHING = object()


def _is_text(value: object) -> bool:
    return type(value) is str


def _is_switch(value: object) -> bool:
    return type(value) is bool


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**64


def _is_moment(value: object) -> bool:
    return type(value) is int and 0 <= value < _LAST_MOMENT


def _is_list(value: object) -> bool:
    return type(value) is list and all(map(_is_text, value))


def _are_pairs(value: object) -> bool:
    return type(value) is list and all(_is_list(item) and len(item) == 2 for item in value)  # noqa: PLR2004


def _are_ports(value: object) -> bool:
    return type(value) is list and all(
        type(item) is list and [type(port) for port in item] == [int, int] for item in value
    )


def _are_mounts(value: object) -> bool:
    return type(value) is list and all(
        type(item) is list and [type(part) for part in item] == [str, str, bool] for item in value
    )


_LAST_MOMENT = 253_402_300_800
"""Seconds from 1970 to the year 10000."""

_STATES = ("created", "running", "stopped", "failed", "unreachable")
_POLICIES = ("never", "always", "on-failure", "unless-stopped")

_FITS: dict[str, Callable[[object], bool]] = {
    "name": _is_text,
    "created_at": _is_moment,
    "state": _STATES.__contains__,
    "restart_policy": _POLICIES.__contains__,
    "pid_start_time": _is_text,
    "mounts": _are_mounts,
    "ports": _are_ports,
    "env": _are_pairs,
    **dict.fromkeys(
        (
            "pid",
            "cpus",
            "mem",
            "gpu_vram_mib",
            "restart_max_retries",
            "restart_max_backoff_secs",
            "restart_count",
            "storage_gb",
            "overlay_gb",
            "health_interval_secs",
            "health_timeout_secs",
            "health_retries",
            "health_startup_grace_secs",
        ),
        _is_number,
    ),
    **dict.fromkeys(
        (
            "network",
            "gpu",
            "user_stopped",
            "init_completed",
            "images_pruned",
            "ssh_agent",
            "ephemeral",
        ),
        _is_switch,
    ),
    **dict.fromkeys(
        ("network_backend", "workdir", "user", "image", "source_smolmachine"), _is_text
    ),
    **dict.fromkeys(
        ("init", "allowed_cidrs", "dns_filter_hosts", "entrypoint", "cmd", "health_cmd"),
        _is_list,
    ),
}
"""Whether a value is one that a field can have; None is never written but as a default."""
