"""`machine images`: which images a machine has fetched, and how full its storage disk is."""

from __future__ import annotations

from fake_smolvm.errors import CommandError
from fake_smolvm.machines.resources import Disks
from fake_smolvm.operations.connection import open_state
from fake_smolvm.operations.storage import boot_if_stopped, fetched_images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.guest.images import Image
    from fake_smolvm.host import Host

_EMPTY_BYTES = 65536
"""What a fresh storage disk holds (0.8.0, vm.jsonl part a)."""

_NAME_WIDTH = 38


def run(matches: Matches, host: Host) -> int:
    """Print the images; a machine that does not run is booted for it, and stopped again."""
    paths, store = open_state(host)
    name: str = matches["name"]
    record = store.get(name)
    if record is None:
        raise CommandError(f"config operation failed: images: machine '{name}' not found")
    disks = Disks(paths, name, storage_gb=record.storage_gb, overlay_gb=record.overlay_gb)
    boot_if_stopped(host, paths, record, f"Starting machine '{name}' to query storage...\n")
    images = fetched_images(host, record)
    total = _usable(disks.storage)
    used = _EMPTY_BYTES + sum([image.size for image in images])
    layers = sum([image.layers for image in images])
    if matches["json"]:
        from fake_smolvm.fastjson import dumps

        status = {
            "image_count": len(images),
            "layer_count": layers,
            "total_bytes": total,
            "used_bytes": used,
        }
        shown = {"images": [_as_json(image) for image in images], "storage": status}
        host.out(dumps(shown, indent=2) + "\n")
        return 0
    from fake_smolvm.operations.sizes import readable

    host.out(
        f"Storage Usage:\n  Total:  {readable(total)}\n  Used:   {readable(used)}\n"
        f"  Layers: {layers}\n\n"
    )
    if not images:
        host.out("No cached images.\n")
        return 0
    host.out(f"Cached Images:\n{'IMAGE':<40} {'SIZE':>10} {'LAYERS':>8}\n{'-' * 60}\n")
    for image in images:
        label = image.reference
        if len(label) > _NAME_WIDTH:
            label = label[: _NAME_WIDTH - 3] + "..."
        host.out(f"{label:<40} {readable(image.size):>10} {image.layers:>8}\n")
    host.out(f"\nTotal: {len(images)} images\n")
    return 0


def _usable(size: int) -> int:
    """What a file system leaves of a disk of `size` bytes; exact for 20 GiB (vm.jsonl part a)."""
    return size * 21091663872 // 21474836480 // 4096 * 4096


def _as_json(image: Image) -> dict[str, object]:
    from platform import machine

    return {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(machine(), machine()),
        "cmd": image.cmd,
        "created": None,
        "digest": image.digest,
        "entrypoint": image.entrypoint,
        "env": image.env,
        "layer_count": image.layers,
        "layers": image.layer_digests(),
        "os": "linux",
        "reference": image.reference,
        "size": image.size,
        "user": str(image.user) if image.user else None,
        "workdir": image.workdir,
    }
