"""The process of a machine, and what state it is in.

Out of process that is a real one that does nothing and ends when the store is gone. In process
(`Process.virtual`) there is only a number, larger than any that a system gives to a process.
"""

from __future__ import annotations

import os
import sys
import time
from itertools import count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, Self, TypeAlias

    Condition: TypeAlias = Literal["alive", "frozen", "gone"]

FIRST_VIRTUAL_PID = 1 << 22
"""Linux gives out smaller numbers only, macOS much smaller ones."""

_virtual_pids = count(FIRST_VIRTUAL_PID + 1)
_virtual_conditions: dict[int, Condition] = {}


class Process:
    """The process of a machine; `start_time` tells it from a later one with the same number."""

    __slots__ = ("pid", "start_time")

    def __init__(self, pid: int, start_time: str | None) -> None:
        self.pid = pid
        self.start_time = start_time

    @classmethod
    def numbered(cls, pid: int) -> Self:
        """Return the process that has a number now."""
        seen = _look_at(pid)
        return cls(pid, None if seen is None else seen[0])

    @classmethod
    def virtual(cls) -> Self:
        """Return a new process that is only a number."""
        return cls(next(_virtual_pids), None)

    def condition(self) -> Condition:
        """Tell whether the process runs, is stopped by a signal, or is not there any more."""
        if self.pid >= FIRST_VIRTUAL_PID:
            return _virtual_conditions.get(self.pid, "alive")
        seen = _look_at(self.pid) if self.pid > 0 else None
        if seen is None or seen[1] in "ZX" or self.start_time not in (None, seen[0]):
            return "gone"
        return "frozen" if seen[1] in "Tt" else "alive"

    def kill(self) -> None:
        """End the process, frozen or not, and wait until it is gone (2 seconds at most).

        One whose start nobody wrote down may be anybody's by now: it is left alone.
        """
        if self.condition() == "gone":
            return
        if self.pid >= FIRST_VIRTUAL_PID:
            set_condition(self.pid, "gone")
            return
        if self.start_time is None:
            return
        try:
            os.kill(self.pid, 9)
        except ProcessLookupError:
            return
        for _ in range(2000):
            if self.condition() == "gone":
                return
            time.sleep(0.001)


def set_condition(virtual_pid: int, condition: Condition) -> None:
    """Do to a virtual process what a signal does to a real one."""
    _virtual_conditions[virtual_pid] = condition


def _look_at(pid: int) -> tuple[str, str] | None:
    """Return when a process started, and the letter of its state; None if it is gone."""
    if sys.platform == "linux":
        try:
            with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
                # The second field is the program's name in brackets, which may hold spaces.
                fields = file.read().decode("latin-1").rpartition(") ")[2].split(" ")
        except OSError:
            return None
        return fields[19], fields[0]
    import subprocess

    shown = subprocess.run(
        ["/bin/ps", "-o", "lstart=,state=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    start_time, _, letters = shown.rpartition(" ")
    return (start_time.strip(), letters[0]) if shown else None
