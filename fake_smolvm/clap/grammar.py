"""The grammar of a program's command line, built command by command from plain data.

The data is a mapping (usually a JSON file) of this shape; every key but `id` and `kind` may be left
out::

    {"name": "prog", "version": "1.2.3", "commands": {
       "prog": {...}, "box": {...}, "box open": {
          "about", "long_about", "after_help", "after_long_help": texts,
          "visible_aliases": [...], "hidden": bool,
          "subcommand_required": bool, "arg_required_else_help": bool,
          "args_group": the struct of the args, which clap's derive makes a group of; left out
             where other structs are flattened into it, whose args have an "args_group" instead,
          "groups": [{"id", "args": [...], "required": bool, "multiple": bool}],
          "args": [{
             "id", "kind": "flag" | "option" | "positional",
             "short", "long", "visible_short_aliases", "visible_aliases",
             "value_name", "value_type": a type of `clap.values` or of the caller ("string"),
             "possible_values": [...], "possible_values_help": {value: text},
             "default": text, or "default_template": text with {names} to fill in,
             "repeatable", "required", "hidden", "trailing_var_arg", "last", "global": bool,
             "conflicts_with", "requires", "required_unless_present_any": ids,
             "help", "long_help", "help_heading": texts}]}}}

Commands and args stand in the order of declaration. A command with subcommands has no positionals
and requires nothing: no smolvm does, and clap has rules of its own for that.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

_LAST = 999
HELP = "help"
"""Name of the subcommand, and id of the flag, that clap adds itself."""


class Arg:
    """One flag, option or positional."""

    __slots__ = (
        "action",
        "conflicts_with",
        "default",
        "heading",
        "help",
        "hidden",
        "id",
        "index",
        "is_global",
        "last",
        "long",
        "long_help",
        "multiple",
        "order",
        "possible_values",
        "possible_values_help",
        "required",
        "required_unless",
        "requires",
        "short",
        "takes_value",
        "trailing",
        "value_name",
        "value_type",
        "visible_aliases",
        "visible_short_aliases",
    )

    def __init__(self, data: Mapping[str, Any]) -> None:
        get = data.get
        kind = data["kind"]
        self.id: str = data["id"]
        self.takes_value: bool = kind != "flag"
        self.action: str = get("action") or (
            "flag" if kind == "flag" else "append" if get("repeatable") else "set"
        )
        self.index: int | None = None
        """Place among the positionals, None for flags and options."""
        self.order = _LAST
        """Place among the flags and options of the command that declares it."""
        self.multiple: bool = kind == "positional" and self.action == "append"
        """Whether one occurrence takes more than one value."""
        self.short: str | None = get("short")
        self.long: str | None = get("long")
        self.visible_short_aliases: list[str] = get("visible_short_aliases", ())
        self.visible_aliases: list[str] = get("visible_aliases", ())
        self.value_name: str = get("value_name", "")
        self.value_type: str = get("value_type", "string")
        self.possible_values: list[str] = get("possible_values", ())
        self.possible_values_help: dict[str, str] = get("possible_values_help", {})
        self.default: str | None = get("default")
        self.required: bool = get("required", False)
        self.hidden: bool = get("hidden", False)
        self.is_global: bool = get("global", False)
        """Whether it may stand after the names of subcommands too."""
        self.trailing: bool = get("trailing_var_arg", False)
        self.last: bool = get("last", False)
        self.conflicts_with: list[str] = get("conflicts_with", ())
        self.requires: list[str] = get("requires", ())
        self.required_unless: list[str] = get("required_unless_present_any", ())
        self.help: str = get("help", "")
        self.long_help: str = get("long_help", "")
        self.heading: str | None = get("help_heading")


class Group:
    """Args that are required, or exclude each other, together."""

    __slots__ = ("args", "id", "multiple", "required")

    def __init__(self, group_id: str, args: list[str], *, required: bool, multiple: bool) -> None:
        self.id = group_id
        self.args = args
        self.required = required
        self.multiple = multiple


class Command:
    """One command of the tree, with the args that clap adds itself (`--help`, `--version`)."""

    __slots__ = (
        "about",
        "after_help",
        "after_long_help",
        "aliases",
        "arg_required_else_help",
        "args",
        "bin_name",
        "by_id",
        "by_long",
        "by_short",
        "groups",
        "has_help_flag",
        "has_rules",
        "has_visible_subcommands",
        "hidden",
        "long_about",
        "name",
        "path",
        "positionals",
        "required",
        "subcommand_required",
        "subcommands",
        "version",
    )

    def __init__(
        self,
        grammar: Grammar,
        path: tuple[str, ...],
        data: Mapping[str, Any],
        subcommands: dict[str, str],
        inherited: list[Arg],
    ) -> None:
        get = data.get
        self.path = path
        self.bin_name = " ".join((grammar.name, *path))
        self.name = path[-1] if path else grammar.name
        self.about: str = get("about", "")
        self.long_about: str = get("long_about", "")
        self.after_help: str = get("after_help", "")
        self.after_long_help: str = get("after_long_help", "")
        self.hidden: bool = get("hidden", False)
        self.aliases: list[str] = get("visible_aliases", ())
        self.subcommand_required: bool = get("subcommand_required", False)
        self.arg_required_else_help: bool = get("arg_required_else_help", False)
        self.version = None if path else grammar.version
        self.has_help_flag: bool = get("has_help_flag", True)
        self.subcommands = subcommands
        """Every name and alias, in clap's order, to the canonical name."""
        self.has_visible_subcommands: bool = bool(subcommands) and grammar.shows_children(path)
        self.args = [Arg(grammar.filled(arg)) for arg in get("args", ())]
        for order, arg in enumerate([arg for arg in self.args if arg.long or arg.short]):
            arg.order = order
        self.args += [arg for arg in inherited if all(arg.id != own.id for own in self.args)]
        self.groups = _groups(data)
        if self.has_help_flag:
            self.args.append(Arg(_HELP_FLAG))
            if self.version is not None:
                self.args.append(Arg(_VERSION_FLAG))
        self.by_id = {arg.id: arg for arg in self.args}
        self.by_long: dict[str, Arg] = {}
        self.by_short: dict[str, Arg] = {}
        self.positionals: list[Arg] = []
        for arg in self.args:
            self._index(arg)
        self.required = [arg.id for arg in self.args if arg.required]
        if subcommands and (self.positionals or self.required):
            raise ValueError(f"{self.bin_name!r}: positional or required beside subcommands")
        self.has_rules: bool = (
            self.arg_required_else_help
            or self.subcommand_required
            or any(group.required or not group.multiple for group in self.groups)
            or any(arg.conflicts_with or arg.requires or arg.required_unless for arg in self.args)
        )
        """Whether there is more to check at the end than that the required args are there."""

    def _index(self, arg: Arg) -> None:
        if arg.long is None and arg.short is None:
            arg.index = len(self.positionals)
            self.positionals.append(arg)
        if arg.long is not None:
            self.by_long[arg.long] = arg
        if arg.short is not None:
            self.by_short[arg.short] = arg
        for short in arg.visible_short_aliases:
            self.by_short[short] = arg
        for long in arg.visible_aliases:
            self.by_long[long] = arg

    def groups_of(self, arg_id: str) -> list[Group]:
        """Return the groups an arg is a member of, in order of declaration."""
        return [group for group in self.groups if arg_id in group.args]

    def members(self, group_id: str) -> list[str]:
        """Return the ids of the args in a group."""
        for group in self.groups:
            if group.id == group_id:
                return group.args
        raise KeyError(group_id)


def _groups(data: Mapping[str, Any]) -> list[Group]:
    members: dict[str, list[str]] = {}
    for arg in data.get("args", ()):
        struct = arg.get("args_group") or data.get("args_group")
        if struct:
            members.setdefault(struct, []).append(arg["id"])
    groups = [Group(struct, ids, required=False, multiple=True) for struct, ids in members.items()]
    for group in data.get("groups", ()):
        required = group.get("required", False)
        multiple = group.get("multiple", False)
        groups.append(Group(group["id"], group["args"], required=required, multiple=multiple))
    return groups


_HELP_FLAG = {
    "id": HELP,
    "kind": "flag",
    "action": HELP,
    "short": "h",
    "long": HELP,
}
_VERSION_FLAG = {
    "id": "version",
    "kind": "flag",
    "action": "version",
    "short": "V",
    "long": "version",
    "help": "Print version",
}
_HELP_COMMAND = {
    "about": "Print this message or the help of the given subcommand(s)",
    "has_help_flag": False,
    "args": [
        {
            "id": "subcommand",
            "kind": "positional",
            "repeatable": True,
            "value_name": "COMMAND",
            "help": "Print help for the subcommand(s)",
        }
    ],
}


class Grammar:
    """The commands of one version of a program, each built when it is first asked for."""

    __slots__ = ("_built", "_data", "_placeholders", "name", "version")

    def __init__(self, data: Mapping[str, Any], placeholders: Mapping[str, str]) -> None:
        """Take the data; `placeholders` fill the names in its `default_template`s."""
        self.name: str = data["name"]
        self.version: str = data["version"]
        self._data: Mapping[str, Any] = data["commands"]
        self._placeholders = placeholders
        self._built: dict[tuple[str, ...], Command] = {}

    def command(self, path: tuple[str, ...]) -> Command:
        """Return the command at a canonical path; `()` is the program itself.

        Raises KeyError for a path the grammar does not have.
        """
        command = self._built.get(path)
        if command is None:
            if path and path[-1] == HELP:
                command = Command(self, path, _HELP_COMMAND, {}, [])
            else:
                data = self._data[" ".join(path) or self.name]
                parent = self.command(path[:-1]) if path else None
                inherited = [arg for arg in parent.args if arg.is_global] if parent else []
                command = Command(self, path, data, self._subcommands(path), inherited)
            self._built[path] = command
        return command

    def children(self, command: Command) -> Iterator[Command]:
        """Return the subcommands in order of declaration, clap's `help` last."""
        for name in dict.fromkeys(command.subcommands.values()):
            yield self.command((*command.path, name))

    def paths(self) -> list[tuple[str, ...]]:
        """Return the path of every command, the program itself first."""
        return [() if key == self.name else tuple(key.split(" ")) for key in self._data]

    def shows_children(self, path: tuple[str, ...]) -> bool:
        """Tell whether any subcommand, clap's `help` aside, is not hidden."""
        return not all(data.get("hidden") for _, data in self._children(path))

    def _subcommands(self, path: tuple[str, ...]) -> dict[str, str]:
        names: dict[str, str] = {}
        for name, data in self._children(path):
            names[name] = name
            for alias in data.get("visible_aliases", ()):
                names[alias] = name
        if names:
            names[HELP] = HELP
        return names

    def _children(self, path: tuple[str, ...]) -> list[tuple[str, Mapping[str, Any]]]:
        prefix = "".join([f"{name} " for name in path])
        start = len(prefix)
        return [
            (key[start:], data)
            for key, data in self._data.items()
            if key.startswith(prefix) and " " not in key[start:] and key != self.name
        ]

    def filled(self, arg: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return an arg's data with its `default_template`, if any, filled in."""
        template = arg.get("default_template")
        if template is None:
            return arg
        return {**arg, "default": template.format_map(self._placeholders)}
