"""What a test makes go wrong, kept as a scenario file that every process of the fake reads."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fake_smolvm import scenarios
from fake_smolvm.harness import toml
from fake_smolvm.harness.answering import Answering, guarded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fake_smolvm.scenarios import GuestCommand


class Faults:
    """The faults and guest commands of one test."""

    def __init__(self, folder: Path, path: Path) -> None:
        """Keep them in the scenario file at `path`; `folder` is for a socket."""
        self._path = path
        self._socket_path = str(folder / "guest.sock")
        self._answering: Answering | None = None
        self.errors: list[str] = []
        """What went wrong in functions of the test that are guest commands."""
        self._faults: list[dict[str, Any]] = []
        self._guest_commands: list[GuestCommand] = []
        self.scenario = scenarios.Scenario()
        """What commands in this process meet."""

    def add(
        self, command: str, machine: str | None, skip: int, times: int | None, **effects: Any
    ) -> None:
        """Add one fault."""
        data: dict[str, Any] = {"command": command, "skip": skip, **effects}
        if machine is not None:
            data["machine"] = machine
        if times is not None:
            data["times"] = times
        self._faults.append(data)
        self._write()

    def add_named(
        self,
        name: str,
        machine: str | None = None,
        skip: int = 0,
        times: int | None = None,
        command: str | None = None,
    ) -> None:
        """Add the faults of a scenario file, or those of them that are about `command`.

        Raises ValueError if there is none.
        """
        path = scenarios.path_of(name)
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        chosen = [
            fault
            for fault in data.get("fault", ())
            if command is None or fault["command"] == command
        ]
        if not chosen:
            raise ValueError(f"scenario {name} says nothing of {command}")
        for fault in chosen:
            env = {
                variable: value.replace("{folder}", str(Path(path).parent))
                for variable, value in fault.pop("env", {}).items()
            }
            if env:
                fault["env"] = env
            often = fault.pop("times", None)
            self.add(
                fault.pop("command"),
                fault.pop("machine", machine),
                fault.pop("skip", skip),
                often if times is None else times,
                **fault,
            )

    def add_guest_command(
        self,
        command: Sequence[str] | None,
        prefix: Sequence[str] | None,
        call: GuestCommand | None,
        **answer: Any,
    ) -> None:
        """Add a command that the guest has."""
        self._guest_commands.append(
            scenarios.provided(command=command, prefix=prefix, **answer)
            if call is None
            else guarded(call, self.errors)
        )
        if self._answering is None:
            self._answering = Answering(self._socket_path)
        self._write()

    def close(self) -> None:
        """Stop answering."""
        if self._answering is not None:
            self._answering.close()

    def _write(self) -> None:
        text = "\n".join(toml.table("fault", fault) for fault in self._faults)
        if self._answering is not None:
            text += "\n" + toml.table("guest", {"socket": self._socket_path})
        self._path.write_text(text, encoding="utf-8")
        faults = scenarios.load(str(self._path)).faults
        self.scenario = scenarios.Scenario(faults, self._guest_commands)
        if self._answering is not None:
            self._answering.scenario = self.scenario
