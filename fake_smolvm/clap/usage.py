"""The usage line (clap_builder's `Usage`), and how an arg is written in it and elsewhere."""

from __future__ import annotations

from fake_smolvm.clap.needs import required_ids, unrolled_requires

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from fake_smolvm.clap.grammar import Arg, Command


def shown(arg: Arg, *, required: bool | None = None) -> str:
    """Write an arg: `--name <NAME>`, `<SRC>`, `[COMMAND]...`.

    `required` overrides whether a positional stands in angle or square brackets.
    """
    if arg.long is not None:
        text = f"--{arg.long}"
    elif arg.short is not None:
        text = f"-{arg.short}"
    else:
        if required is None:
            required = arg.required
        text = f"<{arg.value_name}>" if required else f"[{arg.value_name}]"
        return f"{text}..." if arg.multiple else text
    return f"{text} <{arg.value_name}>" if arg.takes_value else text


def _shown_group(command: Command, group_id: str) -> str:
    """Write a group: `<--storage <GiB>|NAME>`."""
    members = [command.by_id[name] for name in command.members(group_id)]
    names = [arg.value_name if arg.index is not None else shown(arg) for arg in members]
    return f"<{'|'.join(names)}>"


def usage(command: Command, used: Sequence[str] = (), required: Iterable[str] | None = None) -> str:
    """Write a command's usage, without its title.

    With ids `used`, these stand in place of `[OPTIONS]`. `required` are the ids that are needed;
    without it, those the command always needs.
    """
    parts = [command.bin_name]
    if not used and _needs_options(command):
        parts.append("[OPTIONS]")
    names = [*_needed(command, required_ids(command) if required is None else required), *used]
    options, groups, positionals = _sorted_out(command, names, present=())
    covered = _covered(command, names, present=())
    for index, arg in enumerate(command.positionals):
        if arg.hidden or arg.id in covered:
            continue
        if index not in positionals:
            text = f"[-- {shown(arg, required=True)}]" if arg.last else shown(arg, required=False)
            positionals[index] = text
        elif arg.last:
            positionals[index] = f"-- {positionals[index]}"
    parts += [*options, *groups, *_in_order(positionals)]
    if command.subcommand_required:
        parts.append("<COMMAND>")
    elif command.has_visible_subcommands and not used:
        parts.append("[COMMAND]")
    return " ".join(parts)


def required_usage(
    command: Command, names: Iterable[str], required: Iterable[str], present: Collection[str]
) -> list[str]:
    """Write each of the args and groups that are needed, or in `names`, and not present."""
    all_names = [*_needed(command, required), *names]
    options, groups, positionals = _sorted_out(command, all_names, present)
    return [*options, *groups, *_in_order(positionals)]


def _in_order(positionals: dict[int, str]) -> list[str]:
    return [positionals[index] for index in sorted(positionals)]


def _needed(command: Command, required: Iterable[str]) -> list[str]:
    return [name for needed in required for name in (*unrolled_requires(command, needed), needed)]


def _sorted_out(
    command: Command, names: Sequence[str], present: Collection[str]
) -> tuple[dict[str, None], dict[str, None], dict[int, str]]:
    """Write what is not present, each once: options, groups, and positionals by their index."""
    options: dict[str, None] = {}
    groups: dict[str, None] = {}
    positionals: dict[int, str] = {}
    covered = _covered(command, names, present)
    for name in names:
        arg = command.by_id.get(name)
        if arg is None:
            if _is_absent(command, name, present):
                groups[_shown_group(command, name)] = None
        elif name not in covered and name not in present:
            if arg.index is None:
                options[shown(arg)] = None
            else:
                positionals[arg.index] = shown(arg, required=True)
    return options, groups, positionals


def _covered(command: Command, names: Sequence[str], present: Collection[str]) -> set[str]:
    """Return the ids of the args that groups among `names` stand for."""
    return {
        member
        for name in names
        if name not in command.by_id and _is_absent(command, name, present)
        for member in command.members(name)
    }


def _is_absent(command: Command, group_id: str, present: Collection[str]) -> bool:
    return not any(member in present for member in command.members(group_id))


def _needs_options(command: Command) -> bool:
    return any(
        arg.action not in ("help", "version")
        and arg.index is None
        and not arg.hidden
        and not arg.required
        and not any(group.required for group in command.groups_of(arg.id))
        for arg in command.args
    )
