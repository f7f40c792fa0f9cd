"""What running a process takes, whether one waits for it or awaits it. All of this blocks.

Nothing here waits for ever for somebody else: a time limit holds while a process floods its output
and while a grandchild holds its pipes, and what is kept of the output is bounded.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from contextlib import suppress

from smolvm_wrapper.checks import has_descriptor
from smolvm_wrapper.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from types import TracebackType
    from typing import Any, Literal, Self, TypeAlias

    from smolvm_wrapper.command import Stdin

    Stream: TypeAlias = Literal["stdout", "stderr"]
    Output: TypeAlias = tuple[Stream, bytes]

CHUNK = 65_536
# What a result has room for, in bytes of each stream. `exec` of 0.8.0 prints 11 MiB at most.
MOST_OUTPUT = 64 * 2**20
# A killed group closes its pipes at once; a process that left the group may hold them for ever.
LAST_WORDS_SECONDS = 1.0
# Enough of stderr to tell who spoke last.
TAIL = 65_536
# As long as any system lets one wait at once.
_LONGEST_WAIT_SECONDS = 86_400.0
# A process that has closed its pipes ends at once, or nobody knows when.
_GLANCE_SECONDS = 0.05
# It needs no descriptor of its own.
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


class Interrupted(BaseException):
    """The leash was pulled: raised in the thread at its other end, and never seen by a user."""


class Leash:
    """By which a caller who is interrupted stops what is done for it in another thread."""

    def __init__(self) -> None:
        self.pulled = False
        self._changing = threading.RLock()  # a signal handler pulls, too
        self._ends: tuple[int, ...] = os.pipe()
        self.descriptor = self._ends[0]
        """Readable once it is pulled."""

    def pull(self) -> None:
        """Have it stopped, unless it must finish."""
        with self._changing:
            if self._ends and not self.pulled:
                self.pulled = True
                os.write(self._ends[1], b"!")

    def wait(self, seconds: float) -> None:
        """Wait so long, or until it is pulled."""
        with _Selector() as selector:
            selector.register(self.descriptor, selectors.EVENT_READ)
            selector.select(seconds)

    def close(self) -> None:
        """Close it; there is nothing to stop any more."""
        with self._changing:
            ends, self._ends = self._ends, ()
        for end in ends:
            os.close(end)


class Deadline:
    """When time is over; of None, never."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._at = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float:
        """Return for how many seconds one may wait now.

        Raises:
            TimeoutError: it is over.
        """
        if self._at is None:
            return _LONGEST_WAIT_SECONDS
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(left, _LONGEST_WAIT_SECONDS)


class Child:
    """A smolvm that runs; a context that waits for its end, and lets nothing of it behind.

    Attributes:
        process: what the standard library (or a test's stand-in for it) gave.
    """

    def __init__(self, process: subprocess.Popen[bytes], leash: Leash | None) -> None:
        self.process = process
        self._leash = leash
        self._has_pipes = has_descriptor(process.stdout) and has_descriptor(process.stderr)

    def __enter__(self) -> Self:
        self.process.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None and self.process.returncode is None:
            kill_group(self.process)
        self.process.__exit__(kind, error, trace)

    def outputs(self, seconds: float | None) -> Generator[Output, None, None]:
        """Yield what it prints, as it comes, until it has ended.

        Raises:
            TimeoutError: it took longer than that.
            Interrupted: the leash was pulled.
        """
        if not self._has_pipes:
            yield from self._communicate(seconds)
            return
        deadline = Deadline(seconds)
        yield from self._read(deadline)
        if seconds is None and self._leash is None:
            self.process.wait()
        while self.process.returncode is None:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(min(deadline.left(), _GLANCE_SECONDS))
            if self._leash is not None and self._leash.pulled:
                raise Interrupted

    def last_words(self) -> Generator[Output, None, None]:
        """Kill it, and yield what it had still to say."""
        kill_group(self.process)
        self._leash = None
        with suppress(TimeoutError):
            if self._has_pipes:
                yield from self._read(Deadline(LAST_WORDS_SECONDS))
            else:
                yield from self._communicate(LAST_WORDS_SECONDS)

    def _communicate(self, seconds: float | None) -> Generator[Output, None, None]:
        """Do it for a process without pipes: one that has the terminal, or a test's stand-in."""
        try:
            stdout, stderr = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        if stdout:
            yield "stdout", stdout
        if stderr:
            yield "stderr", stderr

    def _read(self, deadline: Deadline) -> Generator[Output, None, None]:
        with _Selector() as selector:
            for name, pipe in (("stdout", self.process.stdout), ("stderr", self.process.stderr)):
                if pipe is not None and not pipe.closed:
                    selector.register(pipe, selectors.EVENT_READ, name)
            if self._leash is not None:
                selector.register(self._leash.descriptor, selectors.EVENT_READ)
            while any(key.data for key in selector.get_map().values()):
                for key, _ in selector.select(deadline.left()):
                    if key.data is None:
                        raise Interrupted
                    if chunk := os.read(key.fd, CHUNK):
                        yield key.data, chunk
                    else:
                        selector.unregister(key.fileobj)


class Collected:
    """All that a process printed, as far as there is room for it.

    Attributes:
        overflowed: which stream had more; "" if none had.
        exceeded: whether its time was over first.
    """

    def __init__(self) -> None:
        self._kept = {"stdout": bytearray(), "stderr": bytearray()}
        self.overflowed = ""
        self.exceeded = False

    def streams(self) -> tuple[bytearray, bytearray]:
        """Return stdout and stderr."""
        return self._kept["stdout"], self._kept["stderr"]

    def add(self, name: str, chunk: bytes) -> None:
        """Take more, as far as there is room for it."""
        kept = self._kept[name]
        room = MOST_OUTPUT - len(kept)
        kept += chunk[:room]
        if len(chunk) > room:
            self.overflowed = self.overflowed or name

    def collect(self, child: Child, seconds: float | None, *, to_the_end: bool) -> None:
        """Read until the process ends; if its time or the room is over, it is killed.

        Args:
            child: the process.
            seconds: its time.
            to_the_end: it is not killed for printing too much.

        Raises:
            Interrupted: the leash was pulled.
        """
        try:
            for name, chunk in child.outputs(seconds):
                self.add(name, chunk)
                if self.overflowed and not to_the_end:
                    kill_group(child.process)
                    return
        except TimeoutError:
            self.exceeded = True
        if self.exceeded:
            for name, chunk in child.last_words():
                self.add(name, chunk)


class Feeder:
    """What a child reads, fed by a thread unless it is a file; a context around starting the child.

    Attributes:
        stdin: to start the child with.
        error: what the user's iterator raised.
    """

    def __init__(self, source: Stdin | None) -> None:
        self.error: BaseException | None = None
        self.stdin: Any = subprocess.DEVNULL
        self._chunks: Iterator[bytes] = iter(())
        self._open: list[int] = []
        if has_descriptor(source):
            self.stdin = source
        elif source is not None:
            self._chunks = _chunks(source)
            self._open = list(os.pipe())
            self.stdin = self._open[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for end in self._open:
            os.close(end)

    def start(self, process: Any) -> None:
        """Begin to feed the child; it is killed if the user's iterator raises."""
        if self._open:
            # A daemon: nobody can interrupt an iterator that blocks when the child has long ended.
            arguments = (self._open.pop(), process)
            threading.Thread(target=self._feed, args=arguments, daemon=True).start()

    def _feed(self, pipe: int, process: Any) -> None:
        try:
            for chunk in self._chunks:
                if not isinstance(chunk, (bytes, bytearray, memoryview)):
                    raise UsageError(f"`stdin` wants bytes, and gave {type(chunk).__name__}")  # noqa: TRY301
                rest = memoryview(chunk).cast("B")
                while rest:
                    rest = rest[os.write(pipe, rest) :]
        except BrokenPipeError:
            pass  # the child has read all it wanted
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits for the child
            self.error = error
            if process.returncode is None:
                kill_group(process)
        finally:
            os.close(pipe)


def kill_group(process: Any) -> None:
    """Kill a child and the process group that it leads, if it leads one.

    Only a process that the standard library started is sure to be a child of ours: the number in a
    test's stand-in for one may be anybody's, and killing its group could kill us all.
    """
    with suppress(ProcessLookupError, PermissionError):
        if type(process).__module__ == "subprocess":
            os.killpg(process.pid, signal.SIGKILL)
            return
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()


def _chunks(source: Any) -> Iterator[bytes]:
    if isinstance(source, bytes):
        return iter((source,))
    read = getattr(source, "read", None)
    return iter(source) if read is None else iter(lambda: read(CHUNK), b"")
