"""How a machine stops."""

from __future__ import annotations

from fake_smolvm.machines import lifecycle
from fake_smolvm.machines.agent import agent_of, end
from fake_smolvm.operations.connection import DEFAULT_MACHINE, look_up, recover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.host import Host
    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.store import Store


def stop(host: Host, paths: Paths, store: Store, name: str | None) -> None:
    """Stop the machine `name`, or the default one, and say what was done."""
    label = DEFAULT_MACHINE if name is None else name
    record = store.get(label)
    if record is None:
        _stop_unrecorded(host, paths, name)
        return
    state = lifecycle.state_of(paths, record)
    if state == "unreachable":
        recover(host, paths, store, record)
        host.out(f"Stopped machine: {label}\n")
    elif state == "running":
        host.out(f"Stopping machine '{label}'...\n")
        process = agent_of(paths, label)
        if process is not None:
            end(paths, label, process)
        lifecycle.set_stopped(store, label)
        host.out(f"Stopped machine: {label}\n")
    else:
        host.out(f"Machine '{label}' is not running (state: {state})\n")


def _stop_unrecorded(host: Host, paths: Paths, name: str | None) -> None:
    label = DEFAULT_MACHINE if name is None else name
    look_up(paths, label)
    process = agent_of(paths, label)
    if name is None or process is not None:
        host.out(f"Stopping machine '{label}'...\n")
        if process is not None:
            end(paths, label, process)
        host.out(f"Machine '{label}' stopped\n")
        return
    from fake_smolvm.machines.hazards import note

    note(
        paths,
        "H5",
        command="machine stop",
        machine=label,
        consequence="there is no such machine, and the exit code is 0 all the same",
    )
    host.out(f"Machine '{label}' not found or not running\n")
