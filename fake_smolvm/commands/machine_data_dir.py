"""`machine data-dir`: where a machine's data would lie."""

from __future__ import annotations

from fake_smolvm.machines.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host


def run(matches: Matches, host: Host) -> int:
    """Print the path that 0.8.0 would use, whether or not the machine exists."""
    host.out(Paths(host.env).shown_data_dir(matches["name"]) + "\n")
    return 0
