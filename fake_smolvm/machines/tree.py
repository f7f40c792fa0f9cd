"""A machine's files on the host: which host path a guest path is, never one outside the machine."""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from fake_smolvm.machines.record import Mount

_MOST_LINKS = 40
"""As many symbolic links as Linux follows in one path."""


class GuestTree:
    """The guest's root folder and the host folders mounted into it.

    Links are followed as the guest would: an absolute one starts at the guest's root, where `..`
    stops.
    """

    __slots__ = ("_mounts", "_root")

    def __init__(self, root: str, mounts: Iterable[Mount] = ()) -> None:
        self._root = root
        self._mounts = {_parts(guest): (host, read_only) for host, guest, read_only in mounts}

    def host_path(self, guest_path: str, *, follow: bool = True) -> str:
        """The host path behind an absolute guest path, which need not exist.

        With `follow` a link in the last place is followed too. Raises OSError (ELOOP, ENOTDIR).
        """
        return self._at(self._resolve(guest_path, follow=follow))

    def is_read_only(self, guest_path: str) -> bool:
        """Whether a path lies in a folder that is mounted read-only."""
        parts = self._resolve(guest_path, follow=False)
        return any(
            read_only
            for mounted, (_, read_only) in self._mounts.items()
            if parts[: len(mounted)] == mounted
        )

    def _resolve(self, guest_path: str, *, follow: bool) -> tuple[str, ...]:
        pending = list(reversed(_parts(guest_path)))
        done: tuple[str, ...] = ()
        links = 0
        while pending:
            part = pending.pop()
            if part == "..":
                done = done[:-1]
                continue
            here = (*done, part)
            target = self._link(here) if pending or follow else None
            if target is None:
                done = here
                continue
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            if target.startswith("/"):
                done = ()
            pending.extend(reversed(_parts(target)))
        return done

    def _link(self, parts: tuple[str, ...]) -> str | None:
        if parts in self._mounts:
            return None
        try:
            return os.readlink(self._at(parts))
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR):
                return None
            raise

    def _at(self, parts: tuple[str, ...]) -> str:
        for length in range(len(parts), 0, -1):
            mounted = self._mounts.get(parts[:length])
            if mounted is not None:
                return os.path.join(mounted[0], *parts[length:])
        return os.path.join(self._root, *parts)


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part not in ("", "."))
