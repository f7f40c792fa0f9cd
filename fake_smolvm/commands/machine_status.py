"""`machine status`: whether a machine runs, or all that its record says, as JSON."""

from __future__ import annotations

from fake_smolvm.commands.shared import DEFAULT_MACHINE, find, look_up, open_state
from fake_smolvm.errors import CommandError
from fake_smolvm.machines import lifecycle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.parser import Matches
    from fake_smolvm.host import Host
    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.record import Record


def run(matches: Matches, host: Host) -> int:
    """Print the state of a machine; as text it goes by the agent, as JSON by the record."""
    paths, store = open_state(host)
    name: str | None = matches["name"]
    label = DEFAULT_MACHINE if name is None else name
    if matches["json"]:
        from fake_smolvm.fastjson import dumps

        record = store.get(label)
        if record is None:
            raise CommandError(
                f"config operation failed: machine status: machine '{label}' not found"
            )
        host.out(dumps(as_json(paths, record), indent=2) + "\n")
        return 0
    look_up(paths, label)
    process = lifecycle.agent(paths, label)
    if process is not None:
        host.out(f"Machine '{label}': running (PID: {process.pid})\n")
    elif name is not None and find(store, name) is None:
        raise CommandError(f"vm not found: {name}")
    else:
        host.out(f"Machine '{label}': not running\n")
    return 0


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
