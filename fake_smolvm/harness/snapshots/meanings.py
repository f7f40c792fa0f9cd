"""What a version of smolvm makes of a command line: accepted, refused, or taken for something else.

`meanings.json` lists what is accepted and yet not done, by version. An entry holds for a line of
that `command` when every arg in `given` is given, one of `any_of`, and none in `absent`; when args
have the `values`; and when `malformed_env` or `colon_on_both_sides` or `name_as_command` describes
it.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from fake_smolvm.compatibility import check
from fake_smolvm.harness.seen.reading import read
from fake_smolvm.versions import is_within

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fake_smolvm.clap.outcome import Matches


def verdict(argv: Sequence[str], version: str) -> list[str]:
    """Say, in one or more lines, what a version makes of an argv (without the program's name)."""
    (parsed,) = check(argv, [version])
    if not parsed.accepted:
        return [f"refused: {parsed.reason.partition(chr(10))[0].removeprefix('error: ')}"]
    matches = read(argv, version).matches
    others = [
        f"accepted, with another meaning: {meaning['means']}"
        for meaning in _meanings()
        if matches is not None and _is_known_in(meaning, version) and _holds(meaning, matches)
    ]
    return others or ["accepted"]


def _is_known_in(meaning: Mapping[str, Any], version: str) -> bool:
    return is_within(version, meaning.get("since"), meaning.get("before"))


def _holds(meaning: Mapping[str, Any], matches: Matches) -> bool:
    explicit = matches.explicit
    any_of = meaning.get("any_of")
    return (
        " ".join(matches.command) == meaning["command"]
        and explicit.issuperset(meaning.get("given", ()))
        and (any_of is None or not explicit.isdisjoint(any_of))
        and explicit.isdisjoint(meaning.get("absent", ()))
        and all(
            name in explicit and str(matches.values.get(name)) == value
            for name, value in meaning.get("values", {}).items()
        )
        and all(_SPECIAL[name](matches) for name in meaning.keys() & _SPECIAL)
    )


_SPECIAL = {
    "malformed_env": lambda matches: any(
        not pair.partition("=")[0] or "=" not in pair for pair in matches.values.get("env") or ()
    ),
    "colon_on_both_sides": lambda matches: (
        ":" in matches.values["src"] and ":" in matches.values["dst"]
    ),
    "name_as_command": lambda matches: "--" in (matches.values["command"] or ())[1:],
}


@lru_cache
def _meanings() -> list[dict[str, Any]]:
    text = (files("fake_smolvm.harness.snapshots") / "meanings.json").read_text(encoding="utf-8")
    meanings: list[dict[str, Any]] = json.loads(text)
    return meanings
