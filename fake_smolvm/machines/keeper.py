"""Starts the process of a machine, and the keeper that ends it with the store."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # `signal` itself imports enum
import os

from fake_smolvm.errors import LimitError
from fake_smolvm.machines.process import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.machines.paths import Paths

_WATCH_SECONDS = 0.5
"""How often the keeper of a machine's process looks whether the store is still there."""

_SHELL = "/bin/sh"
_SHELLS = ("sh", "dash", "bash", "ksh", "zsh")
"""Those that are a shell under any name; busybox is what its name says."""


def spawn(paths: Paths, name: str) -> Process:
    """Start a machine's process, and its keeper: forks of this one, so without any start-up.

    Raises:
        LimitError: If too few files or processes are left.
    """
    there = os.stat(paths.state)
    pid_here, pid_there = os.pipe()
    if os.fork() == 0:
        try:
            _keep(paths, name, (there.st_dev, there.st_ino), pid_there)
        finally:
            os._exit(0)
    os.close(pid_there)
    reported = os.read(pid_here, 32)
    os.close(pid_here)
    if not reported:
        raise LimitError("no process for a machine: too few files or processes are left")
    return Process.numbered(int(reported))


def _keep(paths: Paths, name: str, store: tuple[int, int], report: int) -> None:
    """Fork the machine's process, report its number, and end it, frozen or not, with the store.

    The keeper also buries it, at once, which the first process of many containers never does.
    """
    from select import POLLIN, poll

    _detach(report)
    # Each end of these reads as closed once the process that has the other end is gone.
    keeper_lives, _keeper_end = os.pipe()
    machine_lives, machine_end = os.pipe()
    os.set_inheritable(machine_end, True)
    pid = os.fork()
    if pid == 0:
        _detach(keeper_lives, machine_end)
        _idle(f"smolvm _boot-vm {paths.shown_data_dir(name)}/boot-config.json", keeper_lives)
        return
    os.close(machine_end)
    os.write(report, str(pid).encode())
    os.close(report)
    life = poll()  # `select` knows no descriptor above 1,023
    life.register(machine_lives, POLLIN)
    while not life.poll(_WATCH_SECONDS * 1000):
        if not _is_there(paths, store):
            os.kill(pid, 9)
            break
    os.waitpid(pid, 0)


def _idle(title: str, until_closed: int) -> None:
    """Do nothing until a pipe is closed, small, and under the name that 0.8.0's process has."""
    if os.path.basename(os.path.realpath(_SHELL)) in _SHELLS:
        os.dup2(until_closed, 0)
        try:
            # It reads commands from the pipe, and none ever come.
            os.execve(_SHELL, [title], {})  # noqa: S606
        except OSError:
            pass
    os.read(until_closed, 1)


def _is_there(paths: Paths, store: tuple[int, int]) -> bool:
    try:
        now = os.stat(paths.state)
        os.stat(paths.store)
    except OSError:
        return False
    return (now.st_dev, now.st_ino) == store


def _detach(*kept: int) -> None:
    """Leave everything of the caller's: session, signals, folder and all files but `kept`."""
    os.setsid()
    for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGPIPE):
        _signal.signal(number, _signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    for entry in os.listdir("/dev/fd"):
        file = int(entry)
        if file > 2 and file not in kept:  # noqa: PLR2004
            try:
                os.close(file)
            except OSError:
                pass
    os.chdir("/")
