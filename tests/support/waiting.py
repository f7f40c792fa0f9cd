"""Waiting for events instead of for time to pass."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def alive(pid: int) -> bool:
    """Whether there is such a process; one that only waits for its parent to look is none."""
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat")
        return not Path("/proc/self").exists() or status.read_text().rpartition(")")[2][1] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether it comes to be so: looked for a number of times, not until a moment.

    A machine that is slow, or stood still for a while, has as many looks as any other.
    """
    for _ in range(6_000):
        if condition():
            return True
        time.sleep(0.01)
    return condition()
