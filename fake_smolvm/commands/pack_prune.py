"""`smolvm pack prune`."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

from fake_smolvm.artifacts.cache import Cache
from fake_smolvm.machines.paths import Paths
from fake_smolvm.operations.sizes import readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host


def run(matches: Matches, host: Host) -> int:
    """Remove the unpacked assets of artifacts, but those used last."""
    dry_run = matches["dry_run"]
    keep = 0 if matches["all"] else matches["keep"]
    removed = freed = 0
    cache = Cache(Paths(host.env))
    for name in _newest_first(cache.folder)[keep:]:
        entry = os.path.join(cache.folder, name)
        size = _size(entry)
        if dry_run:
            shown = os.path.join(cache.shown_folder, name)
            host.out(f"  would remove: {shown} ({readable(size)})\n")
        else:
            shutil.rmtree(entry, ignore_errors=True)
            if os.path.exists(entry):
                continue
            with suppress(FileNotFoundError):
                os.remove(entry + ".lock")
        removed += 1
        freed += size
    if not removed:
        host.out("No cached entries to remove.\n")
    elif dry_run:
        host.out(f"Would remove {removed} cached entries ({readable(freed)})\n")
    else:
        host.out(f"Removed {removed} cached entries, freed {readable(freed)}\n")
    return 0


def _newest_first(folder: str) -> list[str]:
    if not os.path.isdir(folder):
        return []
    with os.scandir(folder) as entries:
        found = [(entry.stat().st_mtime_ns, entry.name) for entry in entries if entry.is_dir()]
    return [name for _, name in sorted(found, reverse=True)]


def _size(folder: str) -> int:
    return sum(
        os.lstat(os.path.join(at, name)).st_size
        for at, _, names in os.walk(folder)
        for name in names
    )
