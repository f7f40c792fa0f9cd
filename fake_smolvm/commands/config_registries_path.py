"""`smolvm config registries path`."""

from __future__ import annotations

from fake_smolvm.machines.paths import Paths
from fake_smolvm.machines.user_settings import SettingsFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host


def run(_matches: Matches, host: Host) -> int:
    """Say where the settings are."""
    host.out(f"{SettingsFile(Paths(host.env), host.cwd).shown_path}\n")
    return 0
