"""What smolvm's versions do otherwise than each other, beside their command lines.

The differences are data, `versions.json`: since which version something is so, or before which.
Code asks `says(version, what)`, and never compares versions itself.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from fake_smolvm.fastjson import loads

if TYPE_CHECKING:
    from collections.abc import Mapping

_FILE = os.path.join(os.path.dirname(__file__), "versions.json")


def says(version: str, what: str) -> bool:
    """Return whether something of `versions.json` is so in a version.

    Raises:
        KeyError: nothing is known by that name.
    """
    difference = _differences()[what]
    return is_within(version, difference.get("since"), difference.get("before"))


def is_within(version: str, since: str | None, before: str | None) -> bool:
    """Return whether a version is one of those from `since` on that are before `before`."""
    return (not since or number(since) <= number(version)) and (
        not before or number(version) < number(before)
    )


def number(version: str) -> tuple[int, ...]:
    """Return a version as numbers, which compare as versions do."""
    return tuple(int(part) for part in version.split("."))


@cache
def _differences() -> Mapping[str, Mapping[str, str]]:
    with open(_FILE, encoding="utf-8") as file:
        found: Mapping[str, Mapping[str, str]] = loads(file.read())
    return found
