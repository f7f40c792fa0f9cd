"""The traps of smolvm that the wrapper defuses, each with a switch."""

from __future__ import annotations

from smolvm_wrapper.errors import UsageError
from smolvm_wrapper.values import Value


class Guards(Value):
    """All on by default; `Guards(stop_before_delete=False)` switches one off.

    Attributes:
        egress_dropped: raise `EgressNotEnforcedError` where `create --from` would drop an egress
            list and leave the network open (H1, up to 1.7.7).
        egress_unenforced: warn (`EgressNotEnforcedWarning`) where an egress list is recorded but
            said not to be enforced (H2, up to 1.1.2).
        ignored_options: warn (`IgnoredOptionWarning`) where `create --from` disregards `cpus=4`,
            `mem=8192` (up to 1.13.1), `workdir` or `gpu`.
        stop_before_delete: `machine_delete` stops the machine first, as its process would stay
            behind (H3, up to 0.8.0; up to 1.7.1 if it cannot be stopped).
        unknown_stop: `machine_stop` of an unknown machine is a `MachineNotFoundError` (H5, up to
            0.8.0).
        safe_downloads: a download goes to a temporary file beside its target and is renamed, as a
            failed one would destroy the target (H4).
        colon_paths: a host path with a `:` in it is copied by another name, or refused (H10).
        env_keys: keys that smolvm would drop silently are refused (H8).
        option_like_names: names that smolvm would take for options are refused.
        machine_name_variable: `$SMOLVM_MACHINE_NAME` is kept from smolvm, which takes it (from
            about 1.22) where no name is given.

    Raises:
        UsageError: a guard is neither True nor False.
    """

    egress_dropped: bool
    egress_unenforced: bool
    ignored_options: bool
    stop_before_delete: bool
    unknown_stop: bool
    safe_downloads: bool
    colon_paths: bool
    env_keys: bool
    option_like_names: bool
    machine_name_variable: bool

    def __init__(
        self,
        *,
        egress_dropped: bool = True,
        egress_unenforced: bool = True,
        ignored_options: bool = True,
        stop_before_delete: bool = True,
        unknown_stop: bool = True,
        safe_downloads: bool = True,
        colon_paths: bool = True,
        env_keys: bool = True,
        option_like_names: bool = True,
        machine_name_variable: bool = True,
    ) -> None:
        guards = {name: on for name, on in locals().items() if name != "self"}
        for name, on in guards.items():
            if not isinstance(on, bool):
                raise UsageError(f"`{name}` wants True or False, not {on!r}")
        vars(self).update(guards)
