"""The roots of deleted machines, kept as empty folders for the next machines.

To remove one folder takes over a millisecond on some file systems (ext4 with `discard`), so to
remove the forty that a guest's root begins with takes longer than all the rest of its life.
"""

from __future__ import annotations

import os
import time

from fake_smolvm.machines.removal import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.machines.paths import Paths

_MOST = 3
"""Spare roots that are kept at a time."""

_KEPT = frozenset(
    [
        "dev",
        "dev/pts",
        "dev/shm",
        "etc",
        "home",
        "media",
        "mnt",
        "opt",
        "proc",
        "proc/self",
        "proc/sys",
        "root",
        "run",
        "srv",
        "storage",
        "storage/workspace",
        "sys",
        "tmp",
        "usr",
        "usr/bin",
        "usr/lib",
        "usr/local",
        "usr/local/bin",
        "usr/local/sbin",
        "usr/share",
        "var",
        "var/cache",
        "var/lib",
        "var/log",
        "var/tmp",
    ]
)
"""Folders that every root has, whatever image it looks like; none of them is ever a link."""


def take(paths: Paths, root: str) -> None:
    """Put a spare root in the place of a root that is not there yet, if there is one."""
    try:
        spares = os.listdir(_folder(paths))
    except FileNotFoundError:
        return
    for spare in spares:
        try:
            os.rename(os.path.join(_folder(paths), spare), root)
        except OSError:
            continue  # Another process was first, or the root is there by now.
        return


def remove(paths: Paths, folder: str) -> bool:
    """Remove a data directory at once, its root's folders aside; return whether nothing is left."""
    gone = f"{folder}.{os.getpid()}.{time.monotonic_ns()}"
    try:
        os.rename(folder, gone)
        _keep(paths, os.path.join(gone, "root"))
    except OSError:
        pass
    return remove_tree(gone)


def _keep(paths: Paths, root: str) -> None:
    spares = _folder(paths)
    os.makedirs(spares, exist_ok=True)
    if len(os.listdir(spares)) < _MOST:
        _empty(root, "")
        os.rename(root, os.path.join(spares, os.path.basename(os.path.dirname(root))))


def _empty(folder: str, inside: str) -> None:
    os.chmod(folder, 0o755)  # noqa: S103 - as fresh ones are
    with os.scandir(folder) as entries:
        for entry in list(entries):
            place = f"{inside}{entry.name}"
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
            elif place in _KEPT:
                _empty(entry.path, f"{place}/")
            else:
                remove_tree(entry.path)


def _folder(paths: Paths) -> str:
    return os.path.join(paths.state, "spare")
