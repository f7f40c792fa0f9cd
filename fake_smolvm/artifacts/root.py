"""A guest's root, laid out of what an artifact holds."""

from __future__ import annotations

import os

from fake_smolvm.artifacts.cache import Cache
from fake_smolvm.artifacts.errors import ArtifactError
from fake_smolvm.artifacts.format import read_footer, read_manifest
from fake_smolvm.artifacts.manifest import OVERLAY
from fake_smolvm.artifacts.tar import is_own_file, is_within, passes_a_link, unpack
from fake_smolvm.errors import CommandError
from fake_smolvm.guest.root import make_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.artifacts.manifest import Manifest
    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.record import Record


def fill_root(entry: str, manifest: Manifest, root: str) -> None:
    """Lay the layers of an unpacked artifact, or its bare machine's disk, into a guest's root.

    Raises:
        CommandError: For a layer that cannot be unpacked.
    """
    os.makedirs(root, exist_ok=True)
    try:
        for asset in (*(layer["path"] for layer in manifest.layers), OVERLAY):
            path = os.path.join(entry, asset)
            if is_within(entry, path) and not passes_a_link(entry, path) and is_own_file(path):
                with open(path, "rb") as file:
                    unpack(file, root, root)
    except ArtifactError as error:
        raise CommandError(f"agent operation failed: extract sidecar: {error}") from None
    if manifest.workdir is not None:
        # It is in the image; here the layers that hold it may be unreadable.
        make_folder(root, manifest.workdir)


def prepare_start(paths: Paths, record: Record) -> str:
    """Make the machine's artifact ready for its start, and its root on its first start.

    Returns:
        Why no container will run in it, empty if one will: a pack of a bare machine has no layers
        (0.8.0: vm.jsonl, part f2, step 20).

    Raises:
        CommandError: For an artifact that is gone or broken.
    """
    path = record.source_smolmachine
    if path is None:
        return ""
    if not os.path.exists(path):
        raise CommandError(
            f"agent operation failed: start machine: source .smolmachine not found: {path}\n"
            "The file may have been moved or deleted."
        )
    try:
        context = "read sidecar footer"
        footer = read_footer(path)
        context = "extract sidecar"
        cache = Cache(paths)
        cache.add(path, footer)
        manifest = read_manifest(path)
    except ArtifactError as error:
        raise CommandError(f"agent operation failed: {context}: {error}") from None
    unpacked = os.path.join(paths.make_machine_dir(record.name), "unpacked")
    if not os.path.exists(unpacked):
        fill_root(cache.entry(footer), manifest, paths.guest_root(record.name))
        with open(unpacked, "xb"):
            pass
    return "" if manifest.layers else "no layer directories found in /packed_layers"
