"""`machine ls`: every machine, as a table, in detail or as JSON."""

from __future__ import annotations

from fake_smolvm.machines import lifecycle
from fake_smolvm.operations.connection import open_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host
    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.record import Record

_NAME_WIDTH = 18


def run(matches: Matches, host: Host) -> int:
    """Print the machines in the order they were created; 0.8.0's own order changes (hazard H13)."""
    paths, store = open_state(host)
    records = store.all()
    if len(records) > 1:
        from fake_smolvm.machines.hazards import note

        note(
            paths,
            "H13",
            command="machine ls",
            machine="",
            consequence=f"the order of {len(records)} machines changes from run to run",
        )
    if matches["json"]:
        from fake_smolvm.fastjson import dumps
        from fake_smolvm.operations.description import as_json

        host.out(dumps([as_json(paths, record) for record in records], indent=2) + "\n")
    elif records:
        host.out("".join(_table(paths, records, verbose=matches["verbose"])))
    else:
        host.out("No machines found\n")
    return 0


def _table(paths: Paths, records: list[Record], *, verbose: bool) -> Iterator[str]:
    from fake_smolvm.machines.resources import overlay_size, storage_size

    yield (
        f"{'NAME':<20} {'STATE':<12} {'CPUS':>5} {'MEMORY':>10} {'MOUNTS':>7} {'PORTS':>7} "
        f"{'STORAGE':>8} {'OVERLAY':>8}\n{'-' * 88}\n"
    )
    for record in records:
        name = record.name
        if len(name) > _NAME_WIDTH:
            name = name[: _NAME_WIDTH - 3] + "..."
        state: str = lifecycle.state_of(paths, record)
        if record.ephemeral:
            state += " (eph)"
        memory = f"{record.mem} MiB"
        storage = f"{storage_size(record)} GiB"
        overlay = f"{overlay_size(record)} GiB"
        yield (
            f"{name:<20} {state:<12} {record.cpus:>5} {memory:>10} {len(record.mounts):>7} "
            f"{len(record.ports):>7} {storage:>8} {overlay:>8}\n"
        )
        if verbose:
            yield from _details(record)


def _details(record: Record) -> Iterator[str]:
    if record.pid is not None:
        yield f"  PID: {record.pid}\n"
    for host, guest, read_only in record.mounts:
        yield f"  Mount: {host} -> {guest}{' (ro)' if read_only else ''}\n"
    for host_port, guest_port in record.ports:
        yield f"  Port: {host_port} -> {guest_port}\n"
    if record.network:
        yield "  Network: enabled\n"
    if record.gpu:
        vram = "" if record.gpu_vram_mib is None else f" ({record.gpu_vram_mib} MiB VRAM)"
        yield f"  GPU: enabled{vram}\n"
    for command in record.init:
        yield f"  Init: {command}\n"
    for key, value in record.env:
        yield f"  Env: {key}={value}\n"
    if record.workdir is not None:
        yield f"  Workdir: {record.workdir}\n"
    from time import gmtime, strftime

    yield f"  Created: {strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(record.created_at))}\n\n"
