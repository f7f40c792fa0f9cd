"""Random text that this process has drawn: what a name may stand for, and a constant may not.

Whether `1a2b3c4d` is random cannot be seen. While a test of ours runs, what is drawn from the
operating system (`uuid.uuid4`, `secrets.token_hex`, …) and from `tempfile` is noted, and only that
is found again in its command lines. Draws of another process, of a seeded generator (`random`) and
from before the test are not known here: `smolvm.name_value` names those.
"""

from __future__ import annotations

import os
import random
import re
import tempfile
from base64 import urlsafe_b64encode
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORTEST = 8
"""Characters of random text that are recognised; fewer could stand there by chance."""
_MOST_DRAWS = 20_000
_MOST_SEARCHED = 1 << 20
"""Characters of a text that are looked through."""
_UUID_BYTES = 16
_LONGEST_BYTES = 64
"""More at once is a key or a file's content, no part of a name."""
_RANDOM_RUN = re.compile(rf"[0-9A-Za-z_-]{{{SHORTEST},}}")


class Drawn:
    """What has been drawn, the latest of it."""

    def __init__(self) -> None:
        self._index: dict[str, dict[str, str]] = {}
        """By its first characters: a text, and what kind it is."""
        self._in_order: deque[str] = deque()

    def add_bytes(self, data: bytes) -> None:
        """Note bytes, in the forms that they are usually written in."""
        if not SHORTEST // 2 <= len(data) <= _LONGEST_BYTES:
            return
        self._add(data.hex(), "HEX")
        self._add(urlsafe_b64encode(data).rstrip(b"=").decode(), "TOKEN")
        if len(data) == _UUID_BYTES:
            made = UUID(bytes=data, version=4)
            self._add(str(made), "UUID")
            self._add(made.hex, "HEX")
            self._add(made.hex[20:], "HEX")

    def add_name(self, name: str) -> None:
        """Note the random part of a temporary file's name."""
        self._add(name, "RANDOM")

    def find(self, text: str) -> Iterator[tuple[str, str]]:
        """Return the kind and the text of each drawn value that stands in `text`.

        Of a UUID or of hexadecimal digits the first eight or more are enough.
        """
        if not self._index:
            return
        for run in _RANDOM_RUN.finditer(text[:_MOST_SEARCHED]):
            rest = run[0]
            while len(rest) >= SHORTEST:
                kind, length = self._at_start(rest)
                if kind:
                    yield kind, rest[:length]
                rest = rest[length or 1 :]

    def _at_start(self, text: str) -> tuple[str, int]:
        longest, kind_of_it = 0, ""
        start = text[:SHORTEST]
        for cased in (str, str.lower):
            for known, kind in self._index.get(cased(start), {}).items():
                length = _in_common(known, cased(text))
                whole = length == len(known)
                if kind == "UUID" and not whole:
                    kind, length = "HEX", len(text[:length].rstrip("-"))  # noqa: PLW2901
                if length > longest and (whole or kind == "HEX") and (cased is str or kind in _HEX):
                    longest, kind_of_it = length, kind
        if kind_of_it in ("HEX", "TOKEN"):
            kind_of_it += str(longest)
        return kind_of_it, longest

    def _add(self, text: str, kind: str) -> None:
        if len(text) < SHORTEST:
            return
        self._index.setdefault(text[:SHORTEST], {})[text] = kind
        self._in_order.append(text)
        if len(self._in_order) > _MOST_DRAWS:
            old = self._in_order.popleft()
            known = self._index.get(old[:SHORTEST], {})
            known.pop(old, None)
            if not known:
                self._index.pop(old[:SHORTEST], None)


def _in_common(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    differing = (index for index, (left, right) in enumerate(pairs) if left != right)
    return next(differing, min(len(one), len(other)))


_HEX = ("HEX", "UUID")
"""Kinds that mean the same in capitals."""

drawn = Drawn()
"""What this process has drawn while a test of ours ran."""


class _Watch:
    """The hooks, put in by the first who asks and taken out by the last."""

    users = 0
    undo: list[tuple[Any, str, Any]] = []  # noqa: RUF012  there is one watch a process


@contextmanager
def watched() -> Iterator[Drawn]:
    """Note what is drawn in the meantime."""
    if not _Watch.users:
        _hook()
    _Watch.users += 1
    try:
        yield drawn
    finally:
        _Watch.users -= 1
        if not _Watch.users:
            while _Watch.undo:
                owner, name, was = _Watch.undo.pop()
                setattr(owner, name, was)


def _hook() -> None:
    # `uuid` asks `os` itself; `secrets` asks what `random` took from it at import. Where a later
    # Python calls them otherwise, less is recognised and nothing breaks.
    for owner, name in ((os, "urandom"), (random, "_urandom")):
        _replace(owner, name, drawn.add_bytes)
    _replace(getattr(tempfile, "_RandomNameSequence", None), "__next__", drawn.add_name)


def _replace(owner: Any, name: str, note: Any) -> None:
    was = getattr(owner, name, None)
    if was is None:
        return

    def noted(*arguments: Any) -> Any:
        made = was(*arguments)
        note(made)
        return made

    setattr(owner, name, noted)
    _Watch.undo.append((owner, name, was))
