"""`machine delete`: a machine's record and its data, after a question."""

from __future__ import annotations

from fake_smolvm.errors import CommandError
from fake_smolvm.machines import lifecycle
from fake_smolvm.operations.connection import open_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host


def run(matches: Matches, host: Host) -> int:
    """Delete a machine. One that runs is not stopped: its process stays (hazard H3)."""
    paths, store = open_state(host)
    name: str = matches["name"]
    if store.get(name) is None:
        raise CommandError(f"vm not found: {name}")
    if not matches["force"] and not _confirmed(host, name):
        host.out("Cancelled\n")
        return 0
    record = store.remove(name)
    process = None if record is None else lifecycle.process_of(record)
    if process is not None and process.condition() != "gone":
        from fake_smolvm.machines.hazards import note

        note(
            paths,
            "H3",
            command="machine delete",
            machine=name,
            consequence=f"process {process.pid} of the machine is left behind, running",
        )
    if lifecycle.remove_data(paths, name):
        host.out(f"Cleaning up data directory for vm: {name}\n")
    host.out(f"Deleted machine: {name}\n")
    return 0


def _confirmed(host: Host, name: str) -> bool:
    host.err(f"Delete machine '{name}'? [y/N] ")
    answer = host.stdin.readline()
    return answer.strip().lower() in (b"y", b"yes")
