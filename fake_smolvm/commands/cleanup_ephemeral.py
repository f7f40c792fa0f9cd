"""`smolvm _cleanup-ephemeral`, which smolvm calls itself after a `machine run`."""

from __future__ import annotations

import os
from contextlib import suppress

from fake_smolvm.errors import CommandError
from fake_smolvm.machines import lifecycle
from fake_smolvm.machines.agent import agent_of, end
from fake_smolvm.machines.paths import Paths
from fake_smolvm.machines.store import Store
from fake_smolvm.operations.log import warning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host


def run(matches: Matches, host: Host) -> int:
    """End the machine's process, remove its data, then its record; never fails.

    Unlike the real one, it ends no process but that of the machine named.
    """
    paths = Paths(host.env)
    name: str = matches["vm_name"]
    pid: int = matches["pid"]
    if _is_alive(pid):
        if not matches["start_time"]:
            refusal = "refusing to verify process without start time (legacy record)"
            host.err(warning(host.env, refusal, "pid", pid))
            return 0
        process = agent_of(paths, name)
        if (
            process is None
            or process.pid != pid
            or process.start_time != str(matches["start_time"])
        ):
            return 0
        end(paths, name, process)
    lifecycle.remove_data(paths, name)
    with suppress(CommandError):
        Store(paths).remove(matches["ephemeral_name"])
    return 0


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
