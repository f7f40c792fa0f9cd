"""A Python wrapper for the command line of the microVM tool `smolvm`.

The plain functions speak to smolvm 0.8.0; `Smolvm` and `AsyncSmolvm` to any version, with its traps
defused. Everything is loaded on first use: `import smolvm_wrapper` alone costs next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smolvm_wrapper.aio import AsyncExecStream, AsyncMachine, AsyncSmolvm
    from smolvm_wrapper.command import Command
    from smolvm_wrapper.commands.builder import CommandBuilder
    from smolvm_wrapper.errors import (
        EgressNotEnforcedError,
        EgressNotEnforcedWarning,
        GuestCommandError,
        GuestTimeoutError,
        HostTimeoutError,
        HypervisorUnavailableError,
        IgnoredOptionWarning,
        MachineExistsError,
        MachineNotFoundError,
        MachineNotRunningError,
        MachineRunningError,
        OutputLimitError,
        SmolvmError,
        SmolvmNotFoundError,
        SmolvmWarning,
        UnknownVersionWarning,
        UnsupportedError,
        UsageError,
    )
    from smolvm_wrapper.guards import Guards
    from smolvm_wrapper.results import MachineInfo, SmolvmRunResult, State
    from smolvm_wrapper.smolvm import (
        is_available,
        machine_cp,
        machine_create,
        machine_delete,
        machine_exec,
        machine_start,
        machine_stop,
        pack_create,
        wait_exec_ready,
    )
    from smolvm_wrapper.sync import ExecStream, Machine, Smolvm

__all__ = [
    "AsyncExecStream",
    "AsyncMachine",
    "AsyncSmolvm",
    "Command",
    "CommandBuilder",
    "EgressNotEnforcedError",
    "EgressNotEnforcedWarning",
    "ExecStream",
    "Guards",
    "GuestCommandError",
    "GuestTimeoutError",
    "HostTimeoutError",
    "HypervisorUnavailableError",
    "IgnoredOptionWarning",
    "Machine",
    "MachineExistsError",
    "MachineInfo",
    "MachineNotFoundError",
    "MachineNotRunningError",
    "MachineRunningError",
    "OutputLimitError",
    "Smolvm",
    "SmolvmError",
    "SmolvmNotFoundError",
    "SmolvmRunResult",
    "SmolvmWarning",
    "State",
    "UnknownVersionWarning",
    "UnsupportedError",
    "UsageError",
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

# Where a name lives, unless its ending says "errors".
_HOMES = {
    "aio": ("AsyncExecStream", "AsyncMachine", "AsyncSmolvm"),
    "command": ("Command",),
    "commands.builder": ("CommandBuilder",),
    "guards": ("Guards",),
    "results": ("MachineInfo", "SmolvmRunResult", "State"),
    "sync": ("ExecStream", "Machine", "Smolvm"),
}


def __getattr__(name: str) -> object:
    if name == "smolvm":
        return _module("smolvm_wrapper.smolvm")
    if name not in __all__:
        raise AttributeError(f"module 'smolvm_wrapper' has no attribute {name!r}")
    home = "errors" if name.endswith(("Error", "Warning")) else "smolvm"
    for module, names in _HOMES.items():
        home = module if name in names else home
    return getattr(_module(f"smolvm_wrapper.{home}"), name)


def _module(name: str) -> object:
    """Return a module, without `importlib`, which costs as much as two of them."""
    import sys

    __import__(name)
    return sys.modules[name]


def __dir__() -> list[str]:
    return __all__
