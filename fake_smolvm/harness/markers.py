"""The markers `smolvm` and `smolvm_allows`: read, and checked wherever they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from fake_smolvm.harness import words
from fake_smolvm.harness.known_hazards import allowances
from fake_smolvm.harness.options import MODES
from fake_smolvm.harness.settings import HOMES, Wish

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from _pytest.nodes import Node

IN_PROCESS = "fake_smolvm"
ON_PATH = "smolvm"
WIDE: Mapping[str, type[pytest.Collector]] = {
    "smolvm_class": pytest.Class,
    "smolvm_module": pytest.Module,
    "smolvm_session": pytest.Session,
}
"""The fixtures that live longer than one test, the narrowest first, and what they live for."""

_USES = {
    "smolvm": 'smolvm takes a mode, ("real"), and cli="1.4.0" and home="keep"',
    "smolvm_allows": 'smolvm_allows takes hazards and a reason: ("H3", reason="...")',
}


class MarkerError(ValueError):
    """A marker that says nothing that could be done."""


class Allowed(NamedTuple):
    """What may happen to a test."""

    reasons: dict[str, str]
    """By hazard, `leak` or `unused`."""
    own: tuple[str, ...] = ()
    """Those that a block of code says for itself."""


def wish_of(node: Node) -> Wish:
    """Return what the `smolvm` markers of a node ask for, the closest before those further out.

    Raises:
        MarkerError: One of them is wrong, or two on one node contradict each other.
    """
    wish = Wish()
    for owner, group in _by_owner(node, "smolvm"):
        here = Wish()
        for mark in group:
            here = _joined(here, _wish(mark), owner)
        wish = Wish(*[new or old for new, old in zip(here, wish, strict=True)])
    return wish


def allowed_in(node: Node, suite: Mapping[str, str]) -> Allowed:
    """Return what a node may walk into: what its `smolvm_allows` markers and the suite say.

    Raises:
        MarkerError: One of the markers is wrong.
    """
    reasons = dict(suite)
    for _, group in _by_owner(node, "smolvm_allows"):
        for mark in group:
            reasons |= dict.fromkeys(_allowance(mark), mark.kwargs["reason"])
    return Allowed(reasons)


def wide_name(names: Sequence[str]) -> str | None:
    """Return the narrowest of our fixtures, among these names, that lives longer than a test."""
    return next((name for name in WIDE if name in names), None)


def complaints(items: Sequence[pytest.Item], mode: str) -> Iterator[tuple[pytest.Item, str]]:
    """Return what is wrong with the markers of tests, each fault once; `mode` is the run's."""
    told = set()
    for item in items:
        marks = [
            (owner, mark) for name in _USES for owner, mark in item.iter_markers_with_node(name)
        ]
        for owner, text in _complaints(item, marks, mode) if marks else ():
            # The tests that one function is parametrized into are told of once.
            where = owner.nodeid.partition("[")[0]
            if (where, text) not in told:
                told.add((where, text))
                yield item, f"{where}: {text}"


def _complaints(
    item: pytest.Item, marks: Sequence[tuple[Node, pytest.Mark]], mode: str
) -> Iterator[tuple[Node, str]]:
    wrong = [(owner, text) for owner, mark in marks if (text := _fault(mark)) is not None]
    yield from wrong
    if wrong:
        return
    try:
        wish = wish_of(item)
    except MarkerError as error:
        yield item, str(error)
        return
    if wish.cli is not None and (wish.mode or mode) == "fake":
        try:
            words.checked_version(wish.cli)
        except ValueError as error:
            yield item, f"@pytest.mark.smolvm(cli={wish.cli!r}): {error}"
    names: Sequence[str] = getattr(item, "fixturenames", ())
    text = not_in_process(wish)
    if text is not None and IN_PROCESS in names and {ON_PATH, *WIDE}.isdisjoint(names):
        yield item, text
    wide = wide_name(names)
    reach = [] if wide is None else (item.getparent(WIDE[wide]) or item).listchain()
    for owner, mark in marks:
        if wide is not None and owner not in reach:
            yield owner, _out_of_reach(mark, wide)


def _fault(mark: pytest.Mark) -> str | None:
    try:
        (_wish if mark.name == "smolvm" else _allowance)(mark)
    except MarkerError as error:
        return str(error)
    return None


def not_in_process(wish: Wish) -> str | None:
    """Return what is wrong with asking `fake_smolvm` for something; None if it can be had."""
    if wish.mode in (None, "fake"):
        return None
    return (
        f'@pytest.mark.smolvm("{wish.mode}") does nothing to `fake_smolvm`, which is always the '
        "fake, in this process: use the fixture `smolvm`"
    )


def _out_of_reach(mark: pytest.Mark, wide: str) -> str:
    where = {
        "smolvm_class": "put it on the class",
        "smolvm_module": "put it on the module (pytestmark)",
        "smolvm_session": "put it into the ini file, or on the command line",
    }[wide]
    return f"{_shown(mark)} comes too late for `{wide}`, which lives longer than this: {where}"


def _by_owner(node: Node, name: str) -> list[tuple[Node, list[pytest.Mark]]]:
    """Return the markers of a name, grouped by the node they stand on, the farthest first."""
    groups: dict[Node, list[pytest.Mark]] = {}
    for owner, mark in node.iter_markers_with_node(name):
        groups.setdefault(owner, []).append(mark)
    return list(reversed(groups.items()))


def _joined(one: Wish, other: Wish, owner: Node) -> Wish:
    for first, second in zip(one, other, strict=True):
        if None not in (first, second) and first != second:
            raise MarkerError(
                f"two markers smolvm of {owner.name} say {second!r} and {first!r}: take one away"
            )
    return Wish(*[first or second for first, second in zip(one, other, strict=True)])


def _wish(mark: pytest.Mark) -> Wish:
    named = dict(mark.kwargs)
    if len(mark.args) > 1 or (mark.args and "mode" in named) or named.keys() - {*Wish._fields}:
        raise MarkerError(f"{_shown(mark)}: {_USES['smolvm']}")
    if mark.args:
        named["mode"] = mark.args[0]
    if not named:
        raise MarkerError(f"{_shown(mark)} says nothing; {_USES['smolvm']}")
    for key, valid in (("mode", MODES), ("home", HOMES)):
        if key in named and named[key] not in valid:
            raise MarkerError(f"{_shown(mark)}: {words.unknown(key, named[key], valid)}")
    cli = named.get("cli", "0")
    if not isinstance(cli, str) or not all(part.isdecimal() for part in cli.split(".")):
        raise MarkerError(f'{_shown(mark)}: cli is a version of smolvm such as "0.8.0"')
    return Wish(**named)


def _allowance(mark: pytest.Mark) -> list[str]:
    reason = mark.kwargs.get("reason")
    is_reason = isinstance(reason, str) and reason.strip()
    if not mark.args or not is_reason or mark.kwargs.keys() != {"reason"}:
        raise MarkerError(f"{_shown(mark)}: {_USES['smolvm_allows']}")
    wrong = [name for name in mark.args if name not in allowances()]
    if wrong:
        told = "; ".join(words.unknown("hazard", name, allowances()) for name in wrong)
        raise MarkerError(f"{_shown(mark)}: {told}")
    return list(mark.args)


def _shown(mark: pytest.Mark) -> str:
    given = [repr(arg) for arg in mark.args]
    given += [f"{name}={value!r}" for name, value in mark.kwargs.items()]
    return f"@pytest.mark.{mark.name}({', '.join(given)})"
