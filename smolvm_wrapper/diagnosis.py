"""What smolvm's words mean: which error a failure is, and who spoke in an `exec`.

Read from the recordings of 0.8.0, its list of errors, and probes of the real 1.4.0 and 1.32.2.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from smolvm_wrapper.errors import (
    HypervisorUnavailableError,
    MachineExistsError,
    MachineNotFoundError,
    MachineNotRunningError,
    MachineRunningError,
    SmolvmError,
    UsageError,
)

if TYPE_CHECKING:
    from typing import Literal, TypeAlias

    from smolvm_wrapper.command import Finished

    Speaker: TypeAlias = Literal["guest", "smolvm", "ambiguous"]

FAILED = 1
MISUSED = 2
TIMED_OUT = 124
LOST_STATUS = 255
JSON_ERRORS = ("--error-format", "json")
_TRY_HELP = "For more information, try '--help'."

# How the message begins.
_KINDS: tuple[tuple[str, type[SmolvmError]], ...] = (
    (r"vm not found: ", MachineNotFoundError),
    (
        r"(agent|config) operation failed: [\w -]+: (machine|VM) '.*' not found\Z",
        MachineNotFoundError,
    ),
    (
        r"config operation failed: [\w -]+: (a )?machine (named )?'.*' already exists",
        MachineExistsError,
    ),
    (r"agent operation failed: connect: machine '.*' is not running\. ", MachineNotRunningError),
    (r"invalid vm state: expected stopped, got ", MachineRunningError),
    (r"agent operation failed: [\w -]+: VM '.*' is running\. ", MachineRunningError),
    (r"agent operation failed: prune: cannot prune --all while ", MachineRunningError),
    (
        r"(agent operation failed: [\w -]+: )*(kvm|hypervisor) (not available|permission denied): ",
        HypervisorUnavailableError,
    ),
)
# Where no message tells, JSON does. (NOT_FOUND is not here: a missing mount has it as well.)
_CODES: dict[str, type[SmolvmError]] = {
    "KVM_UNAVAILABLE": HypervisorUnavailableError,
    "HYPERVISOR_UNAVAILABLE": HypervisorUnavailableError,
}

_PROGRESS = re.compile(
    r"\A(?:Starting ephemeral machine \(.*\)\.\.\.\n|Pulling image .*\n|note: .*\n)*"
)
_TEXT = re.compile(r"^[Ee]rror: (?P<message>.*)\Z", re.MULTILINE | re.DOTALL)
_OWN_WORDS = re.compile(
    r"(agent|config|io|database|storage|mount|rootfs) operation failed: |vm not found: "
    r"|invalid vm state: |vm creation failed: |(kvm|hypervisor|database) not available: "
    r"|kvm permission denied: "
)


def failure(done: Finished) -> SmolvmError:
    """The error that fits a command which ended with another exit code than 0."""
    if done.returncode < 0:
        return done.error(SmolvmError, f"killed by signal {-done.returncode}")
    why = f"exit code {done.returncode}"
    if done.returncode == MISUSED and done.stderr.rstrip().endswith(_TRY_HELP):
        return done.error(UsageError, why)
    code, message = _complaint(done)
    for pattern, kind in _KINDS:
        if re.match(pattern, message, re.DOTALL):
            return done.error(kind, why)
    return done.error(_CODES.get(code, SmolvmError), why)


def speaker(done: Finished, *, timed: bool, streamed: bool, signal_is_255: bool) -> Speaker:
    """Who made the exit code of an `exec`, `machine run` or `pack run`.

    Args:
        done: how it ended.
        timed: a guest timeout was asked for.
        streamed: the guest's output was passed on as it came. Otherwise smolvm passes it on at the
            end only, and nothing of it when it fails itself.
        signal_is_255: this version says 255 for a signal (H12).
    """
    if done.returncode < 0:
        return "smolvm"
    if (timed and done.returncode == TIMED_OUT) or (
        signal_is_255 and done.returncode == LOST_STATUS
    ):
        return "ambiguous"
    code, message = _complaint(done)
    may_fail = done.returncode in (FAILED, MISUSED) and (streamed or not done.stdout)
    if not may_fail or not message:
        return "guest"
    if done.returncode == MISUSED:
        if not message.endswith(_TRY_HELP):
            return "guest"
        own = "Usage: smolvm " in message or "'--timeout <DURATION>'" in message
    else:
        own = bool(code) or _OWN_WORDS.match(message) is not None
    alone = _PROGRESS.sub("", done.stderr, count=1).startswith(("Error: ", "error: ", "{"))
    return "smolvm" if own and alone else "ambiguous"


def _complaint(done: Finished) -> tuple[str, str]:
    """The code (JSON only) and text of what may be smolvm's own complaint, if there is one."""
    if done.argv[1:3] == JSON_ERRORS and done.returncode != MISUSED:
        try:
            error = json.loads(done.stderr.splitlines()[-1])["error"]
            return str(error["code"]), str(error["message"])
        except (ValueError, LookupError, TypeError, RecursionError):
            return "", ""
    found = _TEXT.search(done.stderr)
    return ("", found["message"].rstrip("\n")) if found else ("", "")
