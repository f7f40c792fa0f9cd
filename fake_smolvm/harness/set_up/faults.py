"""What a test makes go wrong, kept as a scenario file that every process of the fake reads."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fake_smolvm.harness import toml, words
from fake_smolvm.harness.set_up import met
from fake_smolvm.harness.set_up.answering import Answering, guarded
from fake_smolvm.scenarios import ScenarioError
from fake_smolvm.scenarios.guest_commands import asked_at, provided
from fake_smolvm.scenarios.scenario import Scenario, load, path_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fake_smolvm.scenarios.guest_commands import Answer, GuestCommand


class Faults:
    """The faults and guest commands of one test."""

    def __init__(self, folder: Path, path: Path, version: str) -> None:
        """Keep them in the scenario file at `path`.

        Args:
            folder: Where a socket may be made, and what is met is noted.
            path: The scenario file.
            version: The smolvm whose commands they are about.
        """
        self._path = path
        self._version = version
        self._socket_path = str(folder / "guest.sock")
        self._met = met.Met(str(folder / "faults-met"))
        self._answering: Answering | None = None
        self.errors: list[str] = []
        """What went wrong in functions of the test that are guest commands."""
        self._faults: list[dict[str, Any]] = []
        self._guest_commands: list[GuestCommand] = []
        self.scenario = Scenario()
        """What commands in this process meet."""

    def add(
        self,
        called: str,
        command: str,
        machine: str | None,
        skip: int,
        times: int | None,
        **effects: Any,
    ) -> None:
        """Add one fault; `called` is the method that the test called.

        Raises:
            TypeError: An argument is of the wrong type.
            ValueError: There is no such command, or no such machine or count.
        """
        data = {"command": words.checked_command(command, self._version)}
        limits = _limits(machine, skip, times)
        self._met.expect(met.shown(called, command, **limits), data["command"])
        self._add(data | limits | effects)

    def add_named(  # noqa: PLR0917
        self,
        name: str,
        machine: str | None = None,
        skip: int = 0,
        times: int | None = None,
        command: str | None = None,
        called: str = "scenario",
    ) -> None:
        """Add what a scenario file says, or those of its faults that are about `command`.

        Raises:
            FileNotFoundError: There is no such scenario.
            ValueError: The file is none, or says nothing of `command`.
        """
        path = _path_of(name)
        limits = _limits(machine, skip, times)
        load(path)  # says what is wrong with it
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        every = [self._checked(fault, path) for fault in data.get("fault", ())]
        chosen = [fault for fault in every if command in (None, fault["command"])]
        if not chosen and command is not None:
            about = dict.fromkeys(fault["command"] for fault in every)
            raise ValueError(words.unknown("command that this can happen to", command, about))
        is_ours = path != name
        mine = (name,) if called == "scenario" else () if command is None else (command,)
        text = met.shown(called, *mine, **limits)
        if is_ours:
            self._met.expect(text, chosen[0]["command"] if len(chosen) == 1 else "")
        for number, fault in enumerate(chosen):
            if not is_ours:
                line = f"{text}: [[fault]] {number + 1}, {fault['command']}"
                self._met.expect(line, fault["command"])
            self._add(_resolved(fault, path, limits))
        for guest in data.get("guest", ()):
            self._met.expect(f"{text}: [[guest]] {guest.get('command') or guest.get('prefix')}")
            socket = guest.get("socket")
            self._add_guest(asked_at(socket) if socket else provided(**guest))

    def add_guest_command(
        self,
        command: Sequence[str] | None,
        prefix: Sequence[str] | None,
        call: GuestCommand | None,
        **answer: Any,
    ) -> None:
        """Add a command that the guest has.

        Raises:
            TypeError: An argument is of the wrong type.
            ValueError: None or several of `command`, `prefix` and `call` are given.
        """
        if [command, prefix, call].count(None) != 2:  # noqa: PLR2004
            raise ScenarioError(
                "a guest command has either a command or a prefix, or is a call: "
                'guest_command("make", "all"), guest_command(prefix=["git"]), '
                "guest_command(call=function)"
            )
        if isinstance(prefix, str):
            raise TypeError(f"prefix is a list of texts, such as [{prefix!r}], not a text")
        for word in (*(command or ()), *(prefix or ())):
            words.checked_text("a word of a guest command", word)
        if call is not None and not callable(call):
            raise TypeError(f"call is a function of argv, env, workdir and stdin, not {call!r}")
        if call is not None and (answer["exit"] or answer["stdout"] or answer["stderr"]):
            raise ValueError("a call answers itself: exit, stdout and stderr are what it returns")
        words.checked_exit_code("exit", answer["exit"])
        for stream in ("stdout", "stderr"):
            if not isinstance(answer[stream], str | bytes):
                raise TypeError(f"{stream} is a text, or bytes, not {answer[stream]!r}")
        self._met.expect(met.shown("guest_command", *(command or ()), prefix=prefix, call=call))
        self._add_guest(
            provided(command=command, prefix=prefix, **answer)
            if call is None
            else guarded(call, self.errors)
        )

    def unmet(self, killed: Iterable[str]) -> list[str]:
        """Return what was added and no command met, nor one that was killed could have."""
        return self._met.unmet(killed)

    def _checked(self, fault: dict[str, Any], path: str) -> dict[str, Any]:
        try:
            return {**fault, "command": words.checked_command(fault["command"], self._version)}
        except ValueError as error:
            raise ScenarioError(f"{path}: {error}") from None

    def _add(self, data: dict[str, Any]) -> None:
        self._met.mark(f"fault {len(self._faults)}")
        self._faults.append(data)
        self._write()

    def _add_guest(self, command: GuestCommand) -> None:
        mark = f"guest {len(self._guest_commands)}"
        self._met.mark(mark)

        def noting(
            argv: list[str], env: Mapping[str, str], workdir: str, stdin: bytes
        ) -> Answer | None:
            answer = command(argv, env, workdir, stdin)
            if answer is not None:
                self._met.note(mark)
            return answer

        self._guest_commands.append(noting)
        if self._answering is None:
            self._answering = Answering(self._socket_path)
        self._write()

    def close(self) -> None:
        """Stop answering."""
        if self._answering is not None:
            self._answering.close()

    def _write(self) -> None:
        text = f"journal = {toml.string(self._met.path)}\n"
        text += "\n".join(toml.table("fault", fault) for fault in self._faults)
        if self._answering is not None:
            text += "\n" + toml.table("guest", {"socket": self._socket_path})
        self._path.write_text(text, encoding="utf-8")
        faults = load(str(self._path)).faults
        self.scenario = Scenario(faults, self._guest_commands, self._met.path)
        if self._answering is not None:
            self._answering.scenario = self.scenario


def _limits(machine: str | None, skip: int, times: int | None) -> dict[str, Any]:
    """Return when a fault happens, as far as that is limited at all.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: There can be no such machine or count.
    """
    limits: dict[str, Any] = {}
    if machine is not None:
        limits["machine"] = words.checked_machine(machine)
    if words.checked_count("skip", skip, least=0):
        limits["skip"] = skip
    if times is not None:
        limits["times"] = words.checked_count("times", times, least=1)
    return limits


def _path_of(name: str) -> str:
    """Return the path of a scenario's file.

    Raises:
        FileNotFoundError: There is none.
    """
    path = path_of(words.checked_text("scenario", os.fspath(name)))
    if os.path.exists(path):
        return path
    if path == name:
        raise FileNotFoundError(f"{name!r} is no scenario: there is no such file")
    known = sorted(file.stem for file in Path(path).parent.glob("*.toml"))
    raise FileNotFoundError(f"{words.unknown('scenario', name, known)}, or the path of a file")


def _resolved(fault: dict[str, Any], path: str, limits: Mapping[str, Any]) -> dict[str, Any]:
    """Return a fault of a scenario file as it is when limited, and read from elsewhere."""
    fault = {**limits, **fault}
    if "times" in limits:
        fault["times"] = limits["times"]
    if "env" in fault:
        folder = str(Path(path).parent)
        fault["env"] = {
            name: text.replace("{folder}", folder) for name, text in fault["env"].items()
        }
    return fault
