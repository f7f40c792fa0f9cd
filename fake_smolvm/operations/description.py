"""What `--json` says of a machine."""

from __future__ import annotations

from fake_smolvm.machines import lifecycle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.record import Record


def as_json(paths: Paths, record: Record) -> dict[str, object]:
    """The 25 fields that `status --json` and `ls --json` print of a machine, in their order."""
    health = record.health_cmd
    if health is not None:
        shell, command = health[:2], health[2:]
        is_shell = list(shell) == ["sh", "-c"] and len(command) == 1
        shown_health = command[0] if is_shell else " ".join(health)
    return {
        "cmd": record.cmd,
        "cpus": record.cpus,
        "created_at": record.created_at,
        "entrypoint": record.entrypoint,
        "ephemeral": record.ephemeral,
        "gpu": bool(record.gpu),
        "gpu_vram_mib": record.gpu_vram_mib,
        "health_cmd": None if health is None else shown_health,
        "health_interval_secs": record.health_interval_secs,
        "health_retries": record.health_retries,
        "health_startup_grace_secs": record.health_startup_grace_secs,
        "health_timeout_secs": record.health_timeout_secs,
        "image": record.image,
        "memory_mib": record.mem,
        "mounts": len(record.mounts),
        "name": record.name,
        "network": record.network,
        "overlay_gb": record.overlay_gb,
        "pid": record.pid,
        "ports": len(record.ports),
        "restart_count": record.restart_count,
        "restart_max_retries": record.restart_max_retries,
        "restart_policy": record.restart_policy,
        "state": lifecycle.state_of(paths, record),
        "storage_gb": record.storage_gb,
    }
