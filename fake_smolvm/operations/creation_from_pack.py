"""`smolvm machine create --from`: a new machine's record, from an artifact."""

from __future__ import annotations

import os
import time

from fake_smolvm.artifacts.cache import Cache
from fake_smolvm.artifacts.errors import ArtifactError
from fake_smolvm.artifacts.format import read_footer, read_manifest
from fake_smolvm.errors import CommandError
from fake_smolvm.machines import resources
from fake_smolvm.machines.hazards import note
from fake_smolvm.machines.record import DEFAULT_CPUS, DEFAULT_MEMORY_MIB, Record
from fake_smolvm.operations.connection import open_state
from fake_smolvm.operations.creation import new_name, store_new

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.artifacts.manifest import Manifest
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host
    from fake_smolvm.machines.paths import Paths

# 0.8.0 accepts these together with --from and then ignores them (hazard H1).
_NETWORK_LIMITS = ("allow_cidr", "allow_host", "outbound_localhost_only")
_IGNORED = (*_NETWORK_LIMITS, "workdir", "gpu", "gpu_vram_mib")


def run(matches: Matches, host: Host) -> int:
    """Unpack the artifact, and store a machine that is as its manifest and the command line say."""
    shown = matches["from"]
    path = os.path.join(host.cwd, shown)
    if not os.path.exists(path):
        raise CommandError(
            f"config operation failed: create from .smolmachine: file not found: {shown}"
        )
    paths, store = open_state(host)
    try:
        context = "read .smolmachine"
        manifest = read_manifest(path)
        host.out("Extracting .smolmachine assets...\n")
        context = "extract sidecar"
        Cache(paths).add(path, read_footer(path))
    except ArtifactError as error:
        raise CommandError(f"agent operation failed: {context}: {error}") from None
    record = Record(new_name(matches["name"]), int(time.time()))
    _take_over(record, manifest)
    # What the command line says by default cannot be told from what it says.
    if matches["cpus"] != DEFAULT_CPUS:
        record.cpus = matches["cpus"]
    if matches["mem"] != DEFAULT_MEMORY_MIB:
        record.mem = matches["mem"]
    record.network = record.network or matches["net"]
    record.network_backend = matches["net_backend"]
    record.ports = matches["port"]
    record.init = matches["init"]
    record.env = resources.parse_env([*manifest.env, *matches["env"]])
    record.storage_gb = matches["storage"]
    record.overlay_gb = matches["overlay"]
    record.ssh_agent = matches["ssh_agent"]
    record.source_smolmachine = os.path.realpath(path)
    store_new(host, paths, store, record, matches["volume"])
    _note_hazards(paths, record, manifest, matches)
    return 0


def _take_over(record: Record, manifest: Manifest) -> None:
    record.image = manifest.image
    record.entrypoint = manifest.entrypoint
    record.cmd = manifest.cmd
    record.cpus = manifest.cpus
    record.mem = manifest.mem
    record.network = manifest.network
    record.workdir = manifest.workdir
    record.gpu = manifest.gpu or None


def _note_hazards(paths: Paths, record: Record, manifest: Manifest, matches: Matches) -> None:
    ignored = [name for name in _IGNORED if matches[name]]
    if ignored:
        options = ", ".join(f"--{name.removesuffix('_mib').replace('_', '-')}" for name in ignored)
        network = ""
        if any(name in _NETWORK_LIMITS for name in ignored):
            network = "unrestricted network: " if record.network else "no network at all: "
        note(
            paths,
            "H1",
            command="machine create --from",
            machine=record.name,
            consequence=f"{network}{options} dropped",
        )
    if not manifest.layers:
        note(
            paths,
            "H18",
            command="machine create --from",
            machine=record.name,
            consequence="created from a pack of a bare machine: it can never start",
        )
