"""The process a command runs in: its environment, working directory and streams."""

from __future__ import annotations

from fake_smolvm.errors import OutputError, os_error_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from threading import Event
    from typing import BinaryIO

    from fake_smolvm.scenarios.scenario import Scenario


class KilledError(BaseException):
    """Somebody killed the thread that plays a process: nothing more may happen in it.

    Not even tidying up: like a process that got SIGKILL it leaves everything as it is.
    """


class Host:
    """What a command may know of, and write to, outside the fake.

    `env` values and argv strings are `os.environ`-like: bytes that are not UTF-8 are surrogates
    (`surrogateescape`). The streams are binary. `in_process` is true where the fake runs inside its
    caller, so that a machine must not be a process of its own.
    """

    __slots__ = (
        "cancelled",
        "cwd",
        "env",
        "in_process",
        "scenario",
        "stderr",
        "stdin",
        "stdout",
        "version",
    )

    def __init__(
        self,
        *,
        env: Mapping[str, str],
        cwd: str,
        stdin: BinaryIO,
        stdout: BinaryIO,
        stderr: BinaryIO,
        in_process: bool = False,
    ) -> None:
        self.env = env
        self.cwd = cwd
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.in_process = in_process
        self.scenario: Scenario | None = None
        """What is to go wrong, and which guest commands a test provides."""
        self.cancelled: Event | None = None
        """Set once somebody has killed this "process", in process; then nothing may be changed."""
        self.version = ""
        """The smolvm version that is emulated, known once `entry.run` has chosen it."""

    def out(self, text: str) -> None:
        """Write `text` to stdout and flush it; raises OutputError or BrokenPipeError."""
        _write(self.stdout, text, "stdout")

    def err(self, text: str) -> None:
        """Write `text` to stderr and flush it; raises OutputError or BrokenPipeError."""
        _write(self.stderr, text, "stderr")


def _write(stream: BinaryIO, text: str, name: str) -> None:
    if not text:
        return
    try:
        stream.write(text.encode("utf-8", "surrogateescape"))
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"failed printing to {name}: {os_error_text(error)}") from None
