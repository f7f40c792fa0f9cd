"""`machine prune`: frees what a machine's storage disk need not hold."""

from __future__ import annotations

from fake_smolvm.errors import CommandError
from fake_smolvm.machines.agent import agent_of
from fake_smolvm.machines.resources import Disks
from fake_smolvm.operations.connection import open_state
from fake_smolvm.operations.storage import boot_if_stopped, fetched_images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.guest.images import Image
    from fake_smolvm.host import Host
    from fake_smolvm.machines.record import Record


def run(matches: Matches, host: Host) -> int:
    """Remove unused layers (there never are any here), or with `--all` every fetched image."""
    paths, store = open_state(host)
    name: str = matches["name"]
    record = store.get(name)
    if record is None:
        raise CommandError(f"config operation failed: prune: machine '{name}' not found")
    Disks(paths, name, storage_gb=record.storage_gb, overlay_gb=record.overlay_gb)
    if matches["all"] and agent_of(paths, name) is not None:
        raise CommandError(
            f"agent operation failed: prune: cannot prune --all while machine '{name}' is running. "
            f"Stop it first with: smolvm machine stop --name {name}"
        )
    boot_if_stopped(host, paths, record, "Starting machine...\n")
    if matches["all"]:
        images = fetched_images(host, record)
        host.out(_removed(images, dry_run=matches["dry_run"]))
        if images and not matches["dry_run"]:
            store.update(name, _forget_image)
    else:
        doing = "Scanning for" if matches["dry_run"] else "Removing"
        host.out(f"{doing} unreferenced layers...\nNo unreferenced layers to remove.\n")
    return 0


def _removed(images: list[Image], *, dry_run: bool) -> str:
    from fake_smolvm.operations.sizes import readable

    if not images:
        return "No cached images to remove.\n"
    size = readable(sum([image.size for image in images]))
    if not dry_run:
        return f"Removing all cached images...\nRemoved {len(images)} images, freed {size}\n"
    lines = [
        f"  - {image.reference} ({readable(image.size)}, {image.layers} layers)\n"
        for image in images
    ]
    return f"Would remove {len(images)} images ({size})\n{''.join(lines)}"


def _forget_image(record: Record) -> None:
    record.images_pruned = True
