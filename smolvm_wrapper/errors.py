"""What can go wrong, as exception and warning classes.

Everything an error holds is masked: the values of `-e KEY=VALUE` read `***`, wherever they turn up.
Of long output it holds the first and the last 32,768 characters of each stream (its text the first
and the last 2,000 of stderr) and says how much it leaves out; a result has all there is.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class SmolvmError(Exception):
    """smolvm failed, or could not be asked.

    Attributes:
        argv: the command line.
        returncode: smolvm's exit code; None when it never ran to its end.
        stdout: what it had printed there; of much, the beginning and the end.
        stderr: likewise.
    """

    def __init__(
        self,
        message: str,
        *,
        argv: Sequence[str] = (),
        returncode: int | None = None,
        stdout: str = "",
        stderr: str = "",
    ) -> None:
        super().__init__(message)
        self.argv = list(argv)
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr


class SmolvmNotFoundError(SmolvmError):
    """There is no smolvm to run; the text lists where it was looked for."""


class UsageError(SmolvmError, ValueError):
    """What was asked for makes no sense.

    Either the wrapper saw it before any process ran (`returncode` is None), and the text names the
    argument, what it wants and what it was given; or smolvm's parser said so (`returncode` is 2).
    """


class UnsupportedError(SmolvmError):
    """This version of smolvm cannot do what was asked; nothing was run."""


class EgressNotEnforcedError(SmolvmError):
    """This version of smolvm would drop the egress list and open the network; nothing was run."""


class MachineNotFoundError(SmolvmError):
    """No machine has this name."""


class MachineExistsError(SmolvmError):
    """A machine of this name is there already."""


class MachineNotRunningError(SmolvmError):
    """The command needs a running machine."""


class MachineRunningError(SmolvmError):
    """The command needs a stopped machine."""


class HypervisorUnavailableError(SmolvmError):
    """No KVM (or Hypervisor.framework) here, or no right to use it."""


class GuestCommandError(SmolvmError):
    """The command in the guest ended with an exit code other than 0."""


class GuestTimeoutError(GuestCommandError, TimeoutError):
    """The command in the guest ran into the guest's `timeout` (exit code 124)."""


class HostTimeoutError(SmolvmError, TimeoutError):
    """smolvm itself took longer than `host_timeout`; its process group was killed."""


class OutputLimitError(SmolvmError):
    """smolvm printed more than a result has room for: 64 MiB a stream; `stream` has no limit.

    It was killed for it, unless it had to finish, or had a `host_timeout` to end it: then what it
    printed beyond was read and dropped.
    """


class SmolvmWarning(UserWarning):
    """smolvm will accept what was asked, and do something else."""


class EgressNotEnforcedWarning(SmolvmWarning):
    """An egress list that this version of smolvm does not enforce."""


class IgnoredOptionWarning(SmolvmWarning):
    """An option that this version of smolvm takes for "not given"."""


class UnknownVersionWarning(SmolvmWarning):
    """A version of smolvm that the wrapper was never tried with."""


def warn(kind: type[SmolvmWarning], message: str) -> None:
    """Warn whoever called into this package, however deep in it we are."""
    import sys
    import warnings

    depth = 1
    while sys._getframe(depth).f_globals.get("__name__", "").startswith("smolvm_wrapper."):  # noqa: SLF001
        depth += 1
    warnings.warn(message, kind, stacklevel=depth + 1)
