"""`machine resize`: makes a machine's disks larger."""

from __future__ import annotations

from fake_smolvm.errors import CommandError
from fake_smolvm.machines import lifecycle, resources
from fake_smolvm.operations.connection import DEFAULT_MACHINE, open_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host
    from fake_smolvm.machines.record import Record


def run(matches: Matches, host: Host) -> int:
    """Grow the disks of a machine that does not run."""
    paths, store = open_state(host)
    name: str = DEFAULT_MACHINE if matches["name"] is None else matches["name"]
    record = store.get(name)
    if record is None:
        raise CommandError(f"vm not found: {name}")
    if lifecycle.recorded_state(record) not in ("stopped", "created"):
        raise CommandError(
            f"agent operation failed: resize: VM '{name}' is running. "
            f"Stop it first with: smolvm machine stop --name {name}"
        )
    storage: int | None = matches["storage"]
    overlay: int | None = matches["overlay"]
    grown = resources.expand_disks(paths, record, storage, overlay)

    def change(record: Record) -> None:
        record.storage_gb = record.storage_gb if storage is None else storage
        record.overlay_gb = record.overlay_gb if overlay is None else overlay

    store.update(name, change)
    if not grown:
        host.out("No disk changes needed.\n")
        return 0
    host.out(f"Resized machine '{name}':\n")
    for kind, before, now in grown:
        host.out(f"  {kind}: {before} GiB → {now} GiB\n")
    host.out("Filesystem will expand on next boot.\n")
    return 0
