"""`machine stop`: ends a machine's process."""

from __future__ import annotations

from fake_smolvm.operations.connection import open_state
from fake_smolvm.operations.stopping import stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host


def run(matches: Matches, host: Host) -> int:
    """Stop a machine; one that is unknown or does not run is no failure (hazard H5)."""
    paths, store = open_state(host)
    stop(host, paths, store, matches["name"])
    return 0
