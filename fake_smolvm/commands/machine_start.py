"""`machine start`: boots a machine, and on its first start prepares it."""

from __future__ import annotations

import time

from fake_smolvm.errors import CommandError
from fake_smolvm.machines import lifecycle
from fake_smolvm.machines.agent import agent_of
from fake_smolvm.machines.boot import begin_boot
from fake_smolvm.machines.record import Record
from fake_smolvm.machines.store import MachineExistsError
from fake_smolvm.operations.connection import DEFAULT_MACHINE, look_up, open_state
from fake_smolvm.operations.starting import start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host
    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.store import Store


def run(matches: Matches, host: Host) -> int:
    """Start a machine; without a name the default one, which is made if there is none."""
    paths, store = open_state(host)
    name: str | None = matches["name"]
    record = store.get(DEFAULT_MACHINE if name is None else name)
    if record is not None:
        start(host, paths, store, record)
    elif name is None:
        _start_default(host, paths, store)
    else:
        raise CommandError(f"vm not found: {name}")
    return 0


def _start_default(host: Host, paths: Paths, store: Store) -> None:
    """Make and start the machine `default`; its record is made once it runs."""
    look_up(paths, DEFAULT_MACHINE)
    process = agent_of(paths, DEFAULT_MACHINE)
    if process is not None:
        host.out(f"Machine '{DEFAULT_MACHINE}' already running (PID: {process.pid})\n")
        return
    host.err(f"Starting machine '{DEFAULT_MACHINE}'...\n")
    with begin_boot(paths, DEFAULT_MACHINE, virtual=host.in_process) as boot:
        process = boot.run()
        try:
            store.add(Record(DEFAULT_MACHINE, int(time.time())))
        except MachineExistsError:
            pass
        lifecycle.set_running(store, DEFAULT_MACHINE, process)
    host.out(f"Machine '{DEFAULT_MACHINE}' running (PID: {process.pid})\n")
