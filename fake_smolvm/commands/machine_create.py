"""`machine create`: a new machine's record."""

from __future__ import annotations

import time

from fake_smolvm.errors import CommandError
from fake_smolvm.machines import resources
from fake_smolvm.machines.record import Record
from fake_smolvm.operations.connection import open_state
from fake_smolvm.operations.creation import new_name, set_options, store_new

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host


def run(matches: Matches, host: Host) -> int:
    """Check what was asked for, in 0.8.0's order, and store it."""
    if matches["from"] is not None:
        from fake_smolvm.operations import creation_from_pack

        return creation_from_pack.run(matches, host)
    paths, store = open_state(host)
    record = Record(new_name(matches["name"]), int(time.time()))
    record.init = matches["init"]
    volumes, env = set_options(record, matches, host, paths)
    record.env = resources.parse_env(env)
    resources.check(record, host.err)
    resources.check_network_backend(record)
    if matches["ssh_agent"]:
        record.ssh_agent = True
    if matches["gpu"]:
        record.gpu = True
    if matches["gpu_vram_mib"] is not None:
        record.gpu_vram_mib = matches["gpu_vram_mib"]
    duplicate = resources.duplicate_host_port(record.ports)
    if duplicate is not None:
        raise CommandError(f"config operation failed: validate ports: {duplicate}")
    store_new(host, paths, store, record, volumes)
    if record.allowed_cidrs or record.dns_filter_hosts:
        from fake_smolvm.machines.hazards import note

        note(
            paths,
            "H2",
            command="machine create",
            machine=record.name,
            consequence="the allowed destinations are recorded, and not enforced",
        )
    return 0
