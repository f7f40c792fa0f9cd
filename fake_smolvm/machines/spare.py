"""The roots of deleted machines, kept as empty folders for the next machines.

To remove one folder takes over a millisecond on some file systems (ext4 with `discard`), so to
remove the forty that a guest's root begins with takes longer than all the rest of its life.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

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


def remove_tree(path: str) -> bool:
    """Remove a folder and all that is in it, however deep and whatever its modes.

    Links are not followed, and nobody who moves folders about meanwhile leads it elsewhere. Return
    whether nothing is left.
    """
    folder, name = os.path.split(path)
    try:
        here = os.open(folder, _OPENING)
    except OSError:
        return not os.path.lexists(path)
    # Folders that are being emptied, the innermost last: how each is known again on the way back,
    # the name below it that is being removed, and the names of folders that are still to come.
    above: list[tuple[tuple[int, int], str, list[str]]] = []
    waiting = [name]
    try:
        while waiting or above:
            if waiting:
                name = waiting.pop()
                below = _enter(here, name)
                if below >= 0:
                    above.append((_identity(here), name, waiting))
                    os.close(here)
                    here = below
                    waiting = _remove_files(here)
                continue
            known, name, waiting = above.pop()
            back = os.open("..", _OPENING, dir_fd=here) if above else os.open(folder, _OPENING)
            os.close(here)
            here = back
            if _identity(here) != known:
                break  # Somebody has moved it.
            _attempt(os.rmdir, name, dir_fd=here)
    except OSError:
        pass  # What is left is told by what is there.
    os.close(here)
    return not os.path.lexists(path)


_OPENING = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def _identity(folder: int) -> tuple[int, int]:
    found = os.fstat(folder)
    return found.st_dev, found.st_ino


def _enter(above: int, name: str) -> int:
    """Open a folder to empty it; return -1 if that cannot be, or for a file, which is removed."""
    try:
        folder = os.open(name, _OPENING | os.O_NOFOLLOW, dir_fd=above)
    except PermissionError:
        # Its mode says that nobody may look. A link in its place by now is not changed.
        _attempt(_open_up, above, name)
        try:
            folder = os.open(name, _OPENING | os.O_NOFOLLOW, dir_fd=above)
        except OSError:
            return -1
    except OSError:
        _attempt(os.unlink, name, dir_fd=above)
        return -1
    if os.fstat(folder).st_mode & 0o700 != 0o700:  # noqa: PLR2004
        _attempt(os.fchmod, folder, 0o700)
    return folder


def _open_up(above: int, name: str) -> None:
    if os.chmod in os.supports_follow_symlinks:
        os.chmod(name, 0o700, dir_fd=above, follow_symlinks=False)
        return
    folder = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        os.chmod(f"/proc/self/fd/{folder}", 0o700)
    finally:
        os.close(folder)


def _remove_files(folder: int) -> list[str]:
    """Remove what is no folder; return the names of the others."""
    folders: list[str] = []
    with os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                _attempt(os.unlink, entry.name, dir_fd=folder)
    return folders


def _attempt(change: Callable[..., object], *given: object, **named: object) -> None:
    try:
        change(*given, **named)
    except OSError:
        pass


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
