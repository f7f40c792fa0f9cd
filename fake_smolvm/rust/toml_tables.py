"""The tables of a TOML document, as its headers and pairs make them: Rust's toml_edit crate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fake_smolvm.rust.toml_mistakes import MistakeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fake_smolvm.rust.toml_mistakes import Span

BARE_KEY = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"


class Node:
    """A value in the text; `span` is None for a table that only the keys below it speak of."""

    __slots__ = ("dotted", "implicit", "items", "kind", "span")

    def __init__(self, kind: str, span: Span | None = None) -> None:
        self.kind = kind
        """"string", "integer", "float", "boolean", "datetime", "array", "inline table", "table"
        or "array of tables"."""
        self.span = span
        self.items: dict[str | int, tuple[Span | None, Node]] = {}
        """Of a table, by key: the key's place and the value. Of an array, by index."""
        self.implicit = False
        self.dotted = False


class Tables:
    """The tables of a document, as its headers and pairs make them."""

    __slots__ = ("_current", "_path", "_several", "root")

    def __init__(self) -> None:
        self.root = Node("table")
        self._current = Node("table", (0, 0))
        self._path: list[tuple[str, Span]] = []
        self._several = False

    def add(self, path: Sequence[tuple[str, Span]], value: Node) -> None:
        """Take a pair of the table that is open."""
        current = self._current
        if current.span is not None and value.span is not None:
            current.span = (current.span[0], value.span[1])
        place = ".".join([name for name, _ in self._path])
        insert(current, path, value, f" in {f'table `{place}`' if place else 'document root'}")

    def open(self, path: list[tuple[str, Span]], span: Span, *, several: bool) -> None:
        """Open the table of a header, of `[[…]]` if there may be several."""
        self.close()
        self._current = Node("table")
        parent = descend(self.root, path[:-1], dotted=False)
        name, place = path[-1]
        known = parent.items.get(name)
        if several:
            if known is None:
                known = parent.items[name] = (place, Node("array of tables"))
            if known[1].kind != "array of tables":
                raise _duplicate(path)
        elif known is not None:
            if known[1].kind != "table" or not known[1].implicit or known[1].dotted:
                raise _duplicate(path)
            self._current = known[1]
            del parent.items[name]
        self._current.implicit = self._current.dotted = False
        self._current.span = span
        self._several = several
        self._path = path

    def close(self) -> None:
        """Put the table that was being filled where it belongs."""
        table, path = self._current, self._path
        if not path:
            self.root = table
            return
        parent = descend(self.root, path[:-1], dotted=False)
        name, place = path[-1]
        if self._several:
            several = parent.items[name][1]
            several.items[len(several.items)] = (None, table)
            first = several.items[0][1].span
            several.span = (
                None if first is None or table.span is None else (first[0], table.span[1])
            )
        elif name in parent.items:
            # `[a.b]` came before `[a]`: what is there is the table that `[a.b]` made.
            raise _duplicate(path)
        else:
            parent.items[name] = (place, table)


def insert(table: Node, path: Sequence[tuple[str, Span]], value: Node, where: str = "") -> None:
    """Put a value where a dotted key says.

    Raises:
        MistakeError: For a key that is there already.
    """
    *parents, (name, span) = path
    into = descend(table, parents, dotted=True)
    if into.dotted == (not parents):
        raise MistakeError(f"duplicate key `{name}`")
    if name in into.items:
        raise MistakeError(f"duplicate key `{name}`{where}")
    into.items[name] = (span, value)


def descend(table: Node, path: Sequence[tuple[str, Span]], *, dotted: bool) -> Node:
    """Return the table at a path, made where it is not there.

    Raises:
        MistakeError: For what is no table, or is closed.
    """
    for depth, (name, span) in enumerate(path):
        known = table.items.get(name)
        if known is None:
            known = (span, Node(table.kind))
            known[1].implicit = True
            known[1].dotted = dotted
            table.items[name] = known
        child = known[1]
        if child.kind == "array of tables":
            child = child.items[len(child.items) - 1][1]
        elif child.kind not in ("table", "inline table") or child.kind != table.kind:
            names = ".".join([part for part, _ in path[: depth + 1]])
            raise MistakeError(
                f"dotted key `{names}` attempted to extend non-table type ({child.kind})"
            )
        elif dotted and not child.implicit:
            raise MistakeError(f"duplicate key `{name}`")
        table = child
    return table


def _duplicate(path: Sequence[tuple[str, Span]]) -> MistakeError:
    *parents, (name, _) = path
    place = ".".join([part for part, _ in parents])
    shown = name if name and set(name) <= set(BARE_KEY) else f'"{name}"'
    return MistakeError(
        f"duplicate key `{shown}` in {f'table `{place}`' if place else 'document root'}"
    )
