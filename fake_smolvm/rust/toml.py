"""Where things stand in a TOML text, and what is wrong with it, as Rust's toml 0.8 crate tells.

Loaded only to word a mistake: the values themselves are read by `tomllib`. A mistake is reported
where the crate's parser gives up, which follows from the order in which it tries things and from
what it takes back; the methods below keep to both. Places are offsets into the UTF-8 bytes.
"""

from __future__ import annotations

import tomllib
from functools import partial
from typing import TYPE_CHECKING

from fake_smolvm.rust.toml_mistakes import FINAL, MistakeError, Reading, TomlError
from fake_smolvm.rust.toml_scalars import Scalars
from fake_smolvm.rust.toml_tables import BARE_KEY, Node, Tables, insert

if TYPE_CHECKING:
    from collections.abc import Callable

    from fake_smolvm.rust.toml_mistakes import Span

_RECURSION_LIMIT = 80
_CONTINUES = 0x80
"""The two high bits of a byte that continues a character."""

_KEY = BARE_KEY.encode()
_AFTER_KEY = Reading("", "`.`", "`=`", final=True)
_AFTER_LINE = Reading("", "newline", "`#`", final=True)


def parse(text: bytes) -> Node:
    """Return where everything stands in `text`, which is UTF-8.

    Raises:
        TomlError: If it is not TOML.
    """
    reader = _Reader(text)
    try:
        return reader.document()
    except MistakeError as mistake:
        at = end = reader.at
        while at < len(text) and text[at] & 0xC0 == _CONTINUES:
            at -= 1
        while end < len(text) and (end == at or text[end] & 0xC0 == _CONTINUES):
            end += 1
        raise TomlError(text, (at, end), mistake.message()) from None


class _Reader(Scalars):
    __slots__ = ("depth",)

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.depth = 0

    def document(self) -> Node:
        tables = Tables()
        self.space()
        while self.peek():
            start = self.at
            letter = self.peek()
            if letter == b"#":
                with FINAL:
                    self.comment()
                    self.line_end()
            elif letter == b"[":
                with FINAL:
                    self.header(tables)
            elif letter in (b"\n", b"\r"):
                if not self.maybe(self.newline):
                    self.at = start
                    raise MistakeError
            else:
                with FINAL:
                    self.pair_of_line(tables)
            self.space()
        tables.close()
        return tables.root

    def header(self, tables: Tables) -> None:
        start = self.at
        with Reading("table header"):
            if self.at + 1 == len(self.text):
                raise MistakeError
            several = self.looks_at(b"[[")
            close = b"]]" if several else b"]"
            self.at += len(close)
            path = self.key()
            with Reading("", "`.`", f"`{close.decode()}`"):
                self.take(close)
            end = self.at
            with _AFTER_LINE:
                self.rest_of_line()
            self.applied(start, lambda: tables.open(path, (start, end), several=several))

    def pair_of_line(self, tables: Tables) -> None:
        start = self.at
        path = self.key()
        with _AFTER_KEY:
            self.take(b"=")
        self.space()
        value = self.value()
        with _AFTER_LINE:
            self.rest_of_line()
        self.applied(start, lambda: tables.add(path, value))

    def key(self) -> list[tuple[str, Span]]:
        start = self.at
        path: list[tuple[str, Span]] = []
        with Reading("key"):
            path.append(self.part_of_key())
            while True:
                before = self.at
                if not self.looks_at(b"."):
                    break
                self.at += 1
                try:
                    path.append(self.part_of_key())
                except MistakeError as mistake:
                    if mistake.final:
                        raise
                    self.at = before
                    break
        if len(path) >= _RECURSION_LIMIT:
            self.at = start
            raise MistakeError("recursion limit exceeded")
        return path

    def part_of_key(self) -> tuple[str, Span]:
        self.space()
        start = self.at
        quoted = self.peek() in (b'"', b"'")
        if self.looks_at(b'"'):
            self.basic_string()
        elif quoted:
            self.literal_string()
        else:
            self.run(_KEY, least=1)
        end = self.at
        self.space()
        name = self.text[start:end].decode()
        if quoted:
            name = next(iter(tomllib.loads(f"{name}=0")))
        return name, (start, end)

    def value(self) -> Node:
        start = self.at
        letter = self.peek()
        if letter == b"[":
            return self.nested(self.array)
        if letter == b"{":
            return self.nested(self.inline_table)
        if not letter:
            raise MistakeError
        kind = self.scalar(letter)
        return Node(kind, (start, self.at))

    def nested(self, read: Callable[[], Node]) -> Node:
        self.depth += 1
        if self.depth >= _RECURSION_LIMIT:
            raise MistakeError("recursion limit exceeded", final=True)
        node = read()
        self.depth -= 1
        return node

    def array(self) -> Node:
        node = Node("array")
        start = self.at
        self.at += 1

        def item() -> None:
            self.blank_lines()
            value = self.value()
            self.blank_lines()
            node.items[len(node.items)] = (None, value)

        with FINAL:
            if not self.looks_at(b"]"):
                self.separated(item)
                if node.items:
                    self.maybe(lambda: self.take(b","))
                self.blank_lines()
        with Reading("array", "`]`", final=True):
            self.take(b"]")
        node.span = (start, self.at)
        return node

    def inline_table(self) -> Node:
        node = Node("inline table")
        start = self.at
        self.at += 1
        pairs: list[tuple[list[tuple[str, Span]], Node]] = []

        def pair() -> None:
            path = self.key()
            with _AFTER_KEY:
                self.take(b"=")
            with FINAL:
                self.space()
                value = self.value()
                self.space()
            pairs.append((path, value))

        with FINAL:
            self.separated(pair)
            self.space()
            for path, value in pairs:
                self.applied(start + 1, partial(insert, node, path, value))
        with Reading("inline table", "`}`", final=True):
            self.take(b"}")
        node.span = (start, self.at)
        return node
