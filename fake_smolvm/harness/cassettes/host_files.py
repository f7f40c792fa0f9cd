"""Files of the host that a replay writes: inside the test's own folders, or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
from ast import literal_eval
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fake_smolvm.harness.cassettes.recorded import WrittenFile

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NOTED = "own-folders"
"""A file in a sandbox: what `OwnFolders` holds."""
_NEW_FILE = 0o666
_ANY_X = 0o111


class OutsideError(Exception):
    """A file that a replay may not touch, and why, in words."""


@dataclass
class OwnFolders:
    """The folders in which a test may have files written."""

    roots: list[str]
    """The project, pytest's temporary folders, the sandbox."""
    temporary: str
    """The system's temporary folder, of which only what came during the test is the test's own."""
    before: list[str]
    """What was there before it."""

    @classmethod
    def read(cls, sandbox: str) -> OwnFolders:
        """Read what `note_own_folders` has left in the folder of a sandbox."""
        path = os.path.join(sandbox, _NOTED)
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return cls(*literal_eval(file.read()))

    def place(self, path: str) -> Place:
        """Return where an absolute path leads, all links followed.

        Raises OutsideError if that is in none of these folders.
        """
        real = os.path.realpath(path)
        for root in map(os.path.realpath, self.roots):
            if root != "/" and real.startswith(f"{root}/"):
                return Place(path, root, real[len(root) + 1 :].split("/"))
        temporary = os.path.realpath(self.temporary)
        parts = real.removeprefix(f"{temporary}/").split("/")
        if real.startswith(f"{temporary}/") and parts[0] not in self.before:
            return Place(path, temporary, parts)
        raise OutsideError(
            f"{path} is in none of the test's own folders ({', '.join(self.roots)}, and temporary"
            " ones that it made): have it written to tmp_path"
        )


def note_own_folders(sandbox: str, roots: Iterable[str]) -> None:
    """Note the folders of a test that begins now, for the processes of its sandbox."""
    temporary = tempfile.gettempdir()
    before = []
    with suppress(OSError):
        before = os.listdir(temporary)
    path = os.path.join(sandbox, _NOTED)
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(repr((list(roots), temporary, before)))


@dataclass
class Place:
    """A path, as a folder of the test's and what is below it."""

    path: str
    root: str
    parts: list[str]

    def check(self, file: WrittenFile) -> None:
        """Raise OutsideError for a place where no such file can be written or removed."""
        try:
            found = os.lstat(os.path.join(self.root, *self.parts))
        except OSError:
            return
        is_folder = stat.S_ISDIR(found.st_mode)
        if is_folder and (file.folder or file.removed):
            return
        if is_folder or file.folder or not stat.S_ISREG(found.st_mode):
            raise OutsideError(f"{self.path} is there already, and is no regular file")
        if found.st_nlink > 1:
            raise OutsideError(f"{self.path} has another name on this host (a hard link)")

    def put(self, file: WrittenFile, content: bytes, *, make_folders: bool) -> None:
        """Write or remove the file, following no link on the way.

        Raises OSError if that is not possible.
        """
        with _opened(self.root, self.parts[:-1], make_folders=make_folders) as folder:
            name = self.parts[-1]
            if file.folder:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=folder)
            elif file.removed:
                _remove(name, folder)
            else:
                _write(name, folder, content, executable=file.executable)


def _remove(name: str, folder: int) -> None:
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.rmdir(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)


def _write(name: str, folder: int, content: bytes, *, executable: bool) -> None:
    descriptor = os.open(name, _WRITE, _NEW_FILE, dir_fd=folder)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise OSError(0, "it is no regular file of its own any more")
        os.ftruncate(descriptor, 0)
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        if executable:
            os.fchmod(descriptor, stat.S_IMODE(found.st_mode) | _ANY_X)
    finally:
        os.close(descriptor)


class _opened:  # noqa: N801  used as a context manager
    """The descriptor of a folder below a root, opened step by step."""

    def __init__(self, root: str, parts: list[str], *, make_folders: bool) -> None:
        self._descriptor = os.open(root, _FOLDER)
        try:
            for part in parts:
                self._step(part, make_folders=make_folders)
        except BaseException:
            os.close(self._descriptor)
            raise

    def _step(self, part: str, *, make_folders: bool) -> None:
        if make_folders:
            with suppress(FileExistsError):
                os.mkdir(part, dir_fd=self._descriptor)
        deeper = os.open(part, _FOLDER, dir_fd=self._descriptor)
        os.close(self._descriptor)
        self._descriptor = deeper

    def __enter__(self) -> int:
        return self._descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def signatures(folder: str, ignored: str, most: int) -> dict[str, tuple[int, ...]] | None:
    """Return what tells whether anything below a folder has changed, by path.

    `ignored` is a folder that is not looked into. Returns None if there are more than `most` files.
    """
    found: dict[str, tuple[int, ...]] = {}
    for entry in _entries(folder, ignored):
        with suppress(OSError):
            found[entry.path] = signature(entry.stat(follow_symlinks=False))
        if len(found) > most:
            return None
    return found


def signature(found: os.stat_result) -> tuple[int, ...]:
    """Return what tells whether a file has changed; of a folder, no more than that it is one."""
    if stat.S_ISDIR(found.st_mode):
        return (found.st_mode,)
    return (found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


IGNORED_NAMES = ("__pycache__", ".pytest_cache", "__snapshots__", "cassettes")
"""Folders that test runs write to themselves, of which nothing is recorded."""


def _entries(folder: str, ignored: str) -> Iterator[os.DirEntry[str]]:
    left = [folder]
    while left:
        here = left.pop()
        with suppress(OSError), os.scandir(here) as entries:
            for entry in entries:
                if entry.name in IGNORED_NAMES or entry.path == ignored:
                    continue
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    left.append(entry.path)
