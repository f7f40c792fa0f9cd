"""How what smolvm printed is read: what a `Command.read` may be."""

from __future__ import annotations

from functools import partial

from smolvm_wrapper.dialects import version_in
from smolvm_wrapper.errors import (
    GuestCommandError,
    GuestTimeoutError,
    MachineNotFoundError,
    SmolvmError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from smolvm_wrapper.command import Finished
    from smolvm_wrapper.results import MachineInfo, SmolvmRunResult


def text(done: Finished) -> str:
    """Return what it printed, if it succeeded."""
    if done.returncode == 0:
        return done.stdout
    from smolvm_wrapper.diagnosis import failure

    raise failure(done)


def nothing(done: Finished) -> None:
    """Check only that it succeeded."""
    text(done)


def line(done: Finished) -> str:
    """Return the one line it printed."""
    return text(done).rstrip("\n")


def version(done: Finished) -> str:
    """Return the version it printed."""
    found = version_in(text(done))
    if found is None:
        raise done.error(SmolvmError, f"no version in {done.stdout!r}")
    return found


def document(done: Finished) -> Any:
    """Return the JSON it printed."""
    import json

    printed = text(done)
    try:
        return json.loads(printed)
    except (ValueError, RecursionError) as error:
        unreadable = error
    raise done.error(SmolvmError, f"printed no JSON ({unreadable})")


def machine(done: Finished) -> MachineInfo:
    """Return the machine of `status --json`."""
    return _machine(document(done), done)


def machines(done: Finished) -> list[MachineInfo]:
    """Return the machines of `ls --json`."""
    described = document(done)
    if not isinstance(described, list):
        raise done.error(SmolvmError, "printed no list of machines")
    return [_machine(one, done) for one in described]


def newly_started(done: Finished) -> bool:
    """Return whether `start` started it, or found it running."""
    return " already running" not in text(done)


def stopped(done: Finished) -> None:
    """Check that there was such a machine; up to 0.8.0 the exit code does not tell (H5)."""
    if text(done).endswith(" not found or not running\n"):
        raise done.error(MachineNotFoundError, done.stdout.strip())


def terminal_session(done: Finished) -> int:
    """Return the exit code of what had the terminal."""
    return done.returncode


def guest_run(
    *, timed: bool = False, streamed: bool = False, signal_is_255: bool = False
) -> Callable[[Finished], SmolvmRunResult]:
    """Return a reader for `exec` and `run`: whatever the exit code, a result."""
    return partial(_guest_run, timed=timed, streamed=streamed, signal_is_255=signal_is_255)


def _guest_run(
    done: Finished, *, timed: bool, streamed: bool, signal_is_255: bool
) -> SmolvmRunResult:
    from smolvm_wrapper.results import SmolvmRunResult

    if done.returncode == 0:
        return SmolvmRunResult(0, done.stdout, done.stderr, _secrets=done.secrets)
    from smolvm_wrapper.diagnosis import TIMED_OUT, failure, speaker

    spoke = speaker(done, timed=timed, streamed=streamed, signal_is_255=signal_is_255)
    kind = GuestTimeoutError if timed and done.returncode == TIMED_OUT else GuestCommandError
    error = failure(done) if spoke == "smolvm" else done.error(kind, f"exit code {done.returncode}")
    return SmolvmRunResult(
        done.returncode, done.stdout, done.stderr, spoke, _error=error, _secrets=done.secrets
    )


def _machine(described: Any, done: Finished) -> MachineInfo:
    from dataclasses import fields

    from smolvm_wrapper.results import MachineInfo, State

    known = {one.name for one in fields(MachineInfo)} - {"extra"}
    said: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    try:
        for key, stated in described.items():
            if key in known:
                said[key] = tuple(stated) if isinstance(stated, list) else stated
            else:
                extra[key] = stated
        said["state"] = State(said["state"])
        return MachineInfo(**said, extra=extra)
    except (AttributeError, LookupError, TypeError) as error:
        incomplete = error
    raise done.error(SmolvmError, f"did not describe a machine ({incomplete})")
