"""The help page of a command (clap_builder's `HelpTemplate`)."""

from __future__ import annotations

from fake_smolvm.clap.usage import shown, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fake_smolvm.clap.grammar import Arg, Command, Grammar

    Row = tuple[str, str, Mapping[str, str], list[str]]
    """Left column, description, possible values with theirs, notes."""

_WIDTH = 100
"""What clap takes a terminal's width for; without `wrap_help` nothing is ever wrapped to it."""
_WIDE_LEFT = 0.4
"""From which share of the width on a left column makes long descriptions move below it."""
_NEXT_LINE = 10
"""Where a description starts that stands on its own line."""


def help_page(grammar: Grammar, command: Command, *, long: bool) -> str:
    """Write the help page, the long one if that is asked for and there is one."""
    has_long = _has_long_help(command)
    long = long and has_long
    about = (command.long_about if long else "") or command.about
    sections = [about] if about else []
    sections.append(f"Usage: {usage(command)}")
    if command.has_visible_subcommands:
        rows: list[Row] = [
            (child.name, child.about, {}, _aliases(child.aliases))
            for child in grammar.children(command)
            if not child.hidden
        ]
        sections.append("Commands:\n" + _table(rows, long=False))
    headings: dict[str, list[Arg]] = {"Arguments": [], "Options": []}
    for arg in command.args:
        heading = arg.heading or ("Options" if arg.index is None else "Arguments")
        headings.setdefault(heading, []).append(arg)
    for heading, args in headings.items():
        visible = sorted([arg for arg in args if not arg.hidden], key=_place)
        rows = [_row(arg, long=long, has_long=has_long) for arg in visible]
        if rows:
            sections.append(f"{heading}:\n{_table(rows, long=long)}")
    after = (command.after_long_help if long else "") or command.after_help
    if after:
        sections.append(after)
    return "\n\n".join(sections).rstrip() + "\n"


def _has_long_help(command: Command) -> bool:
    return bool(command.long_about or command.after_long_help) or any(
        arg.long_help or arg.possible_values_help for arg in command.args if not arg.hidden
    )


def _place(arg: Arg) -> tuple[int, str]:
    """Return what clap sorts args by; one inherited from a parent has a place of its own."""
    if arg.short is not None:
        return arg.order, f"{arg.short.lower()}{0 if arg.short.islower() else 1}"
    if arg.long is not None:
        return arg.order, arg.long
    return arg.index or 0, ""


def _row(arg: Arg, *, long: bool, has_long: bool) -> Row:
    """Write what a page says of an arg."""
    left = shown(arg)
    if arg.long is not None:
        left = f"-{arg.short}, {left}" if arg.short is not None else f"    {left}"
    if arg.action == "help":
        if not has_long:
            text = "Print help"
        else:
            other = "see a summary with '-h'" if long else "see more with '--help'"
            text = f"Print help ({other})"
    else:
        text = (arg.long_help or arg.help) if long else (arg.help or arg.long_help)
    notes = [] if arg.default is None else [f"[default: {arg.default}]"]
    notes += _aliases(
        [f"-{name}" for name in arg.visible_short_aliases]
        + [f"--{name}" for name in arg.visible_aliases]
    )
    if arg.possible_values and not (long and arg.possible_values_help):
        notes.append(f"[possible values: {', '.join(arg.possible_values)}]")
    return left, text, arg.possible_values_help, notes


def _aliases(names: Sequence[str]) -> list[str]:
    return [f"[aliases: {', '.join(names)}]"] if names else []


def _table(rows: Sequence[Row], *, long: bool) -> str:
    """Lay out the rows of a section."""
    widest = max(2, *[len(left) for left, *_ in rows])
    start = widest + 4
    next_line = long or (
        start / _WIDTH > _WIDE_LEFT
        and any(len(about) + len(" ".join(notes)) > _WIDTH - start for _, about, _, notes in rows)
    )
    lines: list[str] = []
    for left, about, values, notes in rows:
        if long:
            text = _long_text(about, values, notes)
        else:
            text = " ".join([part for part in (about, *notes) if part])
            text = text.replace("\n", "\n" + " " * (_NEXT_LINE if next_line else start))
        if next_line:
            lines.append(f"  {left}\n{' ' * _NEXT_LINE}{text}")
        else:
            lines.append(f"  {left:<{widest}}  {text}")
    return ("\n\n" if long else "\n").join(lines)


def _long_text(about: str, values: Mapping[str, str], notes: Sequence[str]) -> str:
    newline = "\n" + " " * _NEXT_LINE
    text = about.replace("\n", newline)
    if values:
        widest = max([len(value) for value in values])
        items = [f"- {value + ':':<{widest + 1}} {sense}" for value, sense in values.items()]
        text = newline.join(
            [f"{text}\n{newline}Possible values:" if text else "Possible values:", *items]
        )
    if notes:
        text = newline.join([*([text, ""] if text else []), *notes])
    return text
