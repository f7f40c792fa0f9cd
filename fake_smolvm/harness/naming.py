"""Stable names for what differs from run to run: HOME, temporary folders, PIDs, times, secrets.

A name stands for one value throughout a cassette (`<PID:1>` is always the same process), so that
what belonged together still does. Text that looks like a name is told apart by a backslash.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fake_smolvm.harness.secrets import pattern_of, secret_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_KINDS = "HOME|TESTS|TEMP:\\d+|SECRET:\\d+|PID:\\d+|TIME:\\d+|DATE:\\d+"
_NAME = re.compile(f"<({_KINDS})>")
_LOOKS_LIKE_A_NAME = re.compile(f"<(\\\\*(?:{_KINDS}))>")

_FOUND_BY_PATTERN = (
    ("PID", re.compile(r'\(PID:? (\d+)|"pid": (\d+)')),
    ("TIME", re.compile(r'"created_at": "?(\d+)')),
    ("DATE", re.compile(r"\b(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)")),
)

_RANDOM_NAME = "tmp[a-z0-9_]{8}"
"""As `tempfile` makes one."""

FIRST_REPLAYED_PID = 1 << 22
"""No operating system gives such a number, so nobody can hit a process by it."""
FIRST_REPLAYED_TIME = 1_700_000_000


class Names:
    """The names of one recording."""

    def __init__(self, places: Mapping[str, str], temporary: str) -> None:
        """Start with folders and their names; `temporary` is where random folders are made."""
        self._values = {path: name for path, name in places.items() if path}
        self._counts: dict[str, int] = {}
        self._temporary = re.compile(f"({re.escape(temporary)}/{_RANDOM_NAME})")
        self._pattern: re.Pattern[str] | None = None

    def learn_argv(self, argv: Iterable[str]) -> None:
        """Find what needs a name in a command line."""
        words = list(argv)
        for secret in secret_values(words):
            self._learn("SECRET", secret)
        for word in words:
            self._learn_matches("TEMP", self._temporary, word)

    def learn_output(self, text: str) -> None:
        """Find what needs a name in what a command said."""
        for kind, pattern in _FOUND_BY_PATTERN:
            self._learn_matches(kind, pattern, text)
        self._learn_matches("TEMP", self._temporary, text)

    def name(self, text: str) -> str:
        """Put the names in place of the values."""
        text = _LOOKS_LIKE_A_NAME.sub(r"<\\\1>", text)
        if self._pattern is None:
            self._pattern = self._compiled()
        return self._pattern.sub(lambda found: f"<{self._values[found[0]]}>", text)

    def _learn_matches(self, kind: str, pattern: re.Pattern[str], text: str) -> None:
        for found in pattern.finditer(text):
            self._learn(kind, next(group for group in found.groups() if group is not None))

    def _learn(self, kind: str, value: str) -> None:
        if value not in self._values:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._values[value] = f"{kind}:{self._counts[kind]}"
            self._pattern = None

    def _compiled(self) -> re.Pattern[str]:
        longest_first = sorted(self._values, key=len, reverse=True)
        alternatives = [_alternative(value, self._values[value]) for value in longest_first]
        return re.compile("|".join(alternatives) or "(?!)")


def _alternative(value: str, name: str) -> str:
    literal = re.escape(value)
    kind = name.partition(":")[0]
    if kind in ("PID", "TIME"):
        return rf"(?<!\d){literal}(?!\d)"
    return pattern_of(value) if kind == "SECRET" else literal


class Bindings:
    """What the names of a cassette stand for in this run."""

    def __init__(self, values: dict[str, str]) -> None:
        """Start with the values known already; more are added as calls are matched."""
        self.values = values

    def match(self, recorded: Iterable[str], argv: Iterable[str]) -> dict[str, str] | None:
        """Compare a recorded argv with one of this run.

        Gives the values that names then stand for, or None if the two differ.
        """
        recorded, argv = list(recorded), list(argv)
        if len(recorded) != len(argv):
            return None
        # One pattern over all words, so that a name means the same in each of them.
        found = re.fullmatch("\0".join(self._patterns(recorded)), "\0".join(argv), re.DOTALL)
        if found is None:
            return None
        return {key.replace("_", ":"): text for key, text in found.groupdict().items() if text}

    def fill(self, text: str) -> str:
        """Put the values in place of the names."""
        filled = _NAME.sub(lambda found: self._value(found[1]), text)
        return re.sub(f"<\\\\(\\\\*(?:{_KINDS}))>", r"<\1>", filled)

    def _patterns(self, recorded: Iterable[str]) -> list[str]:
        seen: set[str] = set()

        def pattern(word: str) -> str:
            parts = _NAME.split(word)
            for index in range(0, len(parts), 2):
                parts[index] = re.escape(self.fill(parts[index]))
            for index in range(1, len(parts), 2):
                parts[index] = self._pattern(parts[index], seen)
            return "".join(parts)

        return [pattern(word) for word in recorded]

    def _pattern(self, name: str, seen: set[str]) -> str:
        if name in self.values or not name.startswith(("TEMP", "SECRET")):
            return re.escape(self._value(name))
        group = name.replace(":", "_")
        if name in seen:
            return f"(?P={group})"
        seen.add(name)
        return f"(?P<{group}>[^\0]+)"

    def _value(self, name: str) -> str:
        kind, _, number = name.partition(":")
        if name in self.values:
            return self.values[name]
        if kind == "PID":
            return str(FIRST_REPLAYED_PID + int(number))
        if kind == "TIME":
            return str(FIRST_REPLAYED_TIME + int(number))
        if kind == "DATE":
            return f"2023-11-14T22:13:{20 + int(number) % 40:02}Z"
        return f"<{name}>"
