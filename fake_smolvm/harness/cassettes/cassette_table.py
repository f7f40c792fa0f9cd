"""A table of a cassette, read with every key checked."""

from __future__ import annotations

import math
import re
from ast import literal_eval
from signal import Signals
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

_BYTES = re.compile(r"""b(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", re.DOTALL)


class DamagedError(Exception):
    """What is wrong with a cassette, in words."""


class Table:
    """A table of a cassette, whose every key must be one that there is, of the right type."""

    def __init__(self, data: Mapping[str, Any], where: str) -> None:
        self._data = data
        self._known: list[str] = []
        self.where = where

    def get(self, key: str, kind: type | tuple[type, ...], words: str) -> Any:
        """Return what is there, or None."""
        self._known.append(key)
        found = self._data.get(key)
        of_that_kind = isinstance(found, kind) and (kind is bool or not isinstance(found, bool))
        if found is not None and not of_that_kind:
            raise DamagedError(f"{key} of {self.where} is not {words}: {str(found)[:40]}")
        return found

    def required(self, key: str, kind: type, words: str) -> Any:
        """Return what is there, of that type; it must be."""
        if key not in self._data:
            raise DamagedError(f"{self.where} has no {key}")
        return self.get(key, kind, words)

    def switch(self, key: str) -> bool:
        """Return whether it is there and true."""
        return bool(self.get(key, bool, "true or false"))

    def whole_number(self, key: str, at_most: int = 1 << 62) -> int | None:
        """Return a whole number that is not negative."""
        number: int | None = self.get(key, int, "a whole number")
        if number is not None and not 0 <= number <= at_most:
            raise DamagedError(f"{key} of {self.where} is not from 0 to {at_most}: {number}")
        return number

    def seconds(self, key: str) -> float | None:
        """Return a time that a call can take."""
        number = self.get(key, (int, float), "a number of seconds")
        if number is None:
            return None
        if not 0 <= number < 1e9 or math.isnan(number):  # noqa: PLR2004  thirty years
            raise DamagedError(f"{key} of {self.where} is no time that a call can take: {number}")
        return float(number)

    def signal(self, key: str) -> str | None:
        """Return the name of a signal."""
        name: str | None = self.get(key, str, "the name of a signal")
        if name is not None and name not in Signals.__members__:
            raise DamagedError(f"{key} of {self.where}: there is no signal {name[:40]!r} here")
        return name

    def text(self, key: str) -> str | None:
        """Return a text that stands there plain, or as bytes."""
        text: str | None = self.get(key, str, "a text")
        in_bytes: str | None = self.get(f"{key}_bytes", str, "a text")
        if in_bytes is None:
            return text
        if text is not None:
            raise DamagedError(f"{self.where} has {key} and {key}_bytes")
        return from_bytes(in_bytes, self.where)

    def texts(self, key: str) -> list[str] | None:
        """Return a list of texts."""
        found: list[str] | None = self.get(key, list, "a list of texts")
        if found is not None and not all(isinstance(word, str) for word in found):
            raise DamagedError(f"{key} of {self.where} is not a list of texts: {str(found)[:40]}")
        return found

    def tables(self, key: str, word: str) -> list[Table]:
        """Return the tables of a list, each with words for where it is."""
        found = self.get(key, list, "a list of tables") or []
        if not all(isinstance(one, dict) for one in found):
            raise DamagedError(f"{key} of {self.where} is not a list of tables")
        inside = "" if self.where == "the head" else f" of {self.where}"
        return [Table(one, f"{word} {n}{inside}") for n, one in enumerate(found, 1)]

    def nothing_else(self) -> None:
        """Raise DamagedError for a key that nobody asked for."""
        unknown = [key for key in self._data if key not in self._known]
        if unknown:
            known = _in_words(self._known)
            raise DamagedError(f"{self.where} has {unknown[0][:40]!r}, which is none of {known}")


def _in_words(known: Collection[str]) -> str:
    return ", ".join(dict.fromkeys(key for key in known if not key.endswith("_bytes")))


def from_bytes(text: str, where: str) -> str:
    """Return the text that bytes stand for, written as Python does."""
    if not _BYTES.fullmatch(text):
        raise DamagedError(f"{where} has bytes that are not written as Python does: {text[:40]}")
    try:
        data: bytes = literal_eval(text)
    except (ValueError, SyntaxError, MemoryError):
        raise DamagedError(f"{where} has bytes that Python does not read: {text[:40]}") from None
    return data.decode("utf-8", "surrogateescape")
