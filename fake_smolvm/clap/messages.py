"""What clap says about each mistake (clap_builder's `Error` and `RichFormatter`)."""

from __future__ import annotations

from fake_smolvm.clap.lazy import LazyModule
from fake_smolvm.clap.outcome import ParseExit
from fake_smolvm.clap.usage import required_usage, shown, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from fake_smolvm.clap.grammar import Arg, Command
    from fake_smolvm.clap.outcome import Line
    from fake_smolvm.rust import anstream, strsim
else:
    anstream = LazyModule("fake_smolvm.rust.anstream")
    strsim = LazyModule("fake_smolvm.rust.strsim")

# clap styles its texts and its output stream takes the styles out again, with whatever else in the
# text looks like one; so they must stand where clap's stand.
_ERROR = "\x1b[1m\x1b[31m"
_VALID = "\x1b[32m"
_INVALID = "\x1b[33m"
_LITERAL = "\x1b[1m"
_HEADER = "\x1b[1m\x1b[4m"
_END = "\x1b[0m"
_SIMILAR = 0.7
"""The Jaro similarity above which clap gives a tip."""
_STYLES = (_ERROR, _HEADER, _VALID, _INVALID, _LITERAL, _END)


def unknown_long(line: Line, name: str, rest: Sequence[str]) -> ParseExit:
    """Say that no option is called `--name`; `rest` is what follows it on the line."""
    command = line.command
    name = _lossy(name)
    similar = _similar(name, command.by_long)
    found = None if similar else _option_of_subcommand(line, name, rest)
    tips: list[str] = []
    if similar:
        tips.append(f"a similar argument exists: '{_VALID}--{similar[-1]}{_END}'")
        line.start(command.by_long[similar[-1]])
    if command.positionals and (
        not (similar or found) or any(arg.last or arg.trailing for arg in command.positionals)
    ):
        tips.append(_as_value(f"--{name}"))
    if found:
        tips.append(f"'{_VALID}{found}{_END}' exists")
    return _error(
        command,
        f"unexpected argument '{_INVALID}--{name}{_END}' found",
        tips,
        usage(command, _visible(line)),
        shows=name,
    )


def unknown(command: Command, token: str, *, as_value: bool = False) -> ParseExit:
    """Say that a token has no place; `as_value`: with the tip how to pass it as a value."""
    token = _lossy(token)
    return _error(
        command,
        f"unexpected argument '{_INVALID}{token}{_END}' found",
        [_as_value(token)] if as_value else [],
        usage(command),
        shows=token,
    )


def stray(command: Command, token: str, *, trailing: bool) -> ParseExit:
    """Say that a token is no subcommand, or that there is no positional left for it."""
    token = _lossy(token)
    if trailing and token in command.subcommands:
        tip = (
            f"subcommand '{_VALID}{token}{_END}' exists; "
            f"to use it, remove the '{_INVALID}--{_END}' before it"
        )
        return _error(
            command,
            f"unexpected argument '{_INVALID}{token}{_END}' found",
            [tip],
            usage(command),
            shows=token,
        )
    similar = _similar(token, command.subcommands)
    if not similar:
        if command.subcommands:
            return unrecognized_subcommand(command, token)
        return unknown(command, token)
    names = ", ".join([f"'{_VALID}{name}{_END}'" for name in similar])
    if len(similar) == 1:
        tip = f"a similar subcommand exists: {names}"
    else:
        tip = f"some similar subcommands exist: {names}"
    return _error(command, _unrecognized(token), [tip], usage(command), shows=token)


def unrecognized_subcommand(command: Command, token: str) -> ParseExit:
    """Say that a token is no subcommand, and like none."""
    token = _lossy(token)
    return _error(command, _unrecognized(token), [], usage(command), shows=token)


def missing_subcommand(command: Command) -> ParseExit:
    """Say that the command does nothing without a subcommand."""
    names = ", ".join([f"{_VALID}{name}{_END}" for name in command.subcommands])
    return _error(
        command,
        f"'{_INVALID}{command.bin_name}{_END}' requires a subcommand but one was not provided\n"
        f"  [subcommands: {names}]",
        [],
        usage(command),
    )


def used_twice(command: Command, arg: Arg) -> ParseExit:
    """Say that an arg stands there again that may stand there once."""
    text = f"the argument '{_INVALID}{shown(arg)}{_END}' cannot be used multiple times"
    return _error(command, text, [], usage(command))


def conflict(line: Line, arg: Arg, others: Sequence[str]) -> ParseExit:
    """Say that an arg and others, by their ids, exclude each other."""
    command = line.command
    names = [shown(command.by_id[other]) for other in others]
    if len(names) == 1:
        text = f" '{_INVALID}{names[0]}{_END}'"
    else:
        text = ":" + "".join([f"\n  {_INVALID}{name}{_END}" for name in names])
    used = [met for met in _visible(line) if met not in others]
    requires = [
        name
        for met in used
        for name in command.by_id[met].requires
        if name not in used and name not in others
    ]
    return _error(
        command,
        f"the argument '{_INVALID}{shown(arg)}{_END}' cannot be used with{text}",
        [],
        usage(command, requires + used),
    )


def missing_required(line: Line, required: Iterable[str], missing: Sequence[str]) -> ParseExit:
    """Say what is missing; `required` are all that this command line needs."""
    command = line.command
    lines = required_usage(command, missing, required, line.present)
    return _error(
        command,
        "the following required arguments were not provided:"
        + "".join([f"\n  {_VALID}{line}{_END}" for line in lines]),
        [],
        usage(command, [*_visible(line), *missing], required),
    )


def needless_value(line: Line, arg: Arg, value: str) -> ParseExit:
    """Say that a flag takes no value."""
    command = line.command
    value = _lossy(value)
    args = command.by_id
    used = [
        met
        for met in line.present
        if met not in args or not (args[met].hidden or args[met].required)
    ]
    return _error(
        command,
        f"unexpected value '{_INVALID}{value}{_END}' for '{_LITERAL}{shown(arg)}{_END}' found; "
        "no more were expected",
        [],
        usage(command, [*used, arg.id]),
        shows=value,
    )


def empty_value(command: Command, arg: Arg, possible_values: Collection[str]) -> ParseExit:
    """Say that an option's value is missing, or empty where it must not be."""
    text = f"a value is required for '{_INVALID}{shown(arg)}{_END}' but none was supplied"
    return _error(command, text + _list(possible_values), [])


def invalid_choice(command: Command, arg: Arg, value: str) -> ParseExit:
    """Say that a value is none of those possible."""
    if not value:
        return empty_value(command, arg, arg.possible_values)
    value = _lossy(value)
    similar = _similar(value, arg.possible_values)
    return _error(
        command,
        f"invalid value '{_INVALID}{value}{_END}' for '{_LITERAL}{shown(arg)}{_END}'"
        + _list(arg.possible_values),
        [f"a similar value exists: '{_VALID}{similar[-1]}{_END}'"] if similar else [],
        shows=value,
    )


def invalid_value(command: Command, arg: Arg, value: str, reason: str) -> ParseExit:
    """Say why a value is refused."""
    return _error(
        command,
        f"invalid value '{_INVALID}{value}{_END}' for '{_LITERAL}{shown(arg)}{_END}': {reason}",
        [],
        shows=value + reason,
    )


def invalid_utf8(command: Command) -> ParseExit:
    """Say that a value is no UTF-8 where it must be."""
    text = "invalid UTF-8 was detected in one or more arguments"
    return _error(command, text, [], usage(command))


def _error(
    command: Command, text: str, tips: Sequence[str], usage: str = "", shows: str = ""
) -> ParseExit:
    """Put an error together; `shows` is what of it came from the command line."""
    parts = [f"{_ERROR}error:{_END} {text}\n"]
    if tips:
        parts += ["\n", *[f"  {_VALID}tip:{_END} {tip}\n" for tip in tips]]
    if usage:
        parts.append(f"\n{_HEADER}Usage:{_END} {usage}\n")
    if command.has_help_flag:
        parts.append(f"\nFor more information, try '{_LITERAL}--help{_END}'.\n")
    text = "".join(parts)
    if shows.isprintable():
        for style in _STYLES:
            text = text.replace(style, "")
    else:
        text = anstream.stripped(text)
    return ParseExit(2, stderr=text)


def _unrecognized(token: str) -> str:
    return f"unrecognized subcommand '{_INVALID}{token}{_END}'"


def _as_value(token: str) -> str:
    return f"to pass '{_INVALID}{token}{_END}' as a value, use '{_VALID}-- {token}{_END}'"


def _list(possible_values: Collection[str]) -> str:
    if not possible_values:
        return ""
    names = ", ".join([f"{_VALID}{name}{_END}" for name in possible_values])
    return f"\n  [possible values: {names}]"


def _lossy(text: str) -> str:
    """Write bytes that are no UTF-8 as U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _visible(line: Line) -> list[str]:
    """Return the ids of the args met that may be shown."""
    args = line.command.by_id
    return [met for met in line.present if met in args and not args[met].hidden]


def _option_of_subcommand(line: Line, name: str, rest: Sequence[str]) -> str:
    """Return the subcommand, of those in `rest` the first, and its option like `--name`."""
    found: list[tuple[int, str]] = []
    for child in line.grammar.children(line.command):
        if child.name in rest:
            similar = _similar(name, child.by_long)
            if similar:
                found.append((rest.index(child.name), f"{child.name} --{similar[-1]}"))
    return min(found)[1] if found else ""


def _similar(text: str, candidates: Iterable[str]) -> list[str]:
    """Return the candidates like `text`, the most similar last."""
    rated = [(strsim.jaro(text, candidate, least=_SIMILAR), candidate) for candidate in candidates]
    near = [pair for pair in rated if pair[0] > _SIMILAR]
    near.sort(key=lambda pair: pair[0])
    return [candidate for _, candidate in near]
