"""Files between host and guest, one at a time, as 0.8.0's agent carries them (vm.jsonl, part c)."""

from __future__ import annotations

import errno
import os

from fake_smolvm.errors import os_error_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from fake_smolvm.guest.tree import GuestTree

_UPLOAD_CHUNK = 1 << 20
"""Bytes; a file of up to this size is sent in one request."""
_DOWNLOAD_CHUNK = 16 << 20
_KERNEL_FOLDERS = ("/proc/", "/sys/")
"""Where a guest has no files that could be made."""


class CopyError(Exception):
    """A copy failed; the text is `<what was done>: <reason>`, as 0.8.0 words it."""


def upload(
    tree: GuestTree,
    source: str,
    guest_path: str,
    shown_source: str,
    progress: Callable[[int], None],
) -> int:
    """Copy the host file `source` to `guest_path`, whole or not at all; give the bytes copied.

    Missing folders are made; mode, owner and times are not kept; a link in the place is replaced.
    """
    try:
        file = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise CopyError(f"read local file: {shown_source}: {os_error_text(error)}") from None
    try:
        size = os.fstat(file).st_size
        try:
            first = os.read(file, _UPLOAD_CHUNK)
        except OSError as error:
            raise CopyError(f"read source file: {os_error_text(error)}") from None
        # Only a large file's progress is told while it goes; its failures have names of their own.
        large = size > _UPLOAD_CHUNK
        doing = "begin streaming write" if large else "write file"
        target = _normal(guest_path, doing)
        staging = _Staging(tree, target, doing, large=large)
        try:
            sent = staging.write(first)
            while large and sent < size:
                progress(sent)
                sent += staging.write(os.read(file, _UPLOAD_CHUNK))
            staging.install(guest_path)
        except BaseException:
            staging.discard()
            raise
        progress(sent)
        return sent
    finally:
        os.close(file)


def download(
    tree: GuestTree,
    guest_path: str,
    destination: str,
    shown_destination: str,
    progress: Callable[[int], None],
) -> int:
    """Copy the guest's file to the host path `destination`; give the bytes copied.

    `destination` is emptied before the guest is asked, and removed when the guest then refuses:
    hazard H4.
    """
    try:
        local = os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise CopyError(f"write local file: {shown_destination}: {os_error_text(error)}") from None
    try:
        return _fetch(tree, guest_path, local, progress)
    except CopyError:
        # The real one removes a device just the same; no test wants that of its host.
        if os.path.isfile(destination):
            os.unlink(destination)
        raise
    finally:
        os.close(local)


def _fetch(tree: GuestTree, guest_path: str, local: int, progress: Callable[[int], None]) -> int:
    target = _normal(guest_path, "read file")
    try:
        file = tree.open(target, os.O_RDONLY)
    except OSError as error:
        raise CopyError(f"read file: failed to open {guest_path}: {os_error_text(error)}") from None
    received = 0
    try:
        while chunk := _read(file):
            try:
                _write_all(local, chunk)
            except OSError as error:
                raise CopyError(f"write local file: {os_error_text(error)}") from None
            received += len(chunk)
            progress(received)
    finally:
        os.close(file)
    return received


def _read(file: int) -> bytes:
    try:
        return os.read(file, _DOWNLOAD_CHUNK)
    except OSError as error:
        raise CopyError(f"read file: failed to read file: {os_error_text(error)}") from None


def _normal(guest_path: str, doing: str) -> str:
    """A guest path made absolute; raises CopyError for one that the agent refuses."""
    if not guest_path:
        reason = "path is empty"
    elif ".." in guest_path.split("/"):
        reason = "parent traversal is not allowed"
    else:
        return guest_path if guest_path.startswith("/") else f"/{guest_path}"
    raise CopyError(f"{doing}: invalid guest path {guest_path}: {reason}")


class _Staging:
    """The file beside an upload's target that becomes it, in a folder that is held open."""

    def __init__(self, tree: GuestTree, target: str, doing: str, *, large: bool) -> None:
        self._finishing = "stream write chunk" if large else doing
        folder, name = os.path.split(target.rstrip("/"))
        # The name that the agent, process 1 of its machine, would have given the file.
        shown = f"{os.path.join(folder, name)}.smolvm-upload.1.0"
        opening = "failed to open staging file" if large else f"failed to write {shown}"
        self._what = "chunk to staging file" if large else shown
        try:
            _check_place(tree, target, shown)
        except OSError as error:
            raise CopyError(f"{doing}: {opening}: {os_error_text(error)}") from None
        try:
            self._place = tree.place(target.rstrip("/"), follow=False, make_folders=True)
        except OSError as error:
            if not large and error.errno not in (errno.EROFS, errno.EMFILE):
                opening = f"failed to create directory {folder}"
                error = _as_made(tree, folder, error)
            raise CopyError(f"{doing}: {opening}: {os_error_text(error)}") from None
        # With its slash, if it has one: a file cannot be renamed to a folder's name.
        self._name = self._place.name + target[len(target.rstrip("/")) :]
        self._staged = f"{self._place.name}.smolvm-upload.{os.getpid()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._place.check_writable()
            self._file = os.open(self._staged, flags, 0o644, dir_fd=self._place.folder)
        except OSError as error:
            self._place.close()
            raise CopyError(f"{doing}: {opening}: {os_error_text(error)}") from None

    def write(self, chunk: bytes) -> int:
        """Add to the file; return the number of bytes added."""
        try:
            _write_all(self._file, chunk)
        except OSError as error:
            raise CopyError(
                f"{self._finishing}: failed to write {self._what}: {os_error_text(error)}"
            ) from None
        return len(chunk)

    def install(self, guest_path: str) -> None:
        """Put the file in its place, in one step."""
        folder = self._place.folder
        try:
            os.rename(self._staged, self._name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError as error:
            raise CopyError(
                f"{self._finishing}: failed to rename onto {guest_path}: {os_error_text(error)}"
            ) from None
        os.close(self._file)
        self._place.close()

    def discard(self) -> None:
        """Take the unfinished file away."""
        os.close(self._file)
        try:
            os.unlink(self._staged, dir_fd=self._place.folder)
        except FileNotFoundError:
            pass  # The guest has taken it away already.
        self._place.close()


def _as_made(tree: GuestTree, folder: str, error: OSError) -> OSError:
    """Return what making a folder fails with where a file of that name is."""
    if error.errno == errno.ENOTDIR:
        try:
            with tree.place(folder) as place:
                place.stat()
            return OSError(errno.EEXIST, "")
        except OSError:
            pass  # The file is on the way there.
    return error


def _check_place(tree: GuestTree, target: str, staged: str) -> None:
    """Refuse what the guest's kernel would; raises OSError."""
    if f"{target}/".startswith(_KERNEL_FOLDERS):
        raise OSError(errno.ENOENT, "")
    if tree.is_read_only(target):
        raise OSError(errno.EROFS, "")
    if len(os.fsencode(os.path.basename(staged))) > os.pathconf("/", "PC_NAME_MAX"):
        raise OSError(errno.ENAMETOOLONG, "")


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
