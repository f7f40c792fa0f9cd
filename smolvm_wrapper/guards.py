"""The traps of smolvm that the wrapper defuses, each with a switch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Guards:
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
    """

    egress_dropped: bool = True
    egress_unenforced: bool = True
    ignored_options: bool = True
    stop_before_delete: bool = True
    unknown_stop: bool = True
    safe_downloads: bool = True
    colon_paths: bool = True
    env_keys: bool = True
    option_like_names: bool = True
    machine_name_variable: bool = True
