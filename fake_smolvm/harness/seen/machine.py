"""One machine, as a test looks at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fake_smolvm.guest.egress import Reach
    from fake_smolvm.harness.seen.inspection import Inspection


class Machine:
    """A machine by name; whether there is one is asked anew every time."""

    def __init__(self, name: str, inspection: Inspection) -> None:
        self.name = name
        self._inspection = inspection

    def __repr__(self) -> str:
        return f"<machine {self.name}: {self._inspection.states().get(self.name, 'none')}>"

    @property
    def exists(self) -> bool:
        """Whether there is such a machine."""
        return self.name in self._inspection.states()

    @property
    def state(self) -> str:
        """`created`, `running`, `stopped`, `failed` or `unreachable`.

        Raises LookupError if there is no such machine.
        """
        try:
            return self._inspection.states()[self.name]
        except KeyError:
            raise LookupError(f"there is no machine {self.name!r}") from None

    @property
    def status(self) -> dict[str, Any]:
        """What `smolvm machine status --json` says.

        Raises LookupError if there is no such machine.
        """
        return self._inspection.status(self.name)

    def read_bytes(self, path: str) -> bytes:
        """Read a file of the guest, by its absolute path; a real machine must be running.

        Raises OSError if it cannot be read, LookupError if there is no such machine.
        """
        return self._inspection.read_bytes(self.name, path)

    def read_text(self, path: str) -> str:
        """Read a text file of the guest (UTF-8), as `read_bytes` does."""
        return self.read_bytes(path).decode()

    def reach(self, destination: str) -> Reach:
        """Tell whether the machine, as 0.8.0 runs it, reaches a host or IP address (fake only).

        True or false, with the reason in `.verdict`. What is outside, the test says:
        `smolvm.outside_host`. Raises LookupError if there is no such machine.
        """
        return self._inspection.reach(self.name, destination)

    def kill(self) -> None:
        """Kill the machine's process now, as from outside smolvm (fake only)."""
        from fake_smolvm.machines.agent import agent_of

        process = agent_of(self._inspection.paths, self.name)
        if process is not None:
            process.kill()
