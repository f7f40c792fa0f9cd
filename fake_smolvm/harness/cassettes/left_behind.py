"""What calls of smolvm leave on the host: files that they name, and folders that they mount."""

from __future__ import annotations

import marshal
import os
import stat
from ast import literal_eval
from hashlib import sha256
from typing import TYPE_CHECKING

from fake_smolvm.errors import CommandError
from fake_smolvm.harness.cassettes import host_files
from fake_smolvm.machines import resources, smolfile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fake_smolvm.harness.seen.reading import Read

LARGEST_KEPT_FILE = 64 * 1024
"""Bytes of a file on the host that a cassette keeps; of a larger one, only what it was."""
MOST_WATCHED = 100_000
"""Files in a mounted folder that are looked at before and after every call."""
MOST_CHANGED = 200
"""Files that one call may change in a mounted folder to be recorded."""
MOUNTS = "mounts"
"""A file in the sandbox: the host folders that machines of the test may write to, one a line."""

_CHUNK = 1 << 20


def typed_files(line: Read) -> list[str]:
    """Return the files on the host that a command writes, as they were typed."""
    if line.matches is None:
        return []
    values = line.matches.values
    if line.command == "machine cp" and ":" in values["src"]:
        return [values["dst"]]
    if line.command == "pack create":
        return [values["output"], f"{values['output']}.smolmachine"]
    if line.command in ("pack pull", "serve openapi") and values["output"]:
        return [values["output"]]
    return []


def may_mount(line: Read) -> bool:
    """Tell whether a command line mounts a folder that the guest may write to."""
    values = line.matches.values if line.matches is not None else {}
    writable = [one for one in values.get("volume") or () if not one.endswith(":ro")]
    return bool(writable or values.get("smolfile"))


def mounts(line: Read, cwd: str) -> list[str]:
    """Return the host folders that a command mounts so that the guest may write to them."""
    if line.matches is None:
        return []
    values = line.matches.values
    specs = list(values.get("volume") or ())
    try:
        if values.get("smolfile"):
            file = smolfile.load(values["smolfile"], cwd)
            specs += file.sections["dev"].get("volumes") or file.data.get("volumes", ())
    except (CommandError, KeyError):
        pass  # then smolvm refuses it as well
    found = []
    for spec in specs:
        try:
            ((host, _, read_only),) = resources.parse_mounts([spec], cwd)
        except CommandError:
            continue
        if not read_only:
            found.append(host)
    return found


def note_mounts(folder: str, line: Read, cwd: str) -> list[str]:
    """Note what a call mounts; return what all calls of the test have mounted so far."""
    path = os.path.join(folder, MOUNTS)
    new = mounts(line, cwd)
    if new:
        with open(path, "a", encoding="utf-8", errors="surrogateescape") as file:
            file.write("".join(f"{host!r}\n" for host in new))
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return list(dict.fromkeys(map(literal_eval, file)))
    except FileNotFoundError:
        return []


class Watch:
    """What one call changes on the host."""

    def __init__(
        self,
        folder: str,
        typed: dict[str, str],
        before: dict[str, tuple[int, ...] | None],
        mounted: dict[str, dict[str, tuple[int, ...]] | None],
    ) -> None:
        self._ignored = os.path.realpath(folder)
        self._own = host_files.OwnFolders.read(folder)
        self._typed = typed
        self._before = before
        self._mounted = mounted

    @classmethod
    def begin(cls, folder: str, line: Read, cwd: str) -> Watch:
        """Look at what a call of the sandbox in `folder` could change, just before it starts."""
        typed = {name: os.path.join(cwd, name) for name in typed_files(line)}
        before = {name: _signature(path) for name, path in typed.items()}
        ignored = os.path.realpath(folder)
        mounted = {
            host: host_files.signatures(host, ignored, MOST_WATCHED)
            for host in note_mounts(folder, line, cwd)
        }
        return cls(folder, typed, before, mounted)

    def save(self, path: str) -> None:
        """Keep what was seen, for who looks again if this process is killed; OSError if not."""
        if self._typed or self._mounted:
            with open(path, "wb") as file:
                marshal.dump((self._typed, self._before, self._mounted), file)

    @classmethod
    def load(cls, path: str, folder: str) -> Watch | None:
        """Return what a process of the sandbox in `folder` saved; None if it had nothing to."""
        try:
            with open(path, "rb") as file:
                return cls(folder, *marshal.load(file))  # noqa: S302  our own
        except (OSError, EOFError, ValueError, TypeError):
            return None

    def note(self, note: Callable[..., None]) -> None:
        """Note, as events of a recording, what has changed since."""
        for typed, path in self._typed.items():
            after = _signature(path)
            if after is None and self._before[typed] is not None:
                note("removed", typed)
            elif after is not None and after != self._before[typed]:
                _note_file(typed, path, note)
            else:
                continue
            self._note_outside(path, note)
        named = set(map(os.path.realpath, self._typed.values()))
        for host, before in self._mounted.items():
            now = host_files.signatures(host, self._ignored, MOST_WATCHED)
            if before is None or now is None:
                note(
                    "unkept",
                    f"{host} is mounted and has more than {MOST_WATCHED} files, too many to see"
                    " what the guest writes: mount it read-only (:ro), or a smaller folder",
                )
                continue
            if _note_changes(host, before, now, named, note):
                self._note_outside(os.path.join(host, "file"), note)

    def _note_outside(self, path: str, note: Callable[..., None]) -> None:
        """Note that a replay would not write a file, if it is in none of the test's folders."""
        try:
            self._own.place(path)
        except host_files.OutsideError as error:
            note("unkept", str(error))


def _note_changes(
    host: str,
    before: Mapping[str, tuple[int, ...]],
    now: Mapping[str, tuple[int, ...]],
    named: set[str],
    note: Callable[..., None],
) -> bool:
    """Note what has changed in a mounted folder; return whether anything has."""
    changed = [path for path in sorted(now) if now[path] != before.get(path) and path not in named]
    gone = [path for path in sorted(before, reverse=True) if path not in now and path not in named]
    if len(changed) + len(gone) > MOST_CHANGED:
        note(
            "unkept",
            f"one call changed {len(changed) + len(gone)} files in the mounted folder {host}; a"
            f" cassette keeps {MOST_CHANGED} of one call",
        )
        return True
    for path in changed:
        kind = stat.S_IFMT(now[path][0])
        if kind == stat.S_IFDIR:
            note("folder", path)
        elif kind == stat.S_IFREG:
            _note_file(path, path, note)
        else:
            note("unkept", f"the guest made {path}, which is neither a file nor a folder")
    for path in gone:
        note("removed", path)
    return bool(changed or gone)


def _signature(path: str) -> tuple[int, ...] | None:
    """Return what tells whether a regular file has changed; None for anything else."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return host_files.signature(found) if stat.S_ISREG(found.st_mode) else None


def _note_file(typed: str, path: str, note: Callable[..., None]) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            executable = bool(os.fstat(descriptor).st_mode & stat.S_IXUSR)
            content = file.read(LARGEST_KEPT_FILE + 1)
            if len(content) <= LARGEST_KEPT_FILE:
                note("file", typed, content, executable)
                return
            size, digest = len(content), sha256(content)
            while chunk := file.read(_CHUNK):
                size += len(chunk)
                digest.update(chunk)
            note("large file", typed, size, digest.hexdigest(), executable)
    except OSError as error:
        note("unkept", f"{path} was written and cannot be read: {error.strerror}")
