"""Which machine a command line is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches

DEFAULT_MACHINE = "default"


def machine_of(matches: Matches) -> str | None:
    """Return the name of the machine that a command is about; None if it is about none.

    A machine that is made without a name gets a random one, which the command line cannot tell.
    """
    values = matches.values
    if matches.command[-1] == "cp":
        # 0.8.0 looks at the source first; see `commands.machine_cp`.
        for side in (values["src"], values["dst"]):
            if ":" in side:
                return str(side.partition(":")[0])
        return None
    if "name" not in values:
        return None
    name: str | None = values["name"]
    return (
        DEFAULT_MACHINE if name is None and matches.command[-1] not in ("create", "run") else name
    )
