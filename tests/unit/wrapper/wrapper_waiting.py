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
    """Whether it comes to be so: however slow the machine is, and not one moment later."""
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()
