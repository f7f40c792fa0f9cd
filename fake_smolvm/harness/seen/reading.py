"""What a command line is about: the command that it names, and the machine."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from fake_smolvm import entry, grammars
from fake_smolvm.clap.outcome import Matches, ParseExit
from fake_smolvm.clap.parser import parse
from fake_smolvm.scenarios.subject import machine_of
from fake_smolvm.versions import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fake_smolvm.clap.grammar import Grammar


class Read(NamedTuple):
    """A command line, understood."""

    command: str
    """Canonical, such as `machine delete`; the leading words as typed if that is refused."""
    machine: str | None
    matches: Matches | None
    """None if the parser refuses the line, or answers it itself (help, version)."""


def read(argv: Sequence[str], version: str = grammars.DEFAULT_VERSION) -> Read:
    """Read an argv (without the program's name) as that version of smolvm does."""
    try:
        matches = parse(grammar_of(version), argv, entry.VALUE_PARSERS)
    except ParseExit:
        leading = []
        for word in argv[:2]:
            if word.startswith("-"):
                break
            leading.append(word)
        return Read(" ".join(leading), None, None)
    return Read(" ".join(matches.command), machine_of(matches), matches)


@lru_cache
def grammar_of(version: str) -> Grammar:
    """Return the grammar of a version, or of the one before it that there is one of."""
    known = grammars.known_versions()
    older = [one for one in known if number(one) <= number(version)]
    return grammars.load(older[-1] if older else known[0])
