"""Stable names for what differs from run to run: folders, PIDs, times, random values, secrets.

| name | stands for |
|---|---|
| `<HOME>` | the test's HOME |
| `<PROJECT>` | pytest's root folder |
| `<TESTS>` | where pytest makes temporary folders; the test's own is `<TESTS>/test_name0`, always |
| `<TEMP:1>`, `<TMP>/build-<RANDOM:1>` | a temporary folder or file of `tempfile` |
| `<UUID:1>` | a UUID that was drawn: of version 1, 4, 6 or 7 |
| `<HEX8:1>`, `<TOKEN22:1>` | so many characters of a drawn UUID or token: see `drawn` |
| `<PID:1>`, `<TIME:1>`, `<DATE:1>` | what smolvm said |
| `<SECRET:1>` | a value of `-e` (`<SECRET_JSON:1>`: as JSON writes it) |
| `<RUN>` | what the test named itself, by `smolvm.name_value("RUN", value)` |

A name stands for one value throughout a cassette (`<PID:1>` is always the same process), so that
what belonged together still does. Text that looks like a name is told apart by a backslash.
"""

from __future__ import annotations

import json
import os
import re
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

from fake_smolvm.harness.on_path.secrets import pattern_of, secret_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fake_smolvm.harness.cassettes.drawn import Drawn

_OWN_FOLDER = "<TESTS>/"
_PLACES = ("HOME", "PROJECT", "TESTS", "TMP")
_KINDS = (
    "HOME|PROJECT|TESTS|TMP|UUID:\\d+|HEX\\d+:\\d+|TOKEN\\d+:\\d+|RANDOM:\\d+"
    "|TEMP:\\d+|SECRET:\\d+|SECRET_JSON:\\d+|PID:\\d+|TIME:\\d+|DATE:\\d+"
)
_OF_A_TEST = re.compile("[A-Z][A-Z0-9_]*")

_SAID = (
    ("PID", re.compile(r'\(PID:? (\d+)|"pid": (\d+)')),
    ("TIME", re.compile(r'"created_at": "?(\d+)')),
    ("DATE", re.compile(r"\b(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)")),
)
_UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_RANDOM = "[a-z0-9_]{8}"
"""What `tempfile` makes a name unique by."""
_TEMP = f"tmp{_RANDOM}"
_DRAWN_UUID = re.compile(
    rf"(?<![0-9A-Za-z])(?=.{{14}}[1467].{{4}}[89abAB])({_UUID})(?![0-9A-Za-z])"
)
_PART = re.compile(r"\.smolvm-([0-9a-f]{16})\.part")
"""Where the wrapper puts a file until it is whole."""

FIRST_REPLAYED_PID = 1 << 22
"""No operating system gives such a number, so nobody can hit a process by it."""
FIRST_REPLAYED_TIME = 1_700_000_000


def check_name(name: object, value: object, given: Mapping[str, str]) -> None:
    """Check a name that a test gives a value; `given` are those that it has given.

    Raises ValueError, in words, for what is no name or no value, or is taken.
    """
    if not isinstance(name, str) or not _OF_A_TEST.fullmatch(name):
        raise ValueError(f"name_value: {name!r} is no name: take capitals, digits and _, as in RUN")
    if re.fullmatch(_KINDS, name) or re.fullmatch(_KINDS, f"{name}:1"):
        raise ValueError(f"name_value: <{name}> has a meaning of its own: take another name")
    if not isinstance(value, str) or not value:
        raise ValueError(f"name_value: the value of {name} is to be a text, and not an empty one")
    if given.get(name, value) != value:
        raise ValueError(f"name_value: {name} stands for another value in this test already")


class Names:
    """The names of one recording."""

    def __init__(
        self,
        places: Mapping[str, str],
        temporary: str,
        drawn: Drawn | None = None,
        given: Mapping[str, str] | None = None,
        own_folder: str = "",
    ) -> None:
        """Start with folders and their names; `temporary` is where random folders are made.

        `given` are the names that the test gave itself, and their values; `own_folder` is where its
        `tmp_path` is.
        """
        self._drawn = drawn
        self.given = dict(given or {})
        self._values = {path: f"<{name}>" for path, name in _with_links(places).items()}
        """What is put in place of a value."""
        for folder in _with_links({own_folder: ""}):
            self._values[folder] = own_folder_name(folder)
        self._values |= {value: f"<{name}>" for name, value in self.given.items()}
        self._counts: dict[str, int] = {}
        self._temporary = tuple(_with_links({temporary: ""}))
        either = "|".join(re.escape(folder) for folder in self._temporary)
        self._temp = re.compile(f"((?:{either})/{_TEMP})")
        self._prefixed = re.compile(f"({either})/(smolvm-)({_RANDOM})")
        self._pattern: re.Pattern[str] | None = None

    def learn_argv(self, argv: Iterable[str]) -> None:
        """Find what needs a name in a command line."""
        words = list(argv)
        for secret in secret_values(words):
            self._learn("SECRET", secret)
            in_json = json.dumps(secret, ensure_ascii=False)[1:-1]
            if in_json != secret:
                name = self._values[secret].replace("<SECRET:", "<SECRET_JSON:")
                self._values.setdefault(in_json, name)
        for word in words:
            self.learn(word)

    def learn_output(self, text: str) -> None:
        """Find what needs a name in what a command said."""
        for kind, pattern in _SAID:
            self._learn_matches(kind, pattern, text)
        self.learn(text)

    def name(self, text: str) -> str:
        """Put the names in place of the values."""
        text = _escaped(tuple(self.given)).sub(r"<\\\1>", text)
        return self._compiled().sub(lambda found: self._values[found[0]], text)

    def cut_anew(self, pieces: Sequence[str]) -> list[str]:
        """Return a text that came in pieces, none of which ends in the middle of a value."""
        whole = "".join(pieces)
        ends = list(accumulate(map(len, pieces)))
        for pattern in (self._compiled(), _escaped(tuple(self.given))):
            for found in pattern.finditer(whole):
                for index, end in enumerate(ends):
                    if found.start() < end < found.end():
                        ends[index] = found.end()
        starts = [0, *ends]
        return [whole[start:end] for start, end in zip(starts, ends, strict=False)]

    def learn(self, text: str) -> None:
        """Find random values in any text."""
        self._learn_matches("TEMP", self._temp, text)
        text = self._temp.sub("\n", text)
        for folder, prefix, random in self._prefixed.findall(text):
            self._learn_temporary(folder, prefix, random)
        text = self._prefixed.sub("\n", text)
        self._learn_matches("UUID", _DRAWN_UUID, text)
        self._learn_matches("HEX16", _PART, text)
        for kind, value in self._drawn.find(text) if self._drawn else ():
            folder, _, prefix = text[: text.index(value)].rpartition("/")
            if kind == "RANDOM" and folder.endswith(self._temporary):
                self._learn_temporary(folder, prefix, value)
            else:
                self._learn(kind, value)

    def _learn_temporary(self, folder: str, prefix: str, random: str) -> None:
        """Learn a name that is random at its end, in the temporary folder that `folder` ends in."""
        self._learn("RANDOM", random)
        temporary = next(one for one in self._temporary if folder.endswith(one))
        value = f"{temporary}/{prefix}{random}"
        if value not in self._values:
            self._values[value] = f"<TMP>/{prefix}{self._values[random]}"
            self._pattern = None

    def _learn_matches(self, kind: str, pattern: re.Pattern[str], text: str) -> None:
        for found in pattern.finditer(text):
            self._learn(kind, next(group for group in found.groups() if group is not None))

    def _learn(self, kind: str, value: str) -> None:
        if value not in self._values:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._values[value] = f"<{kind}:{self._counts[kind]}>"
            self._pattern = None

    def _compiled(self) -> re.Pattern[str]:
        if self._pattern is None:
            longest_first = sorted(self._values, key=len, reverse=True)
            alternatives = [_alternative(value, self._values[value]) for value in longest_first]
            self._pattern = re.compile("|".join(alternatives) or "(?!)")
        return self._pattern


def _with_links(places: Mapping[str, str]) -> dict[str, str]:
    """Return the places, and by what names they go when all links are resolved."""
    usable = {path: name for path, name in places.items() if path.strip("/")}
    return {**{os.path.realpath(path): name for path, name in usable.items()}, **usable}


def _alternative(value: str, name: str) -> str:
    literal = re.escape(value)
    kind = name.strip("<>").partition(":")[0]
    if kind in ("PID", "TIME"):
        return rf"(?<!\d){literal}(?!\d)"
    if kind == "PROJECT" and value.count("/") == 1:
        # `/work` may be a folder of the guest as well: `-v /work:/work`.
        literal = rf"(?<!:){literal}"
    if kind in ("PROJECT", "TESTS") or name.startswith(_OWN_FOLDER):
        return rf"{literal}(?![\w-]|\.\w)"
    return pattern_of(value) if kind.startswith("SECRET") or _OF_A_TEST.fullmatch(kind) else literal


@lru_cache
def _name_in(given: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(f"<({'|'.join([_KINDS, *given])})>")


@lru_cache
def _escaped(given: tuple[str, ...]) -> re.Pattern[str]:
    """Return the pattern of what looks like a name, with the backslashes that it has already."""
    return re.compile(f"<(\\\\*(?:{'|'.join([_KINDS, *given])}))>")


@lru_cache
def _escaped_once_more(given: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(f"<\\\\(\\\\*(?:{'|'.join([_KINDS, *given])}))>")


class Bindings:
    """What the names of a cassette stand for in this run."""

    def __init__(
        self, values: dict[str, str], given: Iterable[str] = (), own_folder: str = ""
    ) -> None:
        """Start with the values known already; more are added as calls are matched.

        `given` are the names that the test gave itself when it was recorded; `own_folder` is where
        its `tmp_path` is in this run.
        """
        self.values = values
        self._given = tuple(given)
        self._own_folder = own_folder
        self._own_name = own_folder_name(own_folder) if own_folder else ""

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
        bound = {key.replace("_", ":"): text for key, text in found.groupdict().items() if text}
        return bound if self._all_differ(bound) else None

    def fill(self, text: str) -> str:
        """Put the values in place of the names."""
        filled = _name_in(self._given).sub(lambda found: self._value(found[1]), self._own(text))
        return _escaped_once_more(self._given).sub(r"<\1>", filled)

    def unbound(self, argv: Iterable[str]) -> list[str]:
        """Return the names in a recorded argv that the test was to give a value, and did not."""
        found = [name for word in argv for name in _name_in(self._given).findall(word)]
        return [name for name in found if name in self._given and name not in self.values]

    def _all_differ(self, bound: Mapping[str, str]) -> bool:
        """Tell whether values that differed when they were recorded still do."""
        values = {**self.values, **bound}
        random = [value for name, value in values.items() if _is_bound_by_argv(name)]
        return len(set(random)) == len(random)

    def _patterns(self, recorded: Iterable[str]) -> list[str]:
        seen: set[str] = set()

        def pattern(word: str) -> str:
            parts = _name_in(self._given).split(self._own(word))
            for index in range(0, len(parts), 2):
                parts[index] = re.escape(self.fill(parts[index]))
            for index in range(1, len(parts), 2):
                parts[index] = self._pattern(parts[index], seen)
            return "".join(parts)

        return [pattern(word) for word in recorded]

    def _own(self, text: str) -> str:
        """Put this run's `tmp_path` in place of its name, up to `<TESTS>`."""
        if self._own_name and self._own_name in text:
            own = f"<TESTS>/{os.path.basename(self._own_folder)}"
            return re.sub(rf"{re.escape(self._own_name)}(?![\w.-])", lambda _: own, text)
        return text

    def _pattern(self, name: str, seen: set[str]) -> str:
        if name in _PLACES and name in self.values:
            place = self.values[name]
            return f"(?:{re.escape(place)}|{re.escape(os.path.realpath(place))})"
        if name in self._given and name not in self.values:
            return "(?!)"
        if name in self.values or not _is_bound_by_argv(name):
            return re.escape(self._value(name))
        group = name.replace(":", "_")
        if name in seen:
            return f"(?P={group})"
        seen.add(name)
        return f"(?P<{group}>{self._shape(name.partition(':')[0])})"

    def _shape(self, kind: str) -> str:
        """Return the pattern of what a name can stand for."""
        if kind == "UUID":
            return _UUID
        if kind == "RANDOM":
            return _RANDOM
        if kind.startswith("HEX"):
            return f"[0-9a-fA-F-]{{{kind[3:]}}}"
        if kind.startswith("TOKEN"):
            return f"[0-9A-Za-z_-]{{{kind[5:]}}}"
        if kind == "TEMP" and "TMP" in self.values:
            folder = self.values["TMP"]
            either = f"(?:{re.escape(folder)}|{re.escape(os.path.realpath(folder))})"
            return f"{either}/{_TEMP}"
        return "[^\0]+"

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
        if kind == "SECRET_JSON" and f"SECRET:{number}" in self.values:
            return json.dumps(self.values[f"SECRET:{number}"], ensure_ascii=False)[1:-1]
        return f"<{name}>"


def own_folder_name(tmp_path: str) -> str:
    """Return the name of a test's `tmp_path`, whatever number pytest gave it in this run."""
    return f"{_OWN_FOLDER}{os.path.basename(tmp_path).rstrip('0123456789')}0"


def _is_bound_by_argv(name: str) -> bool:
    """Tell whether a name stands for whatever the argv of this run has in its place."""
    kind, colon, _ = name.partition(":")
    return bool(colon) and kind not in ("PID", "TIME", "DATE", "SECRET_JSON")
