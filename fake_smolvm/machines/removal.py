"""Removes folders: however deep, whatever their modes, and never anything outside them."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_OPENING = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def remove_tree(path: str, dir_fd: int | None = None) -> bool:
    """Remove a folder and all that is in it, however deep and whatever its modes.

    Links are not followed, and nobody who moves folders about meanwhile leads it elsewhere. Return
    whether nothing is left.
    """
    folder, name = os.path.split(path)
    folder = folder or "."
    try:
        here = os.open(folder, _OPENING, dir_fd=dir_fd)
    except OSError:
        return not _exists(path, dir_fd)
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
            back = (
                os.open("..", _OPENING, dir_fd=here)
                if above
                else os.open(folder, _OPENING, dir_fd=dir_fd)
            )
            os.close(here)
            here = back
            if _identity(here) != known:
                break  # Somebody has moved it.
            _attempt(os.rmdir, name, dir_fd=here)
    except OSError:
        pass  # What is left is told by what is there.
    os.close(here)
    return not _exists(path, dir_fd)


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


def _exists(path: str, dir_fd: int | None) -> bool:
    try:
        os.stat(path, dir_fd=dir_fd, follow_symlinks=False)
    except OSError:
        return False
    return True
