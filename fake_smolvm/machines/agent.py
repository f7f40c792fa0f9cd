"""The agent of a machine, here a file in its data directory that names the process."""

from __future__ import annotations

import os

from fake_smolvm.machines.paths import read_small
from fake_smolvm.machines.process import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.machines.paths import Paths


def agent_of(paths: Paths, name: str) -> Process | None:
    """Return the process that answers for a machine; None when there is none, or it is frozen.

    This is what `exec`, `cp`, `status` and `stop` of 0.8.0 go by, whatever the record says.
    """
    found = read_agent(paths.machine_dir(name), ready=True)
    return found if found is not None and found.condition() == "alive" else None


def end(paths: Paths, name: str, process: Process) -> None:
    """End a machine's process, and its agent with it."""
    process.kill()
    try:
        os.unlink(os.path.join(paths.machine_dir(name), "agent"))
    except OSError:
        pass


def write_agent(folder: str, process: Process, *, ready: bool) -> None:
    """Name a process in a data directory, which answers for the machine once it is ready."""
    text = f"{process.pid} {'ready' if ready else 'booting'} {process.start_time or ''}"
    fresh = os.path.join(folder, "agent.new")
    with open(fresh, "wb", buffering=0) as file:
        file.write(text.encode())
    os.rename(fresh, os.path.join(folder, "agent"))


def read_agent(folder: str, *, ready: bool = False) -> Process | None:
    """Return the process that a data directory names; with `ready`, only once it has answered."""
    try:
        found = read_small(os.path.join(folder, "agent"))
        pid, stage, start_time = found.decode().split(" ", 2)
        process = Process(int(pid), start_time or None)
    except (OSError, ValueError):
        return None
    return None if ready and stage != "ready" else process
