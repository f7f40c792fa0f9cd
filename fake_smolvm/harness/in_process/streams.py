"""A child's three streams, where the child is a thread."""

from __future__ import annotations

import _thread
import inspect
import io
import os
import select
import stat
from asyncio import unix_events
from typing import TYPE_CHECKING, Any

from fake_smolvm.harness.on_path import journal

if TYPE_CHECKING:
    from collections.abc import Callable

_FRAMES_OF_A_START = 16
"""More than there are from asyncio to the step of Popen that this module does."""


def is_fed_by_others(p2cread: int, p2cwrite: int) -> bool:
    """Tell whether stdin is a pipe, and who has its other end is not this Popen.

    asyncio, trio or another program then may meet a broken pipe where a process of its own would
    still be starting: they get one.
    """
    if p2cread == -1:
        return False
    if p2cwrite == -1:
        mode = os.fstat(p2cread).st_mode
        return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
    frame = inspect.currentframe()
    for _ in range(_FRAMES_OF_A_START):
        if frame is not None:
            if frame.f_globals.get("__name__") == unix_events.__name__:
                return True
            frame = frame.f_back
    return False


def is_writable(stream: Any) -> bool:
    """Tell whether writing into a pipe would not block, nor be an error."""
    try:
        writing = select.poll()
        writing.register(stream.fileno(), select.POLLOUT)
        return bool(writing.poll(0))
    except (OSError, ValueError):
        return False  # closed


def own_streams(pipes: tuple[int, ...]) -> list[int] | None:
    """Return the child's own stdin, stdout and stderr, as after a fork; None if one is closed."""
    p2cread, _, _, c2pwrite, _, errwrite = pipes
    streams: list[int] = []
    try:
        for inherited, given in enumerate((p2cread, c2pwrite, errwrite)):
            streams.append(os.dup(inherited if given == -1 else given))
    except OSError:
        for stream in streams:
            os.close(stream)
        return None
    return streams


class Input(io.FileIO):
    """A child's stdin, which tells of what is read."""

    def __init__(self, descriptor: int, tell: Callable[[bytes, int], object]) -> None:
        super().__init__(descriptor)
        self._tell = tell
        self._portions = journal.Portions()

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, and tell."""
        return self._noted(super().read(-1 if size is None else size))

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read a line, byte by byte: what follows is left, and tell."""
        line = b""
        limit = -1 if size is None else size
        while not line.endswith(b"\n") and len(line) != limit:
            byte = super().read(1)
            if not byte:
                break
            line += byte
        return self._noted(line)

    def _noted(self, data: bytes) -> bytes:
        if data:
            self._tell(*self._portions.next(data))
        return data


class Output(io.RawIOBase):
    """The writing end of one of a child's streams, which another thread may close at any moment."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._writing = _thread.allocate_lock()
        self._gone = False
        self.head = journal.Head()
        """What the journal keeps of it."""

    def writable(self) -> bool:
        """Tell that this can be written to."""
        return True

    def fileno(self) -> int:
        """Return the descriptor; -1 once it is closed."""
        return self._descriptor

    def isatty(self) -> bool:
        """Tell whether it leads to a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: Any) -> int:
        """Write all of it; raise BrokenPipeError if it is closed meanwhile."""
        with self._writing:
            rest = memoryview(data)
            self.head.add(rest)
            while rest and not self._gone:
                rest = rest[os.write(self._descriptor, rest) :]
            if self._gone:
                self._close_descriptor()
                raise BrokenPipeError
        return len(data)

    def close(self) -> None:
        """Close it, at once or when a blocked writer gets on."""
        # A writer that is blocked on a full pipe closes the descriptor itself when it gets on.
        self._gone = True
        if self._writing.acquire(blocking=False):
            self._close_descriptor()
            self._writing.release()

    def _close_descriptor(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor != -1:
            os.close(descriptor)
