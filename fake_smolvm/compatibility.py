"""Which versions of smolvm accept a command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fake_smolvm import grammars
from fake_smolvm.clap.outcome import ParseExit
from fake_smolvm.clap.parser import parse
from fake_smolvm.entry import VALUE_PARSERS

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one version of smolvm's parser makes of a command line."""

    version: str
    accepted: bool
    reason: str
    """What smolvm prints when it refuses the line; empty if it accepts it."""


def check(argv: Sequence[str], versions: Sequence[str] | None = None) -> list[Verdict]:
    """Tell for each version, by default all known ones, whether it accepts `argv`, and why not.

    `argv` is without the program's name. Asking for help or the version is accepted; a command that
    would fail later is too, for nothing is run.

    Raises LookupError for a version that is not known.
    """
    return [
        _verdict(argv, version)
        for version in (grammars.known_versions() if versions is None else versions)
    ]


def _verdict(argv: Sequence[str], version: str) -> Verdict:
    try:
        parse(grammars.load(version), argv, VALUE_PARSERS)
    except ParseExit as end:
        return Verdict(version, end.code == 0, end.stderr)
    return Verdict(version, accepted=True, reason="")
