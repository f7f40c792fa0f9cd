"""Every `machine`, `pack` and `config` command of smolvm 0.8.0, described once. Nothing runs."""

from __future__ import annotations

from smolvm_wrapper.commands.guest import GuestCommands
from smolvm_wrapper.commands.machine import MachineCommands
from smolvm_wrapper.commands.packs import PackCommands


class CommandSet(MachineCommands, GuestCommands, PackCommands):
    """The commands. The first argument names the machine, wherever the argv has it.

    Durations are seconds, a `timedelta`, or smolvm's own text ("1m 30s"). `timeout` is the guest's,
    kept by smolvm; `host_timeout` is ours, and kills smolvm's process group. Sizes are GiB for
    disks and MiB for memory. A method that is annotated to build a `Command[R]` or `Plan[R]` gives
    a client's caller R, an async client's an awaitable of R.

    Raises:
        UsageError: what was asked can be no command line (before anything runs), or smolvm's parser
            refused it.
        UnsupportedError: this version of smolvm has no such command or option; nothing ran.
        SmolvmNotFoundError: there is no smolvm to run.
        HostTimeoutError: the client's `host_timeout` was over.
        SmolvmError: smolvm failed; `MachineNotFoundError` and the other subclasses say how.
    """
