"""The machines' records, shared by any number of processes that may be killed at any moment.

One file, a journal: a header line, then one line a change, `"name"<TAB>{row}` (an empty row
removes the machine); the last line of a name is what holds. A writer appends under a lock that the
kernel drops with its owner, and whole lines only: what a killed writer left half-written has no
line end, is never read, and is cut off by the next writer. Readers take no lock. A journal that is
mostly old lines is rewritten beside the file and renamed over it.

SQLite, which the real one uses, would cost half of a command's time budget to import and open.
"""

from __future__ import annotations

import fcntl
import os
from errno import EACCES, EDQUOT, EFBIG, EIO, ENOSPC, EROFS
from stat import S_ISREG

from fake_smolvm.errors import CommandError, os_error_text
from fake_smolvm.fastjson import dumps, loads
from fake_smolvm.machines.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from fake_smolvm.machines.paths import Paths

_HEADER = b"fake_smolvm store, format 1\n"
_REWRITE_FROM = 64 * 1024
"""Bytes below which a journal is never rewritten."""


class MachineExistsError(Exception):
    """A machine of that name is in the store already."""


class Store:
    """The records of one root.

    Every method raises CommandError when the file is not a store (worded as 0.8.0 words it; the
    file is left as it was) or cannot be read or written.
    """

    __slots__ = ("_paths",)

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def get(self, name: str) -> Record | None:
        """Return the record of `name`, or None."""
        return _find(self._read(), name)

    def all(self) -> list[Record]:
        """Every record, in the order the machines were created."""
        return [_record(name, row) for name, row in _live_lines(self._read()).items()]

    def ephemeral(self) -> list[Record]:
        """Return the records that `machine run` left, which the next command may have to sweep."""
        journal = self._read()
        if b'"ephemeral":true' not in journal:
            return []
        return [record for record in self.all() if record.ephemeral]

    def add(self, record: Record) -> None:
        """Store a new machine.

        Raises:
            MachineExistsError: If there is one of that name.
        """
        with _Writer(self._paths) as writer:
            if _find(writer.journal, record.name) is not None:
                raise MachineExistsError(record.name)
            writer.append(_line(record))

    def update(self, name: str, change: Callable[[Record], object]) -> Record | None:
        """Let `change` alter the record, as one step; return it, or None if there is none."""
        with _Writer(self._paths) as writer:
            record = _find(writer.journal, name)
            if record is None:
                return None
            change(record)
            writer.append(_line(record))
            return record

    def remove(self, name: str) -> Record | None:
        """Take the record out of the store and return it; None if there is none."""
        with _Writer(self._paths) as writer:
            record = _find(writer.journal, name)
            if record is not None:
                writer.append(_key(name) + b"\n")
            return record

    def _read(self) -> bytes:
        self._paths.make_state()
        path = self._paths.store
        try:
            file = _open(path, os.O_RDWR)
        except FileNotFoundError:
            if os.path.islink(path):
                raise _unavailable(path) from None
            return _HEADER
        try:
            return _checked(_read_all(file))
        except OSError as error:
            raise _failed(path, error) from None
        finally:
            os.close(file)


class _Writer:
    """The lock on the store and its journal as it is now."""

    __slots__ = ("_file", "_lock", "_path", "journal")

    def __init__(self, paths: Paths) -> None:
        paths.make_state()
        self._path = paths.store

    def __enter__(self) -> Self:
        self._lock = _open(self._path + ".lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            self._file = _open(self._path, os.O_RDWR | os.O_CREAT)
            try:
                written = _read_all(self._file)
                self.journal = _checked(written)
                if len(written) < len(_HEADER):
                    self._write(_HEADER, at=0)
                elif len(written) > len(self.journal):
                    os.ftruncate(self._file, len(self.journal))
            except BaseException:
                os.close(self._file)
                raise
        except BaseException as error:
            os.close(self._lock)
            if isinstance(error, OSError):
                raise _failed(self._path, error) from None
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)
        os.close(self._lock)

    def append(self, line: bytes) -> None:
        """Add one line; once this returns, no kill of this or another process can undo it."""
        try:
            before, after = len(self.journal), len(self.journal) + len(line)
            # Looking for old lines takes a while, so only at each doubling of the journal.
            if after >= _REWRITE_FROM and before.bit_length() < after.bit_length():
                live = _live_lines(self.journal)
                if self.journal.count(b"\n") > 2 * len(live):
                    self._rewrite(live)
            self._write(line, at=len(self.journal))
        except OSError as error:
            self._undo()
            raise _failed(self._path, error) from None

    def _undo(self) -> None:
        """Take a line that is half there back; it would not be read, but need not be there."""
        try:
            os.ftruncate(self._file, len(self.journal))
        except OSError:
            pass

    def _write(self, data: bytes, *, at: int) -> None:
        rest = memoryview(data)
        while rest:
            done = os.pwrite(self._file, rest, at)
            rest = rest[done:]
            at += done

    def _rewrite(self, live: dict[bytes, bytes]) -> None:
        self.journal = _HEADER + b"".join(b"%b\t%b\n" % (name, row) for name, row in live.items())
        old = self._file
        self._file = _open(self._path + ".new", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        try:
            self._write(self.journal, at=0)
            os.rename(self._path + ".new", self._path)
        finally:
            os.close(old)


def _read_all(file: int) -> bytes:
    size = os.fstat(file).st_size
    return os.pread(file, size, 0) if size else b""


def _checked(journal: bytes) -> bytes:
    """Return the whole lines of a journal."""
    if journal.startswith(_HEADER):
        return journal[: journal.rindex(b"\n") + 1]
    if _HEADER.startswith(journal):  # Empty, or its first writer was killed in the middle.
        return _HEADER
    raise _no_database()


def _key(name: str) -> bytes:
    return dumps(name).encode("utf-8", "surrogatepass") + b"\t"


def _line(record: Record) -> bytes:
    return _key(record.name) + dumps(record.to_row()).encode("utf-8", "surrogatepass") + b"\n"


def _find(journal: bytes, name: str) -> Record | None:
    key = b"\n" + _key(name)
    start = journal.rfind(key)
    if start < 0:
        return None
    start += len(key)
    row = journal[start : journal.index(b"\n", start)]
    return _record(key[1:-1], row) if row else None


def _live_lines(journal: bytes) -> dict[bytes, bytes]:
    live: dict[bytes, bytes] = {}
    for name, row in _split_lines(journal):
        if row:
            live[name] = row
        else:
            live.pop(name, None)
    return live


def _split_lines(journal: bytes) -> Iterator[tuple[bytes, bytes]]:
    for line in journal.split(b"\n")[1:-1]:
        name, tab, row = line.partition(b"\t")
        if not tab or name[:1] != b'"':
            raise _no_database()
        yield name, row


def _record(name: bytes, row: bytes) -> Record:
    try:
        return Record.from_row(loads(row.decode("utf-8", "surrogatepass")))
    except ValueError as error:
        shown = name.decode("utf-8", "replace").strip('"')
        raise CommandError(
            f"database operation failed: deserialize vm record '{shown}': {error}"
        ) from None


def _open(path: str, flags: int) -> int:
    """Open a file of the store.

    Raises:
        CommandError: For what cannot be opened, or is no file.
        FileNotFoundError: If nothing is there.
    """
    try:
        # What is no file, a pipe perhaps, is not waited for.
        file = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except FileNotFoundError:
        if flags & os.O_CREAT:
            raise _unavailable(path) from None
        raise
    except OSError as error:
        if error.errno in _READ_ONLY and _can_be_read(path):
            raise _failed(path, error) from None
        raise _unavailable(path) from None
    if not S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise CommandError("database not available: open database: disk I/O error")
    return file


def _can_be_read(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    except OSError:
        return False
    return True


_READ_ONLY = (EACCES, EROFS)
_FULL = (ENOSPC, EDQUOT, EFBIG, EIO)


def _failed(path: str, error: OSError) -> CommandError:
    """Say what 0.8.0 says (asked without a right to write, on a full disk, under a file limit)."""
    failed = "database operation failed: configure pragmas: "
    if error.errno in _READ_ONLY:
        return CommandError(f"{failed}attempt to write a readonly database")
    if error.errno in _FULL:
        return CommandError(f"{failed}disk I/O error")
    return CommandError(f"{failed}{os_error_text(error)}: {path}")


def _no_database() -> CommandError:
    return CommandError("database operation failed: configure pragmas: file is not a database")


def _unavailable(path: str) -> CommandError:
    return CommandError(
        f"database not available: open database: unable to open database file: {path}"
    )
