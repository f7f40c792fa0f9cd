"""What is said of programs that are not there, or that only the test can provide."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.guest.bashkit.invocation import Command, Invocation


def missing(call: Invocation) -> int:
    """Be a command that the guest has not."""
    call.stderr(f"sh: {call.argv[0]}: not found\n".encode())
    return 127


def no_bash(call: Invocation) -> int:
    """Be `bash` where there is none."""
    call.argv = ["bash", *call.argv[1:]]
    return missing(call)


def not_emulated(call: Invocation) -> int:
    """Be a command that the image has, and that the fake has not."""
    call.stderr(f"{not_emulated_text(call.argv[0])}\n".encode())
    return 127


def not_emulated_text(name: str) -> str:
    """Say that the guest would have a command, and how a test provides it."""
    return (
        f"fake_smolvm: '{name}' is in this guest, but not emulated; provide what it answers with "
        f"smolvm.guest_command({name!r}, ...), or [[guest]] in a scenario"
    )


PROGRAMS: dict[str, Command] = {"__missing": missing, "__no_bash": no_bash}
