"""`smolvm config registries edit`."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from fake_smolvm.errors import CommandError, os_error_text
from fake_smolvm.machines.paths import Paths
from fake_smolvm.machines.user_settings import SettingsFile

if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host


def run(_matches: Matches, host: Host) -> int:
    """Open the settings in `$EDITOR`, making them first if there are none, and check them."""
    file = SettingsFile(Paths(host.env), host.cwd)
    if not file.exists():
        file.write_example()
        host.out(f"Created example configuration at {file.shown_path}\n")
    editor = host.env.get("EDITOR", "vi")
    try:
        done = subprocess.run([editor, file.path], cwd=host.cwd, env=host.env, check=False)
    except OSError as error:
        raise CommandError(f"io operation failed: {os_error_text(error)}") from None
    if done.returncode != 0:
        raise CommandError(
            f"config operation failed: edit config: editor '{editor}' exited with non-zero status"
        )
    try:
        settings = file.read()
    except CommandError as error:
        host.err(f"Warning: Configuration file has errors: {error.message}\n")
        return 0
    host.out(
        f"Configuration valid: {len(settings.machines.entries)} machine registries,"
        f" {len(settings.images.entries)} image registries configured\n"
    )
    return 0
