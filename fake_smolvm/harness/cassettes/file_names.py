"""File names for tests: readable, never too long, and never one for two tests.

A name that can be told back from its file's name is kept; any other is cut, and has a short hash of
the whole name behind a `~`, which no kept one has. File systems that take `a` and `A`, or two ways
to write an é, for the same are minded.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LONGEST_BYTES = 255
"""What a file's name may have on any file system that we know of."""
_CUT_AT = 100
_UNFIT = re.compile(r"[^\w.=,+-]+", re.ASCII)
_WORDS = r"[A-Za-z_]\w*"
_CASSETTE = re.compile(rf"{_WORDS}(?:::{_WORDS})*(?:\[(?P<id>[\w.=,+-]*[\w.=,+])\])?", re.ASCII)
_SNAPSHOT = re.compile(rf"{_WORDS}(?:\.{_WORDS})*(?:\[(?P<id>[^\[\]\\/?*:|\"<>~]*)\])?", re.ASCII)


def for_cassette(name: str, node: Any, exists: Callable[[str], bool]) -> str:
    """Return the file name, without `.toml`, for a test called `name` (`TestBox::test_one[a]`).

    `exists` tells whether there is a file of a name in the folder already.
    """
    plain = old_cassette(name)
    return _chosen(name, plain, _CASSETTE.fullmatch(name), node, exists, ".toml")


def for_snapshot(name: str, index: str, node: Any, exists: Callable[[str], bool]) -> str:
    """Return the file name, without `.argv`, for a snapshot of a test (`TestBox.test_one[a]`).

    `index` is what tells it from others of that test: nothing, `.1`, or `[name]`.
    """
    extension = f"{index}.argv"
    fits = re.fullmatch(r"\.\d+|\[[^\[\]\\/?*:|\"<>~]{1,100}\]|", index, re.ASCII)
    if not fits or _is_cased(index):
        index = f"[{_hashed(index)}]"
    return _chosen(name, name, _SNAPSHOT.fullmatch(name), node, exists, extension) + index


def snapshots_of(name: str) -> tuple[str, str]:
    """Return how the names of a test's snapshots can begin, before what `index` adds."""
    return name, _hashed(name)


def old_cassette(name: str) -> str:
    """Return the file name that every test had once: not of its own, if `name` is an odd one."""
    return re.sub(r"[^\w.=,+-]+", "-", name.replace("::", ".")).strip("-")


def is_there(folder: Path, name: str) -> bool:
    """Tell whether a folder has a file of exactly this name, capitals as they are."""
    try:
        return any(entry.name == name for entry in folder.iterdir())
    except OSError:
        return False


def _chosen(  # noqa: PLR0917
    name: str,
    plain: str,
    told_back: re.Match[str] | None,
    node: Any,
    exists: Callable[[str], bool],
    extension: str,
) -> str:
    too_long = len(f"{plain}{extension}".encode(errors="replace")) > LONGEST_BYTES
    if told_back is None or too_long or not (plain.isascii() and plain.isprintable()):
        return _hashed(name)
    cased = _is_cased(told_back["id"] or "") or any(map(_has_twin, _owners(node)))
    # It had its plain name before capitals were minded, and may have it on.
    return _hashed(name) if cased and not exists(f"{plain}{extension}") else plain


def _hashed(name: str) -> str:
    readable = _UNFIT.sub("-", name.replace("::", ".").replace("[", "-", 1)).strip("-")
    digits = blake2b(name.encode(errors="surrogatepass"), digest_size=4).hexdigest()
    return f"{readable[:_CUT_AT]}~{digits}"


def _is_cased(text: str) -> bool:
    return text != text.lower()


def _owners(node: Any) -> Iterator[tuple[Any, str]]:
    """Return what a test is defined in, class by class, and under what name."""
    while getattr(node, "parent", None) is not None:
        yield getattr(node.parent, "obj", None), getattr(node, "originalname", None) or node.name
        node = node.parent


def _has_twin(owner: tuple[Any, str]) -> bool:
    holder, name = owner
    names = getattr(holder, "__dict__", {})
    return sum(isinstance(one, str) and one.lower() == name.lower() for one in list(names)) > 1
