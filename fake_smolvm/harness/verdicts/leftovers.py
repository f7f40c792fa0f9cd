"""Calls of `smolvm` that are still running when their test ends: found, ended, and told of."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

from fake_smolvm.harness.known_hazards import PROCESS
from fake_smolvm.harness.verdicts.hazards import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from fake_smolvm.harness.on_path.journal import Event

PATIENCE_SECONDS = 5.0
"""How long a call that nobody waited for may take to end by itself: many times what it needs."""

_POLL_SECONDS = 0.01
_MACHINE = "_boot-vm"
"""What the command line of a machine's own process holds: `inspection` sees to those."""


class _Process(NamedTuple):
    pid: int
    parent: int
    args: str


def wait(patience: float, is_over: Callable[[], bool]) -> None:
    """Wait until something is over, or patience is."""
    end = time.monotonic() + patience
    while not is_over() and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)


def unended(events: Iterable[Event]) -> dict[int, Event]:
    """Return the calls that began and have not ended, by their process IDs."""
    events = list(events)
    over = {event[1] for event in events if event[0] == "end"}
    began = [event for event in events if event[0] in ("spawned", "start")]
    return {event[3]: event for event in began if event[1] not in over}


def running(pids: Iterable[int], folder: str) -> list[int]:
    """Return those of some process IDs that are still processes of the sandboxes in `folder`.

    A process ID may be another process's by now: one of ours has the sandbox in its command line.
    """
    return [pid for pid in pids if folder in _args(pid)]


def kill(pids: Sequence[int], folder: str) -> None:
    """Kill processes of the sandboxes in `folder`, and what they have started of their own kind."""
    there = _processes()
    doomed = set(pids)
    while True:
        more = {
            process.pid
            for process in there
            if process.parent in doomed and folder in process.args and _MACHINE not in process.args
        }
        if more <= doomed:
            break
        doomed |= more
    for pid in doomed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def finding(start: Event, version: str) -> Finding:
    """Return what a test is told of a call that it left running."""
    from shlex import join

    from fake_smolvm.harness.seen.reading import read

    words = start[4][1:]
    line = read(words, version)
    text = (
        f"{PROCESS}: still running when the test was over, and killed:\n"
        f"           {join(['smolvm', *words])}\n"
        "  instead: wait for it, or kill it; where a shell has started it, kill the whole group: "
        "start_new_session=True, then os.killpg(process.pid, signal.SIGKILL)"
    )
    return Finding(PROCESS, line.command, line.machine or "", text, start[2])


def _args(pid: int) -> str:
    """Return the command line of a process; empty if there is none."""
    if not os.path.exists("/proc/self/cmdline"):
        return next((process.args for process in _processes("-p", str(pid))), "")
    while True:
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                args = os.fsdecode(file.read().replace(b"\0", b" "))
            with open(f"/proc/{pid}/stat", "rb") as file:
                state = file.read().rpartition(b") ")[2][:1]
        except OSError:
            return ""
        if args or state in (b"Z", b"X"):
            return args
        time.sleep(_POLL_SECONDS)  # in the middle of becoming another program


def _processes(*which: str) -> list[_Process]:
    # PATH may be the test's: `ps` is where the system has it.
    found = subprocess.run(
        ["ps", "-wwo", "pid=,ppid=,args=", *(which or ("-A",))],
        executable="/bin/ps",
        env={},
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    ).stdout
    lines = [line.split(None, 2) for line in found.splitlines()]
    return [_Process(int(pid), int(parent), *(rest or [""])) for pid, parent, *rest in lines]
