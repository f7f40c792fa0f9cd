"""Allowances that nothing needed: what `smolvm_allows` says, held against what happened.

A marker counts for all that it stands on: a function with all its parameters, a class with those
that inherit from it, a module; one that a hook has added is not judged. It is judged when the last
of those tests is over, if all of them ran and passed, in this process, on a fake that has the
hazard. What the ini file allows is for the whole suite, and not judged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fake_smolvm.harness.known_hazards import UNUSED, known
from fake_smolvm.versions import is_within

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    import pytest
    from _pytest.nodes import Node


@dataclass
class _Group:
    """The tests that one owner's markers are for."""

    name: str
    is_function: bool
    names: dict[str, str] = field(default_factory=dict)
    """What is allowed, and why."""
    left: set[str] = field(default_factory=set)
    """The tests that are still to run."""
    needed: set[str] = field(default_factory=set)
    could_be_seen: bool = False
    is_unsure: bool = False
    incomplete: set[str] = field(default_factory=set)
    """The tests whose last attempt did not come to its end."""


class Allowances:
    """The markers `smolvm_allows` of a run."""

    def __init__(self, items: Sequence[pytest.Item], *, is_partial: bool) -> None:
        """Take the tests that will run; `is_partial` if others are left out."""
        self._groups: dict[Hashable, _Group] = {}
        for item in items:
            for key, owner, mark in _owned(item):
                is_function = owner is item
                name = item.nodeid.partition("[")[0] if is_function else owner.nodeid
                group = self._groups.setdefault(key, _Group(name, is_function))
                group.names |= dict.fromkeys(mark.args, mark.kwargs["reason"])
                group.left.add(item.nodeid)
                is_whole = is_function and not hasattr(item, "callspec")
                group.is_unsure |= is_partial and not is_whole

    def note(self, node: Node, met: Iterable[str], version: str | None) -> None:
        """Note what happened to a fixture of a node; `version` is the fake's, None for no fake."""
        if version is None:
            return
        for group in self._of(node):
            group.could_be_seen = True
            group.needed |= {
                name for name in group.names if name in met or not _is_in(name, version)
            }

    def note_incomplete(self, item: pytest.Item) -> None:
        """Note that a test did not come to its end, so that it might have needed anything."""
        for group in self._of(item):
            group.incomplete.add(item.nodeid)

    def begun(self, item: pytest.Item) -> None:
        """Note that an attempt begins: what became of the one before is over."""
        for group in self._of(item):
            group.incomplete.discard(item.nodeid)

    def ended(self, item: pytest.Item) -> str | None:
        """Return what nothing needed, now that a test is over; None if all is well, or unknown."""
        texts = []
        for group in self._of(item):
            group.left.discard(item.nodeid)
            is_unsure = group.is_unsure or group.incomplete or not group.could_be_seen
            if group.left or is_unsure or UNUSED in group.names:
                continue
            unneeded = group.names.keys() - group.needed
            texts += [
                f"{group.name} allows {name!r} ({group.names[name]}), and nothing needed it"
                for name in group.names
                if name in unneeded
            ]
        return "\n".join(texts) or None

    def _of(self, node: Node) -> list[_Group]:
        keys = dict.fromkeys(key for key, _, _ in _owned(node))
        return [self._groups[key] for key in keys if key in self._groups]


def _owned(node: Node) -> Iterator[tuple[Hashable, Node, pytest.Mark]]:
    """Return the markers of a node, each with its owner and what is the same for all it is on."""
    for owner, mark in node.iter_markers_with_node("smolvm_allows"):
        if is_written(owner, mark):
            yield id(mark), owner, mark
        elif _is_of_a_parameter(owner, mark):
            yield owner.nodeid, owner, mark


def is_written(owner: Any, mark: pytest.Mark) -> bool:
    """Tell whether a marker stands in the source, on its owner or what that inherits from."""
    made_of = getattr(owner, "obj", None)
    for one in getattr(made_of, "__mro__", (made_of,)):
        written = getattr(one, "__dict__", {}).get("pytestmark", ())
        written = written if isinstance(written, list | tuple) else [written]
        if any(mark is getattr(it, "mark", it) for it in written):
            return True
    return False


def _is_of_a_parameter(item: Any, mark: pytest.Mark) -> bool:
    return hasattr(item, "callspec") and any(mark is one for one in item.callspec.marks)


def _is_in(hazard: str, version: str) -> bool:
    about = known().get(hazard, {})
    since, until = about.get("since"), (about.get("until") or "").partition(" ")[0]
    return is_within(version, since, until)
