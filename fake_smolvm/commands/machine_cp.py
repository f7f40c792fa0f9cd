"""`machine cp`: one file between host and machine."""

from __future__ import annotations

import os
import time

from fake_smolvm.errors import CommandError
from fake_smolvm.guest import copying
from fake_smolvm.guest import root as guest_root
from fake_smolvm.guest.tree import GuestTree
from fake_smolvm.machines.hazards import note
from fake_smolvm.operations.connection import connect, open_state
from fake_smolvm.operations.sizes import readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host
    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.record import Record

_PROGRESS_SECONDS = 0.25
_NO_SIDE = (
    "config operation failed: cp: one of SRC or DST must use machine:path syntax "
    "(e.g., myvm:/workspace/file)"
)


def run(matches: Matches, host: Host) -> int:
    """Copy a file. The first side that holds a colon names the machine (hazard H10)."""
    source: str = matches["src"]
    destination: str = matches["dst"]
    name, colon, guest_path = source.partition(":")
    is_upload = not colon
    if is_upload:
        name, colon, guest_path = destination.partition(":")
        if not colon:
            raise CommandError(_NO_SIDE)
    local = source if is_upload else destination
    paths, store = open_state(host)
    local_path = os.path.join(host.cwd, local) if local else ""
    if not is_upload and os.path.lexists(os.path.join(host.cwd, source)):
        note(
            paths,
            "H10",
            command="machine cp",
            machine=name,
            consequence=f"the file {source!r} is taken for a path in the machine {name!r}",
        )
    connect(paths, store, name)
    record = store.get(name)
    tree = _files(paths, name, record)
    try:
        if is_upload:
            progress = Progress(host, f"Uploading {local} -> {guest_path}", _size(local_path))
            size = copying.upload(tree, local_path, guest_path, local, progress.update)
        else:
            progress = Progress(host, f"Downloading {guest_path} -> {local}", 0)
            existed = os.path.isfile(local_path)
            size = copying.download(tree, guest_path, local_path, local, progress.update)
    except copying.CopyError as error:
        if not is_upload and existed and not os.path.lexists(local_path):
            note(
                paths,
                "H4",
                command="machine cp",
                machine=name,
                consequence=f"the download failed, and the file {local!r} that was there is gone",
            )
        raise CommandError(f"agent operation failed: {error}") from None
    progress.finish(size)
    return 0


def _files(paths: Paths, name: str, record: Record | None) -> GuestTree:
    root = paths.guest_root(name)
    if guest_root.is_laid_out(root):
        return GuestTree(root, () if record is None else record.mounts)
    from fake_smolvm.guest.files import files
    from fake_smolvm.machines.record import Record

    return files(paths, record or Record(name, 0))


class Progress:
    """0.8.0's progress line on stderr: at once, then at most every quarter of a second."""

    def __init__(self, host: Host, label: str, total: int) -> None:
        self._host = host
        self._label = label
        self._total = total
        self._started = time.monotonic()
        self._printed = float("-inf")

    def update(self, size: int) -> None:
        """Tell how many bytes have gone so far."""
        now = time.monotonic()
        if now - self._printed >= _PROGRESS_SECONDS:
            self._printed = now
            self._host.err(f"\r{self._line(size)}")

    def finish(self, size: int) -> None:
        """Tell the bytes copied, over the last line if there was one."""
        over = "" if self._printed < 0 else "\r"
        self._host.err(f"{over}{self._line(size)}\n")

    def _line(self, size: int) -> str:
        seconds = max(time.monotonic() - self._started, 0.001)
        rate = f"{readable(int(size / seconds))}/s"
        if not self._total:
            return f"{self._label}: {readable(size)} ({rate})"
        percent = min(size * 100 / self._total, 100.0)
        return f"{self._label}: {readable(size)} / {readable(self._total)} ({percent:.1f}%, {rate})"


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
