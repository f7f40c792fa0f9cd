"""bashkit's complaints, in the words of a guest."""

from __future__ import annotations

from fake_smolvm.guest.bashkit.native import READ_ONLY
from fake_smolvm.guest.bashkit.programs.refusals import not_emulated_text

_PYTHON_LIMITS = (
    "ModuleNotFoundError: No module named",
    "AttributeError: module '",
    "no external function handler configured",
    "is disabled for security reasons",
)
"""What Python says of itself in bashkit, of which a real one has more."""
_LIMITS = (
    "bashkit",
    "background jobs",
    "exceeds limit",
    "exceeds max",
    "expression recursion level exceeded",
    "expression too long",
    "invalid option -- ",
    "limit (",
    "level limit",
    "nested too deeply",
    "nesting depth exceeded",
    "nesting too deep",
    "not supported",
    "parser fuel",
    "resource limit exceeded",
)
"""What the shell library says where it cannot do what a guest's commands could."""
_BUSYBOX_REFUSALS = {
    "dd": "can't open '{}'",
    "install": "can't create '{}'",
    "mkdir": "can't create directory '{}'",
    "sed": "can't create temp file '{}XXXXXX'",
    "truncate": "{}: open",
    "unlink": "can't remove file '{}'",
}


class Wording:
    """How one guest complains.

    Args:
        commands: those that it has.
        has_bash: whether its shell is bash; else it is busybox's.
    """

    __slots__ = ("_commands", "_has_bash")

    def __init__(self, commands: frozenset[str], *, has_bash: bool) -> None:
        self._commands = commands
        self._has_bash = has_bash

    def of(self, stderr: str) -> str:
        """Return what bashkit wrote to stderr as the guest would have."""
        return "".join([self._reworded(line) for line in stderr.splitlines(keepends=True)])

    def _reworded(self, line: str) -> str:
        shell, mark, rest = line.partition(": line ")
        if mark and shell in ("bash", "sh"):
            number, colon, text = rest.partition(": ")
            if colon and number.isdigit():
                line = f"sh: {text}"
        name, not_found, _ = line.partition(": command not found")
        if not_found:
            if name.removeprefix("sh: ") in self._commands:
                return f"{not_emulated_text(name.removeprefix('sh: '))}\n"
            return f"{name}: not found\n"
        before, read_only, _ = line.partition(READ_ONLY)
        if read_only:
            return self._refused(before.removesuffix(": io error: ").removesuffix(": "))
        if any(sign in line for sign in _PYTHON_LIMITS):
            line = (
                f"fake_smolvm: this is not the guest's real Python: {line.strip()}; provide what "
                "the command answers with smolvm.guest_command(...), or [[guest]] in a scenario\n"
            )
        elif any(sign in line for sign in _LIMITS):
            line = f"fake_smolvm: {line.removeprefix('sh: ')}"
        elif line.startswith("cat: ") and line.endswith(": No such file or directory\n"):
            line = f"cat: can't open '{line[5:-28]}': No such file or directory\n"
        return line

    def _refused(self, doing: str) -> str:
        """Return that something was not done because the file system is read-only."""
        name, _, what = doing.partition(": ")
        path = what.rpartition(" ")[2].strip("'")
        if name == "sh":
            what = f"can't create {path}"
        elif not self._has_bash:
            what = _BUSYBOX_REFUSALS.get(name, "{}").format(path)
        return f"{name}: {what}: Read-only file system\n"
