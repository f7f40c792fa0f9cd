"""What reading a command line leads to: what was met on it, what it says, or the program's end."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fake_smolvm.clap.grammar import Arg, Command, Grammar


class ParseExit(Exception):  # noqa: N818 - asking for help is no error
    """The parser ends the program: help or version asked for (code 0), or a mistake (code 2)."""

    def __init__(self, code: int, *, stdout: str = "", stderr: str = "") -> None:
        super().__init__(code, stdout, stderr)
        self.code = code
        self.stdout = stdout
        self.stderr = stderr


class Matches:
    """What an accepted command line says."""

    __slots__ = ("command", "explicit", "values")

    def __init__(
        self, command: tuple[str, ...], values: dict[str, Any], explicit: set[str]
    ) -> None:
        self.command = command
        """Canonical path, without the program's name: ("machine", "create")."""
        self.values = values
        """Arg id -> value: flags bool, repeatable args a list, an absent option its default or
        None; typed by the arg's value type."""
        self.explicit = explicit
        """Ids of the args given on the command line."""

    def __getitem__(self, arg_id: str) -> Any:
        """Return the value of an arg; raises KeyError for an id the command does not have."""
        return self.values[arg_id]


class Line:
    """What was met of one command on a command line, so far."""

    __slots__ = ("command", "grammar", "present")

    def __init__(self, grammar: Grammar, command: Command) -> None:
        self.grammar = grammar
        self.command = command
        self.present: dict[str, list[Any]] = {}
        """Ids of args, and of the groups they are in, in the order met, with the args' values."""

    def start(self, arg: Arg) -> None:
        """Note an arg, and the groups it is in, as present."""
        self.present.setdefault(arg.id, [])
        for group in self.command.groups:
            if arg.id in group.args:
                self.present.setdefault(group.id, [])
