"""Reads an argv by a grammar, as clap_builder 4.6.0 does (`Parser`, `ArgMatcher`).

What only a bad command line needs is in modules that are loaded at its first mistake.
"""

from __future__ import annotations

from fake_smolvm.clap.lazy import LazyModule
from fake_smolvm.clap.outcome import Line, Matches, ParseExit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from fake_smolvm.clap import messages, pages, validator
    from fake_smolvm.clap.grammar import Arg, Command, Grammar
    from fake_smolvm.rust import integers

    ValueParsers = Mapping[str, Callable[[str], object]]
else:
    integers = LazyModule("fake_smolvm.rust.integers")
    messages = LazyModule("fake_smolvm.clap.messages")
    pages = LazyModule("fake_smolvm.clap.pages")
    validator = LazyModule("fake_smolvm.clap.validator")


def parse(grammar: Grammar, argv: Sequence[str], value_parsers: ValueParsers) -> Matches:
    """Read `argv` (without the program's name; not-UTF-8 bytes as surrogates, as in `sys.argv`).

    `value_parsers` has the value types that clap itself does not know: each takes the text and
    gives the value, or raises ValueError with the reason.

    Raises ParseExit when clap would end the program.
    """
    return Reader(grammar, grammar.command(()), argv, 0, value_parsers).read()


class Reader(Line):
    """Reads one command's part of a command line."""

    __slots__ = (
        "_argv",
        "_at",
        "_awaiting",
        "_pending",
        "_pending_values",
        "_position",
        "_trailing",
        "_value_parsers",
    )

    def __init__(
        self,
        grammar: Grammar,
        command: Command,
        argv: Sequence[str],
        at: int,
        value_parsers: ValueParsers,
    ) -> None:
        super().__init__(grammar, command)
        self._argv = argv
        self._at = at
        self._value_parsers = value_parsers
        self._pending: Arg | None = None
        """An option waiting for its value, or a positional that may get more."""
        self._pending_values: list[str] = []
        self._awaiting = False
        """Whether the next token is the pending option's value, unless it looks like an option."""
        self._position = 0
        """Index of the next positional."""
        self._trailing = False
        """Whether all that follows is positional."""

    def read(self) -> Matches:
        """Read up to the end, subcommands included."""
        subcommand = self._read_tokens()
        inner: Matches | None = None
        if subcommand is not None:
            child = self.grammar.command((*self.command.path, subcommand))
            inner = Reader(self.grammar, child, self._argv, self._at, self._value_parsers).read()
        self._resolve_pending()
        command = self.command
        if command.has_rules or not all(name in self.present for name in command.required):
            validator.validate(self, ends_here=inner is None)
        return self._matches(inner)

    def _read_tokens(self) -> str | None:
        """Read up to the end, or to a subcommand: give its name."""
        argv = self._argv
        subcommands = self.command.subcommands
        while self._at < len(argv):
            word = argv[self._at]
            self._at += 1
            if not self._trailing:
                if word in subcommands and not self._awaiting:
                    if subcommands[word] == "help":
                        raise self._help_command()
                    return subcommands[word]
                if word[:1] == "-" and word != "-":
                    if word == "--":
                        self._trailing = True
                    elif word[1] == "-":
                        self._awaiting = self._take_long(word)
                    else:
                        self._awaiting = self._take_shorts(word)
                    continue
                if self._awaiting:
                    self._awaiting = False
                    self._pending_values.append(word)
                    continue
            self._take_positional(word)
        return None

    def _take_long(self, word: str) -> bool:
        """Take `--name` or `--name=value`; tell whether its value is still to come."""
        name, equals, value = word[2:].partition("=")
        arg = self.command.by_long.get(name)
        if arg is None:
            self._settle()
            raise messages.unknown_long(self, name, self._argv[self._at :])
        if arg.takes_value:
            if not equals:
                self._resolve_pending()
                self._pending = arg
                return True
            self._react(arg, [value])
        elif equals:
            mistake = messages.needless_value(self, arg, value)
            self._settle()
            raise mistake
        elif arg.action == "flag":
            self._react(arg, [])
        else:
            raise self._end_by(arg, long=True)
        return False

    def _take_shorts(self, word: str) -> bool:
        """Take a cluster of short options; tell whether the last's value is still to come."""
        for index in range(1, len(word)):
            letter = word[index]
            arg = self.command.by_short.get(letter)
            if arg is None:
                self._settle()
                name = word[index:] if _is_no_utf8(letter) else letter
                as_value = bool(self.command.positionals)
                raise messages.unknown(self.command, f"-{name}", as_value=as_value)
            if arg.takes_value:
                value = word[index + 1 :]
                if not value:
                    self._resolve_pending()
                    self._pending = arg
                    return True
                self._react(arg, [value.removeprefix("=")])
                return False
            if arg.action != "flag":
                raise self._end_by(arg, long=False)
            self._react(arg, [])
        return False

    def _take_positional(self, word: str) -> None:
        positionals = self.command.positionals
        if self._trailing and positionals and positionals[-1].last:
            self._position = len(positionals) - 1
        if self._position == len(positionals):
            self._settle()
            raise messages.stray(self.command, word, trailing=self._trailing)
        arg = positionals[self._position]
        if arg.last and not self._trailing:
            self._settle()
            raise messages.unknown(self.command, word)
        if self._pending is not arg or not arg.multiple:
            self._resolve_pending()
            self._pending = arg
        self._awaiting = False
        self._pending_values.append(word)
        if arg.trailing:
            self._pending_values += self._argv[self._at :]
            self._at = len(self._argv)
        elif not arg.multiple:
            self._position += 1

    def _resolve_pending(self) -> None:
        arg = self._pending
        if arg is not None:
            values = self._pending_values
            self._pending = None
            self._pending_values = []
            self._react(arg, values)

    def _settle(self) -> None:
        """Resolve what is pending, its mistake unsaid: another is about to be reported."""
        try:
            self._resolve_pending()
        except ParseExit:
            pass

    def _react(self, arg: Arg, values: list[str]) -> None:
        """Take one occurrence of an arg."""
        self._resolve_pending()
        if arg.takes_value and not values:
            raise messages.empty_value(self.command, arg, arg.possible_values)
        if arg.action != "append" and self.present.pop(arg.id, None) is not None:
            raise messages.used_twice(self.command, arg)
        self.start(arg)
        typed = self.present[arg.id]
        for value in values:
            typed.append(self._typed(arg, value))

    def _typed(self, arg: Arg, value: str) -> Any:
        value_type = arg.value_type
        if value_type == "path":
            if not value:
                raise messages.empty_value(self.command, arg, ())
            return value
        if arg.possible_values:
            if value not in arg.possible_values:
                raise messages.invalid_choice(self.command, arg, value)
            return value
        if not value.isascii() and any(map(_is_no_utf8, value)):
            raise messages.invalid_utf8(self.command)
        if value_type == "string":
            return value
        read = self._value_parsers.get(value_type)
        try:
            return integers.parse(value_type, value) if read is None else read(value)
        except ValueError as error:
            raise messages.invalid_value(self.command, arg, value, str(error)) from None

    def _end_by(self, arg: Arg, *, long: bool) -> ParseExit:
        """Return the end that `--help` or `--version` makes."""
        self._resolve_pending()
        if arg.action == "version":
            return ParseExit(0, stdout=f"{self.grammar.name} {self.grammar.version}\n")
        return ParseExit(0, stdout=pages.help_page(self.grammar, self.command, long=long))

    def _help_command(self) -> ParseExit:
        """Return the end that `help` and the names after it make."""
        command = self.command
        for name in self._argv[self._at :]:
            canonical = command.subcommands.get(name)
            if canonical is None:
                return messages.unrecognized_subcommand(command, name)
            command = self.grammar.command((*command.path, canonical))
        return ParseExit(0, stdout=pages.help_page(self.grammar, command, long=True))

    def _matches(self, inner: Matches | None) -> Matches:
        """Return what was met here, and in the subcommand."""
        values: dict[str, Any] = {}
        explicit: set[str] = set()
        for arg in self.command.args:
            given = self.present.get(arg.id)
            if given is not None:
                explicit.add(arg.id)
            if not arg.takes_value:
                if arg.action == "flag":
                    values[arg.id] = given is not None
            elif arg.action == "append":
                values[arg.id] = [] if given is None else given
            elif given is not None:
                values[arg.id] = given[0]
            else:
                values[arg.id] = None if arg.default is None else self._typed(arg, arg.default)
        if inner is None:
            return Matches(self.command.path, values, explicit)
        for arg_id, value in values.items():
            if arg_id not in inner.values or (arg_id in explicit and arg_id not in inner.explicit):
                inner.values[arg_id] = value
        inner.explicit |= explicit
        return inner


def _is_no_utf8(letter: str) -> bool:
    return "\ud800" <= letter <= "\udfff"
