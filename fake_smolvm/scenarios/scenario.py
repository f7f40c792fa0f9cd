"""Scenarios: faults and guest commands, read from a file or put together by a test."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fake_smolvm.machines import given
from fake_smolvm.machines.paths import Paths
from fake_smolvm.scenarios import ScenarioError
from fake_smolvm.scenarios.faults import FOLDER, Fault, append, happen, is_due, note
from fake_smolvm.scenarios.guest_commands import guest_command
from fake_smolvm.scenarios.subject import machine_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fake_smolvm.clap.grammar import Grammar
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host
    from fake_smolvm.scenarios.guest_commands import Answer, GuestCommand

_ENDING = ".toml"

_SCENARIO = {"fault": given.TABLES, "guest": given.TABLES, "journal": given.TEXT}


class Scenario:
    """Faults and guest commands."""

    def __init__(
        self,
        faults: Iterable[Fault] = (),
        guest_commands: Iterable[GuestCommand] = (),
        journal: str | None = None,
    ) -> None:
        self.faults = list(faults)
        self.guest_commands = list(guest_commands)
        self.journal = journal

    def intercept(self, matches: Matches, host: Host) -> int | None:
        """Do to a command what the faults say; the exit code, or None if it is to go on."""
        command = " ".join(matches.command)
        machine = machine_of(matches)
        stream = bool(matches.values.get("stream"))
        for fault in self.faults:
            if fault.fits(command, machine, stream=stream):
                paths = Paths(host.env)
                if is_due(fault, paths):
                    if self.journal is not None:
                        append(self.journal, f"fault {fault.number.rpartition('-')[2]}\n".encode())
                    note(paths, fault, command, machine)
                    code = happen(fault, paths, machine, host)
                    if code is not None:
                        return code
        return None

    def guest_command(
        self, argv: list[str], env: Mapping[str, str], workdir: str, stdin: bytes
    ) -> Answer | None:
        """Answer a command of the guest, if the test provides it."""
        for command in self.guest_commands:
            answer = command(argv, env, workdir, stdin)
            if answer is not None:
                return answer
        return None


def load(name: str, grammar: Grammar | None = None) -> Scenario:
    """Read a scenario: a path, or the name of one in this folder.

    Its faults are about commands of `grammar`, by default of any version that the fake knows.

    Raises ScenarioError if it cannot be read, or is no scenario.
    """
    from zlib import crc32

    path = path_of(name)
    if path != name and name not in names():
        raise ScenarioError(
            f"no scenario is called {name!r}, only {', '.join(names())};"
            f" a file's path has a / in it, or ends in {_ENDING}"
        )
    try:
        data = given.read_toml(path)
    except ValueError as error:
        raise ScenarioError(str(error)) from None
    try:
        given.check(data, _SCENARIO, "a scenario")
        prefix = f"{crc32(path.encode()):08x}"
        folder = os.path.dirname(os.path.abspath(path))
        faults = [
            Fault(fault, f"{prefix}-{number}", folder)
            for number, fault in enumerate(data.get("fault", ()))
        ]
        _check_commands(faults, grammar)
        guest_commands = [guest_command(guest) for guest in data.get("guest", ())]
    except ValueError as error:
        raise ScenarioError(f"{path}: {error}") from None
    return Scenario(faults, guest_commands, data.get("journal"))


def names() -> list[str]:
    """Return the names of the scenarios in this folder."""
    return sorted(
        file.removesuffix(_ENDING) for file in os.listdir(FOLDER) if file.endswith(_ENDING)
    )


def _check_commands(faults: Iterable[Fault], grammar: Grammar | None) -> None:
    """Raise ValueError for a fault of a command that there is not."""
    wanted = {fault.command for fault in faults}
    if not wanted:
        return
    grammars = [grammar] if grammar is not None else _known_grammars()
    known = {" ".join(path) for grammar in grammars for path in grammar.paths() if path}
    for command in sorted(wanted - known):
        raise ValueError(f"smolvm has no command {command!r}, only {', '.join(sorted(known))}")


def _known_grammars() -> list[Grammar]:
    from fake_smolvm.grammars import known_versions
    from fake_smolvm.grammars import load as load_grammar

    return [load_grammar(version) for version in known_versions()]


def path_of(name: str) -> str:
    """Return the file of a scenario: the name is a path, or that of one in this folder."""
    return name if "/" in name or name.endswith(_ENDING) else f"{FOLDER}/{name}{_ENDING}"
