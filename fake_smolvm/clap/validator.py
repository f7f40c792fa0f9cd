"""Conflicts and missing args, checked once all tokens are read (clap_builder's `Validator`)."""

from __future__ import annotations

from fake_smolvm.clap.lazy import LazyModule
from fake_smolvm.clap.needs import required_ids, unrolled_requires
from fake_smolvm.clap.outcome import ParseExit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap import messages, pages
    from fake_smolvm.clap.grammar import Arg, Command
    from fake_smolvm.clap.outcome import Line
else:
    messages = LazyModule("fake_smolvm.clap.messages")
    pages = LazyModule("fake_smolvm.clap.pages")


def validate(line: Line, *, ends_here: bool) -> None:
    """Check what was met of one command; `ends_here`: no subcommand follows.

    Raises ParseExit for the first rule broken.
    """
    command = line.command
    if ends_here and command.arg_required_else_help and not line.present:
        page = pages.help_page(line.grammar, command, long=False)
        raise ParseExit(2, stderr=page)
    if ends_here and command.subcommand_required:
        raise messages.missing_subcommand(command)
    clashes = {met: _direct_conflicts(command, met) for met in line.present}
    for met, own in clashes.items():
        if met in command.by_id:
            others = _conflicts(met, own, clashes)
            if others:
                raise messages.conflict(line, command.by_id[met], others)
    required = required_ids(command)
    for met in line.present:
        for other in unrolled_requires(command, met):
            if other not in required:
                required.append(other)
    missing = [
        *_missing_always(line, required, clashes),
        *[arg.id for arg in command.args if _is_missing_alone(line, arg)],
    ]
    last = max([_index(command, name) for name in missing], default=0)
    missing += [
        arg.id
        for arg in command.positionals
        if arg.id not in line.present and arg.index is not None and arg.index < last
    ]
    if missing:
        raise messages.missing_required(line, required, missing)


def _missing_always(line: Line, required: list[str], clashes: dict[str, list[str]]) -> list[str]:
    """Return the ids of what is required and neither met nor excused by what clashes with it."""
    command = line.command
    missing: list[str] = []
    for name in required:
        arg = command.by_id.get(name)
        if arg is None:
            if not any(member in line.present for member in command.members(name)):
                missing.append(name)
        elif name not in line.present and not _is_excused(command, arg, clashes):
            missing.append(name)
    return missing


def _is_missing_alone(line: Line, arg: Arg) -> bool:
    """Whether an arg is required because those that would do in its place are missing too."""
    names = (arg.id, *arg.required_unless)
    return bool(arg.required_unless) and not any(name in line.present for name in names)


def _is_excused(command: Command, arg: Arg, clashes: dict[str, list[str]]) -> bool:
    if _conflicts(arg.id, _direct_conflicts(command, arg.id), clashes):
        return True
    return any(_conflicts(group.id, [], clashes) for group in command.groups_of(arg.id))


def _index(command: Command, name: str) -> int:
    arg = command.by_id.get(name)
    return 0 if arg is None or arg.last else arg.index or 0


def _direct_conflicts(command: Command, name: str) -> list[str]:
    arg = command.by_id.get(name)
    if arg is None:
        return []
    conflicts = list(arg.conflicts_with)
    for group in command.groups_of(name):
        if not group.multiple:
            conflicts += [member for member in group.args if member != name]
    return conflicts


def _conflicts(name: str, own: list[str], clashes: dict[str, list[str]]) -> list[str]:
    """Return the ids of what was met and clashes with `name`, in the order met."""
    return [
        other
        for other, theirs in clashes.items()
        if other != name and (other in own or name in theirs)
    ]
