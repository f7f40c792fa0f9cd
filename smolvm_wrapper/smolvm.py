"""Plain functions for seven of smolvm's commands, with the argvs of 0.8.0 (up to 1.0.1).

`machine` create, start, stop, delete, exec and cp, and `pack create`; `is_available` and
`wait_exec_ready` help with them. All other commands and options are the clients' (`Smolvm`). These
are thin fronts of them over `subprocess.run`, with no guard that would change an argv and no limit
to time or output. The values of a machine's `env` are masked in later errors until it is deleted.

Tests may patch `subprocess.run`, `shutil.which`, `time.sleep`, `time.monotonic` and `machine_exec`
of this module; all are looked up here at call time.

Output is text; bytes that are no UTF-8 are lone surrogates (PEP 383), so that decoding never fails
and `SmolvmRunResult.stdout_bytes` still has them.
"""

from __future__ import annotations

import subprocess
import sys
import time

from smolvm_wrapper.command import Command, Finished
from smolvm_wrapper.commands.builder import CommandBuilder
from smolvm_wrapper.commands.guest import READY_POLL_SECONDS
from smolvm_wrapper.durations import as_seconds
from smolvm_wrapper.errors import EgressNotEnforcedWarning, SmolvmError, warn
from smolvm_wrapper.guards import Guards
from smolvm_wrapper.running import Runner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, TypeVar

    from smolvm_wrapper.command import StrPath
    from smolvm_wrapper.durations import Duration
    from smolvm_wrapper.methods import Plan
    from smolvm_wrapper.results import SmolvmRunResult

    R = TypeVar("R")

__all__ = [
    "EgressNotEnforcedWarning",
    "SmolvmError",
    "SmolvmRunResult",
    "is_available",
    "machine_cp",
    "machine_create",
    "machine_delete",
    "machine_exec",
    "machine_start",
    "machine_stop",
    "pack_create",
    "wait_exec_ready",
]

_GUARDS = Guards(
    egress_dropped=False,
    egress_unenforced=False,
    ignored_options=False,
    stop_before_delete=False,
    unknown_stop=False,
    safe_downloads=False,
    colon_paths=False,
)
_COMMANDS = CommandBuilder("0.8.0", _GUARDS)
_RUNNER = Runner("smolvm", "0.8.0", _GUARDS, None)


def __getattr__(name: str) -> Any:
    # `shutil` costs more to import than all the rest, and only `is_available` wants it.
    if name == "shutil":
        import shutil

        return shutil
    if name == "SmolvmRunResult":
        from smolvm_wrapper.results import SmolvmRunResult

        return SmolvmRunResult
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def pack_create(image: str, output: StrPath) -> None:
    """Pack an image into `output` and `output.smolmachine`.

    Raises:
        UsageError: an argument is not what is wanted; nothing ran.
        SmolvmError: smolvm failed, or is not there.
    """
    _run(_COMMANDS.pack_create(image, output))


def machine_create(
    name: str,
    *,
    from_path: StrPath | None = None,
    allow_cidrs: Iterable[str] = (),
    env: Mapping[str, str] | None = None,
) -> None:
    """Create a machine, without starting it.

    Args:
        name: of the machine.
        from_path: a `.smolmachine` artifact to make it from.
        allow_cidrs: the only addresses it may reach. With `from_path`, 0.8.0 drops them and opens
            the network (H1): this warns of it (`EgressNotEnforcedWarning`).
        env: for its commands; never shown in errors.

    Raises:
        UsageError: an argument is not what is wanted; nothing ran.
        SmolvmError: smolvm failed, or is not there.
    """
    create = _COMMANDS.machine_create(name, from_path=from_path, allow_cidrs=allow_cidrs, env=env)
    if from_path is not None and "--allow-cidr" in create.argv:
        warn(
            EgressNotEnforcedWarning,
            f"smolvm 0.8.0 drops the allow-list of {name!r}, which is made from an artifact: its"
            " network is open",
        )
    _run(create)


def machine_start(name: str) -> None:
    """Start a machine; one that runs is left as it is.

    Raises:
        UsageError: an argument is not what is wanted; nothing ran.
        SmolvmError: smolvm failed, or is not there.
    """
    _run(_COMMANDS.machine_start(name))


def machine_stop(name: str) -> None:
    """Stop a machine; one that does not run, or (up to 0.8.0) does not exist, is no error.

    Raises:
        UsageError: an argument is not what is wanted; nothing ran.
        SmolvmError: smolvm failed, or is not there.
    """
    _run(_COMMANDS.machine_stop(name))


def machine_delete(name: str) -> None:
    """Delete a machine and its disks, unasked. Up to 0.8.0 a running one's process goes on (H3).

    Raises:
        UsageError: an argument is not what is wanted; nothing ran.
        SmolvmError: smolvm failed, or is not there.
    """
    _run_all(_COMMANDS.machine_delete(name))


def machine_exec(
    name: str,
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    workdir: str | None = None,
    timeout: Duration | None = None,
) -> SmolvmRunResult:
    """Run a command in a running machine.

    Args:
        name: of the machine.
        command: the program and its arguments.
        env: for this command; never shown in errors.
        workdir: where it runs.
        timeout: seconds, a `timedelta` or smolvm's own text ("1m 30s"), after which smolvm kills it
            (exit code 124).

    Returns:
        Exit code and output, whatever the exit code.

    Raises:
        UsageError: an argument is not what is wanted; nothing ran.
        SmolvmError: smolvm is not there.
    """
    return _run(_COMMANDS.machine_exec(name, command, env=env, workdir=workdir, timeout=timeout))


def machine_cp(src: str, dst: str) -> None:
    """Copy a file up (`file`, `vm:/file`) or down (`vm:/file`, `file`); nothing if either is "".

    A download that fails destroys the file that was there (H4); `Smolvm.machine_cp` does not.

    Raises:
        UsageError: an argument is not what is wanted; nothing ran.
        SmolvmError: smolvm failed, or is not there.
    """
    _run_all(_COMMANDS.machine_cp(src, dst))


def is_available() -> bool:
    """Return whether there is a smolvm on PATH."""
    return sys.modules[__name__].shutil.which("smolvm") is not None


def wait_exec_ready(name: str, *, timeout: Duration = 60) -> None:
    """Wait until `true` runs in a machine.

    Args:
        name: of the machine.
        timeout: how long, in seconds (or a `timedelta`, or a text such as "1m 30s").

    Raises:
        UsageError: an argument is not what is wanted; nothing ran.
        SmolvmError: it was not ready in time, or smolvm is not there.
    """
    _COMMANDS.wait_exec_ready(name, timeout=timeout)  # checks them
    seconds = as_seconds(timeout)
    deadline = time.monotonic() + seconds
    while machine_exec(name, ["true"]).returncode != 0:
        if time.monotonic() >= deadline:
            raise SmolvmError(f"machine {name!r} is not ready after {seconds:g} s")
        time.sleep(READY_POLL_SECONDS)


def _run(command: Command[R]) -> R:
    return command.read(_finished(command))


def _run_all(plan: Plan[None]) -> None:
    for step in plan:
        if isinstance(step, Command):
            _run(step)


def _finished(command: Command[Any]) -> Finished:
    try:
        done = subprocess.run(
            list(command.argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
            env=_RUNNER.environment(),
        )
    except OSError as error:
        not_started = error
    else:
        return Finished(
            command.argv, done.returncode, done.stdout or "", done.stderr or "", command.secrets
        )
    raise _RUNNER.not_started(command, not_started)
