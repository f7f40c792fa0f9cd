"""Which state a machine is in, and what puts it into another.

Two things know of a running machine, and on 0.8.0 they can disagree (`exec` reaches what `stop`
finds not started: vm.jsonl, part i2, steps 7 and 10): its record, and its agent, found by way of
the data directory. `ls` and `start` ask the record, `exec` and `status` the agent.
"""

from __future__ import annotations

import os

from fake_smolvm.machines.agent import agent_of
from fake_smolvm.machines.process import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.record import Record, State
    from fake_smolvm.machines.store import Store


def state_of(paths: Paths, record: Record) -> State:
    """Return the state that `ls` shows: the record's; of a running one, the process's."""
    if record.state != "running":
        return record.state
    process = process_of(record)
    if process is not None and process.condition() != "gone":
        return "running" if agent_of(paths, record.name) else "unreachable"
    return "running" if agent_of(paths, record.name) else "stopped"


def recorded_state(record: Record) -> State:
    """Return the state that `update` and `resize` go by: to them a frozen process runs."""
    if record.state != "running":
        return record.state
    process = process_of(record)
    return "running" if process is not None and process.condition() != "gone" else "stopped"


def process_of(record: Record) -> Process | None:
    """Return the process that a record names."""
    return None if record.pid is None else Process(record.pid, record.pid_start_time)


def set_running(store: Store, name: str, process: Process) -> None:
    """Write into the record that the machine runs."""

    def change(record: Record) -> None:
        record.state = "running"
        record.pid = process.pid
        record.pid_start_time = process.start_time

    store.update(name, change)


def set_stopped(store: Store, name: str) -> None:
    """Write into the record that the machine does not run."""

    def change(record: Record) -> None:
        record.state = "stopped"
        record.pid = None
        record.pid_start_time = None

    store.update(name, change)


def sweep(paths: Paths, store: Store) -> None:
    """Remove what `machine run` left behind: ephemeral machines whose process is gone."""
    for record in store.ephemeral():
        process = process_of(record)
        if process is None or process.condition() == "gone":
            store.remove(record.name)
            remove_data(paths, record.name)


def remove_data(paths: Paths, name: str) -> bool:
    """Remove a machine's data directory; return False when there was none."""
    folder = paths.machine_dir(name)
    if not os.path.isdir(folder):
        return False
    from fake_smolvm.machines import root_pool

    root_pool.remove(paths, folder)
    return True
