"""What of the shell itself bashkit tells otherwise than a guest's: `command -v` and `type`."""

from __future__ import annotations

from fake_smolvm.guest.bashkit.quirks import SHELL_WORDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.guest.bashkit.invocation import Command, Invocation


def command_v(call: Invocation) -> int:
    """Be `command -v`."""
    code = 0
    for name in call.argv[1:]:
        found = name if name in SHELL_WORDS else None
        found = found or call.guest.find_command(name, call.env.get("PATH", ""))
        if found is None:
            code = 127
        else:
            call.say(found)
    return code


def type_of(call: Invocation) -> int:
    """Be `type`."""
    code = 0
    for name in call.argv[1:]:
        found = call.guest.find_command(name, call.env.get("PATH", ""))
        if name in SHELL_WORDS:
            call.say(f"{name} is a shell builtin")
        elif found is None:
            code = 127
            call.say(f"{name}: not found")
        else:
            call.say(f"{name} is {found}")
    return code


PROGRAMS: dict[str, Command] = {"__command_v": command_v, "__type": type_of}
