"""Allowances that nothing needed: what `smolvm_allows` says, held against what happened.

A marker counts for all that it stands on: a function with all its parameters, a class, a module. It
is judged when the last of those tests is over, if all of them ran and passed, in this process, on a
fake that has the hazard. What the ini file allows is for the whole suite, and not judged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from fake_smolvm.harness import hazards
from fake_smolvm.harness.reading import number
from fake_smolvm.harness.words import UNUSED

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

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
            group.is_unsure = True

    def ended(self, item: pytest.Item) -> str | None:
        """Return what nothing needed, now that a test is over; None if all is well, or unknown."""
        texts = []
        for group in self._of(item):
            group.left.discard(item.nodeid)
            if group.left or group.is_unsure or not group.could_be_seen or UNUSED in group.names:
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
        key: Hashable = owner.nodeid
        if isinstance(owner, pytest.Item) and not _is_of_a_parameter(owner, mark):
            key = (owner.parent, getattr(owner, "originalname", None) or owner.name)
        yield key, owner, mark


def _is_of_a_parameter(item: Any, mark: pytest.Mark) -> bool:
    return hasattr(item, "callspec") and any(mark is one for one in item.callspec.marks)


def _is_in(hazard: str, version: str) -> bool:
    about = hazards.known().get(hazard, {})
    since, until = about.get("since"), (about.get("until") or "").partition(" ")[0]
    return (not since or number(since) <= number(version)) and (
        not until or number(version) < number(until)
    )
