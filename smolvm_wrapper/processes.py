"""What running a process takes, whether one waits for it or awaits it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from smolvm_wrapper.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from smolvm_wrapper.command import Stdin

Stream = Literal["stdout", "stderr"]
Output = tuple[Stream, bytes]

CHUNK = 65_536
# A killed group closes its pipes at once; a process that left the group may hold them for ever.
LAST_WORDS_SECONDS = 1.0
# Enough of stderr to tell who spoke last.
TAIL = 65_536


class Feeder:
    """What a child reads, fed by a thread unless it is a file; a context around starting the child.

    Attributes:
        stdin: to start the child with.
        error: what the user's iterator raised.
    """

    def __init__(self, source: Stdin | None) -> None:
        if isinstance(source, str):
            raise UsageError("stdin wants bytes, not text")
        self.error: BaseException | None = None
        self.stdin: Any = subprocess.DEVNULL
        self._chunks: Iterator[bytes] = iter(())
        self._open: list[int] = []
        if _is_real_file(source):
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
                rest = memoryview(chunk)
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
        if type(process).__module__ in ("subprocess", "asyncio.subprocess"):
            os.killpg(process.pid, signal.SIGKILL)
            return
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()


def _is_real_file(source: object) -> bool:
    try:
        source.fileno()  # type: ignore[attr-defined]
    except (AttributeError, OSError):
        return False
    return True


def _chunks(source: Stdin) -> Iterator[bytes]:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return iter((bytes(source),))
    read: Callable[[int], bytes] | None = getattr(source, "read", None)
    return iter(source) if read is None else iter(lambda: read(CHUNK), b"")
