"""The raw events of a call on a real binary: a file a call, which its recorder writes and locks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time

RECORDING_FOLDER = "recording"
LARGEST_OUTPUT = 16 * 1024 * 1024
"""Bytes that a call may read and write to be recorded."""
WATCHED = ".watched"
"""Ends the name of the file that says what the call's files on the host were before it."""
CALLED = ".called"
"""Ends the name of the file that says: this process was started, and has noted nothing yet."""


class Notes:
    """The raw events of one call."""

    def __init__(self, folder: str) -> None:
        """Begin; that a call was started is known from here on, whatever becomes of it."""
        base = os.path.join(folder, RECORDING_FOLDER)
        self.path = os.path.join(base, f"{os.getpid()}-{time.monotonic_ns()}.events")
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(base, f"{os.getpid()}{CALLED}"))
        self._lock = threading.RLock()  # a signal may come while something is noted
        self._size = 0

    def __call__(self, kind: str, *what: object) -> None:
        """Note something, if there is room for it; leave word if there is not."""
        line = f"{(kind, time.monotonic_ns(), *what)!r}\n".encode()
        with self._lock:
            if self._size < 0:
                return
            self._size += len(what[0]) if isinstance(what[0], bytes) else 0
            if self._size > LARGEST_OUTPUT:
                megabytes = LARGEST_OUTPUT // 1024**2
                why = f"the call read or wrote more than the {megabytes} MB that are recorded"
                line = f"{('unkept', time.monotonic_ns(), why)!r}\n".encode()
                self._size = -1
            try:
                whole = os.write(self._descriptor, line) == len(line)
            except OSError:
                whole = False
            if not whole:
                self._give_up()

    def _give_up(self) -> None:
        """Leave word of a full disk: renaming needs no room."""
        self._size = -1
        with contextlib.suppress(OSError):
            os.rename(self.path, f"{self.path}.full")
