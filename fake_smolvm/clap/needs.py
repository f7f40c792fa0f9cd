"""What a command needs, by its grammar alone."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.grammar import Command


def required_ids(command: Command) -> list[str]:
    """Return the ids of the args and groups that a command always needs."""
    return [
        *[arg.id for arg in command.args if arg.required],
        *[group.id for group in command.groups if group.required],
    ]


def unrolled_requires(command: Command, name: str) -> list[str]:
    """Return the ids that an arg requires, and those that these require."""
    found: list[str] = []
    seen: set[str] = set()
    pending = [name]
    while pending:
        arg = command.by_id.get(pending.pop())
        if arg is not None and arg.id not in seen:
            seen.add(arg.id)
            found += arg.requires
            pending += arg.requires
    return found
