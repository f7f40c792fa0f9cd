"""`smolvm config registries init`."""

from __future__ import annotations

from fake_smolvm.machines.paths import Paths
from fake_smolvm.machines.user_settings import SettingsFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host


def run(_matches: Matches, host: Host) -> int:
    """Write example settings, unless there are settings."""
    file = SettingsFile(Paths(host.env), host.cwd)
    if file.exists():
        host.err(
            f"Configuration file already exists at {file.shown_path}\n"
            "Use 'smolvm config registries edit' to modify it.\n"
        )
        return 0
    file.write_example()
    host.out(
        f"Created example configuration at {file.shown_path}\n"
        "\n"
        "Edit the file to add your registry credentials.\n"
        "Run 'smolvm config registries edit' to open in your editor.\n"
    )
    return 0
