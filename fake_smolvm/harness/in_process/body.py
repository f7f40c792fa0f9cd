"""A process that a thread gets when somebody asks for its process ID."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from fake_smolvm.harness.on_path import handed

_BODY = "read -r code; exit $code"


if TYPE_CHECKING:
    RealPopen = subprocess.Popen[Any]
else:
    # While any `fp` is active, `subprocess.Popen` is not a class.
    RealPopen = handed.real_popen()


class Body(RealPopen):
    """A process that does nothing until it is told how to end."""

    _is_gone = False

    def __init__(self, starts_session: bool, process_group: int) -> None:
        super().__init__(
            ["smolvm", "-c", _BODY],
            executable="/bin/sh",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,  # nothing is said there: it ends when the process does
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={},
            restore_signals=False,
            start_new_session=starts_session,
            process_group=None if process_group == -1 else process_group,
        )

    def end(self, code: int) -> None:
        """Have it end with that exit code, or by that signal (negative)."""
        stdin = cast("BinaryIO", self.stdin)
        with contextlib.suppress(OSError), stdin:
            if self._is_gone:
                pass  # and its process ID may be another's
            elif code >= 0:
                stdin.write(f"{code}\n".encode())
            else:
                # A shell cannot be taught to die of an interrupt that it was born to ignore.
                deaf = -code == signal.SIGINT and signal.getsignal(-code) is signal.SIG_IGN
                os.kill(self.pid, signal.SIGKILL if deaf else -code)

    def wait_without_reaping(self) -> None:
        """Return once it is over; that is then still to be seen by whoever waits for it."""
        if self.stdout is not None:
            with self.stdout:
                self.stdout.read()
        self._is_gone = True

    def __del__(self, *_: Any, **__: Any) -> None:
        # Whoever was given its process ID may have waited for it already.
        self._internal_poll(_deadstate=sys.maxsize)  # type: ignore[attr-defined]
