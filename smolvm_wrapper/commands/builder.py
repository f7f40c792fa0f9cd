"""Commands as values, for whoever runs them in a way of his own."""

from __future__ import annotations

from smolvm_wrapper import checks
from smolvm_wrapper.commands import CommandSet
from smolvm_wrapper.dialects import Dialect
from smolvm_wrapper.methods import Pure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smolvm_wrapper.guards import Guards


class CommandBuilder(CommandSet, Pure):
    """Builds commands and runs none: `CommandBuilder("1.4.0").machine_start("vm").argv`."""

    def __init__(self, version: str, guards: Guards | None = None) -> None:
        super().__init__(checks.guards_or_all(guards))
        self._dialect = Dialect(checks.version(version))

    @property
    def dialect(self) -> Dialect:
        """How this version of smolvm is spoken to."""
        return self._dialect
