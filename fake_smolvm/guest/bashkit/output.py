"""Where the output of a command goes, and where it stops."""

from __future__ import annotations

import _thread

from fake_smolvm.guest.bashkit.invocation import Stopped
from fake_smolvm.guest.protocol import MAX_OUTPUT, GuestResult

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_PIPE_SIZE = 1 << 16


class PipeClosedError(Exception):
    """The command writes to where nobody reads."""


class Output:
    """Where a command's output goes: to the result, or on as it comes."""

    __slots__ = ("_closed", "_lock", "_on_output", "_parts", "sizes", "terminal")

    def __init__(self, on_output: Callable[[int, bytes], None] | None, *, terminal: bool) -> None:
        self._on_output = on_output
        self.terminal = terminal
        self._lock = _thread.allocate_lock()
        self._parts: tuple[list[bytes], list[bytes]] = ([], [])
        self._closed = False
        self.sizes = [0, 0]

    def write(self, number: int, data: bytes) -> None:
        """Take output; raises Stopped once nobody takes any more."""
        if not data:
            return
        with self._lock:
            if self._closed:
                raise Stopped
            if self.terminal:
                number, data = 1, data.replace(b"\n", b"\r\n")
            if self._on_output is not None:
                self._on_output(number, data)
                return
            size = self.sizes[number - 1]
            self.sizes[number - 1] = size + len(data)
            if size < MAX_OUTPUT:
                self._parts[number - 1].append(data[: MAX_OUTPUT - size])
            if size + len(data) > MAX_OUTPUT + _PIPE_SIZE:
                # The agent reads no further, so the writer gets a SIGPIPE (vm.jsonl, part b).
                raise PipeClosedError

    def close(self) -> None:
        """Take no more."""
        with self._lock:
            self._closed = True

    def result(self, code: int, *, timed_out: bool = False) -> GuestResult:
        """Return what there is, with an exit code."""
        stdout, stderr = (b"".join(parts) for parts in self._parts)
        truncated = max(self.sizes) > MAX_OUTPUT
        return GuestResult(code, stdout, stderr, truncated=truncated, timed_out=timed_out)
