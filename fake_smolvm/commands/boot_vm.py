"""`smolvm _boot-vm`, which smolvm calls itself: what it says to somebody else."""

from __future__ import annotations

import os

from fake_smolvm.errors import CommandError, LimitError, os_error_text
from fake_smolvm.rust import serde_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host

_REQUIRED = (
    "rootfs_path",
    "storage_disk_path",
    "overlay_disk_path",
    "vsock_socket",
    "startup_error_log",
    "storage_size_gb",
    "overlay_size_gb",
    "mounts",
    "ports",
    "resources",
)


def run(matches: Matches, host: Host) -> int:
    """Refuse a boot file that is none; boot nothing from one that is."""
    try:
        with open(os.path.join(host.cwd, matches["config"]), "rb") as file:
            serde_json.read_struct(file.read(), "BootConfig", _REQUIRED)
    except OSError as error:
        problem = f"read boot config: {os_error_text(error)}"
    except serde_json.JsonError as error:
        problem = f"parse boot config: {error}"
    else:
        raise LimitError("machines are booted in a way of its own, from no boot file")
    raise CommandError(f"agent operation failed: {problem}")
