"""`machine status`: whether a machine runs, or all that its record says, as JSON."""

from __future__ import annotations

from fake_smolvm.errors import CommandError
from fake_smolvm.machines.agent import agent_of
from fake_smolvm.operations.connection import DEFAULT_MACHINE, find, look_up, open_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host


def run(matches: Matches, host: Host) -> int:
    """Print the state of a machine; as text it goes by the agent, as JSON by the record."""
    paths, store = open_state(host)
    name: str | None = matches["name"]
    label = DEFAULT_MACHINE if name is None else name
    if matches["json"]:
        from fake_smolvm.fastjson import dumps
        from fake_smolvm.operations.description import as_json

        record = store.get(label)
        if record is None:
            raise CommandError(
                f"config operation failed: machine status: machine '{label}' not found"
            )
        host.out(dumps(as_json(paths, record), indent=2) + "\n")
        return 0
    look_up(paths, label)
    process = agent_of(paths, label)
    if process is not None:
        host.out(f"Machine '{label}': running (PID: {process.pid})\n")
    elif name is not None and find(store, name) is None:
        raise CommandError(f"vm not found: {name}")
    else:
        host.out(f"Machine '{label}': not running\n")
    return 0
