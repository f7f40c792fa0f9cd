"""A machine's files on the host: which a guest path is, and whether the guest may change it.

Everything that Python does to a guest's files goes through `GuestTree`. It walks from folder to
open folder and never has the kernel follow a link, so that nobody who moves things about meanwhile
can lead it out of the machine; and it is the one place that knows what is mounted read-only.
"""

from __future__ import annotations

import errno
import os
from stat import S_ISDIR, S_ISLNK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from fake_smolvm.machines.record import Mount

_MOST_LINKS = 40
"""As many symbolic links as Linux follows in one path."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WALKING = getattr(os, "O_PATH", 0) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""Without the right to list a folder, where the system can; the guest's root may go anywhere."""
_CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


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
        """Return the host path behind an absolute guest path, which need not exist.

        It is for looking only: to open or change what is there, use the methods below. With
        `follow` a link in the last place is followed too.

        Raises:
            OSError: ELOOP, ENOTDIR.
        """
        return self._at(self._resolve(guest_path, follow=follow))

    def is_read_only(self, guest_path: str) -> bool:
        """Return whether a path lies in a folder that is mounted read-only."""
        mounted = self._mounted(self._resolve(guest_path, follow=False))
        return mounted is not None and self._mounts[mounted][1]

    def is_mount(self, guest_path: str) -> bool:
        """Return whether a path is where something is mounted, or the root."""
        parts = self._resolve(guest_path, follow=False)
        return not parts or parts in self._mounts

    def place(self, guest_path: str, *, follow: bool = True, make_folders: bool = False) -> Place:
        """Return where a path leads, its folder held open; the last name need not exist.

        With `follow` a link in the last place is followed too; with `make_folders` the folders on
        the way are made. Use it as a context manager.

        Raises:
            OSError: the way there does not exist, is no folder, or may not be made (EROFS).
        """
        pending = list(reversed(_parts(guest_path)))
        place = Place(self._open_root(), (), None, read_only=False)
        try:
            while not self._walk(place, pending, follow=follow, make_folders=make_folders):
                place.go(self._open_root(), (), None, read_only=False)
        except BaseException:
            place.close()
            raise
        return place

    def open(self, guest_path: str, flags: int, mode: int = 0o644, *, follow: bool = True) -> int:
        """Open a file of the guest's; return its descriptor. A pipe is not waited for.

        Raises:
            OSError: as the guest's kernel would, EROFS among them.
        """
        with self.place(guest_path, follow=follow) as place:
            return place.open(flags, mode)

    def symlink(self, target: str, guest_path: str) -> None:
        """Make a symbolic link; raise OSError."""
        with self.place(guest_path, follow=False) as place:
            place.check_new()
            os.symlink(target, place.name, dir_fd=place.folder)

    def link(self, source: str, guest_path: str) -> None:
        """Make a hard link to a file, not across mounts.

        Raises:
            OSError: as the guest's kernel would, EXDEV and EROFS among them.
        """
        with self.place(source, follow=False) as old, self.place(guest_path, follow=False) as new:
            old.stat()
            new.check_new()
            if old.mount != new.mount:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
            os.link(
                old.name,
                new.name,
                src_dir_fd=old.folder,
                dst_dir_fd=new.folder,
                follow_symlinks=False,
            )

    def rename(self, source: str, guest_path: str) -> None:
        """Rename a file or folder, not across mounts.

        Raises:
            OSError: as the guest's kernel would, EXDEV, EROFS and EBUSY among them.
        """
        with self.place(source, follow=False) as old, self.place(guest_path, follow=False) as new:
            old.stat()
            if old.mount != new.mount:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
            old.check_movable()
            new.check_movable()
            os.rename(old.name, new.name, src_dir_fd=old.folder, dst_dir_fd=new.folder)

    def _open_root(self) -> int:
        return os.open(self._root, _WALKING)

    def _walk(self, place: Place, pending: list[str], *, follow: bool, make_folders: bool) -> bool:
        """Go where `pending` leads; return whether that is the end, or it starts at the root again.

        Then `pending` is the way from there.
        """
        while pending:
            part = pending.pop()
            if part == "..":
                pending.extend(reversed(place.parts[:-1]))
                return False
            here = (*place.parts, part)
            if here in self._mounts:
                host, read_only = self._mounts[here]
                place.go(os.open(host, _WALKING & ~os.O_NOFOLLOW), here, here, read_only=read_only)
                continue
            if pending or follow:
                target = _target(place.folder, part)
                if target is not None:
                    place.count_link()
                    start = () if target.startswith("/") else place.parts
                    pending.extend([*reversed(_parts(target)), *reversed(start)])
                    return False
            if not pending:
                place.name = part
                return True
            place.enter(part, make=make_folders)
        return True

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

    def _mounted(self, parts: tuple[str, ...]) -> tuple[str, ...] | None:
        """Return where the innermost mount is that a path lies in."""
        for length in range(len(parts), 0, -1):
            if parts[:length] in self._mounts:
                return parts[:length]
        return None

    def _at(self, parts: tuple[str, ...]) -> str:
        mounted = self._mounted(parts)
        if mounted is None:
            return os.path.join(self._root, *parts)
        return os.path.join(self._mounts[mounted][0], *parts[len(mounted) :])


class Place:
    """A name in a folder that is held open; "." stands for the root, or the top of a mount."""

    __slots__ = ("_links", "folder", "mount", "name", "parts", "read_only")

    def __init__(
        self, folder: int, parts: tuple[str, ...], mount: tuple[str, ...] | None, *, read_only: bool
    ) -> None:
        self.folder = folder
        self.parts = parts
        """Where the folder is in the guest."""
        self.mount = mount
        """Where the mount is that it belongs to; None for the root."""
        self.read_only = read_only
        self.name = "."
        self._links = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self.folder)

    def go(
        self, folder: int, parts: tuple[str, ...], mount: tuple[str, ...] | None, *, read_only: bool
    ) -> None:
        """Be in another open folder."""
        os.close(self.folder)
        self.folder, self.parts, self.mount, self.read_only = folder, parts, mount, read_only

    def enter(self, name: str, *, make: bool) -> None:
        """Go into a folder of this one; raise OSError."""
        try:
            folder = os.open(name, _WALKING, dir_fd=self.folder)
        except FileNotFoundError:
            if not make:
                raise
            self.check_writable()
            try:
                os.mkdir(name, 0o755, dir_fd=self.folder)
            except FileExistsError:
                pass  # Somebody else has made it meanwhile.
            folder = os.open(name, _WALKING, dir_fd=self.folder)
        self.go(folder, (*self.parts, name), self.mount, read_only=self.read_only)

    def count_link(self) -> None:
        """Note a link on the way; raise OSError (ELOOP) for one too many."""
        self._links += 1
        if self._links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))

    def check_writable(self) -> None:
        """Raise OSError (EROFS) where nothing may be changed."""
        if self.read_only:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def check_movable(self) -> None:
        """Raise OSError (EROFS, EBUSY) for what may not be renamed or removed."""
        if self.name == ".":
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        self.check_writable()

    def check_new(self) -> None:
        """Raise OSError where nothing can be made: EEXIST before EROFS, as Linux has it."""
        try:
            self.stat()
        except FileNotFoundError:
            self.check_writable()
        else:
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))

    def mkdir(self, mode: int) -> None:
        """Make a folder; raise OSError."""
        self.check_new()
        os.mkdir(self.name, mode, dir_fd=self.folder)

    def stat(self) -> os.stat_result:
        """Return what is there, a link itself; raise OSError."""
        return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)

    def is_folder(self) -> bool:
        """Return whether a folder is there."""
        try:
            return S_ISDIR(self.stat().st_mode)
        except OSError:
            return False

    def open(self, flags: int, mode: int = 0o644) -> int:
        """Open what is there; return its descriptor. A pipe is not waited for.

        Raises:
            OSError: as the guest's kernel would, EROFS among them.
        """
        if flags & _CHANGING and self.read_only:
            if not flags & os.O_CREAT:
                self.stat()
            self.check_writable()
        flags |= os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        return os.open(self.name, flags, mode, dir_fd=self.folder)

    def names(self) -> list[str]:
        """Return the names in the folder that is there; raise OSError."""
        folder = os.open(self.name, _FOLDER, dir_fd=self.folder)
        try:
            return os.listdir(folder)
        finally:
            os.close(folder)

    def target(self) -> str | None:
        """Return where the link that is there leads; None if it is no link."""
        return _target(self.folder, self.name)

    def remove(self) -> None:
        """Remove a file or an empty folder; raise OSError (EROFS, EBUSY, ENOTEMPTY …)."""
        found = self.stat()
        self.check_movable()
        if S_ISDIR(found.st_mode):
            os.rmdir(self.name, dir_fd=self.folder)
        else:
            os.unlink(self.name, dir_fd=self.folder)

    def rmdir(self) -> None:
        """Remove an empty folder; raise OSError (ENOTDIR, EROFS, EBUSY, ENOTEMPTY …)."""
        if not S_ISDIR(self.stat().st_mode):
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        self.remove()

    def remove_tree(self) -> None:
        """Remove a folder and all that is in it, however deep; raise OSError for what stays."""
        self.check_movable()
        from fake_smolvm.machines.removal import remove_tree

        if not remove_tree(self.name, self.folder):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))


def _target(folder: int, name: str) -> str | None:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        return os.readlink(name, dir_fd=folder) if S_ISLNK(found.st_mode) else None
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part not in ("", "."))
