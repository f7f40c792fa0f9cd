"""Where things stand in a TOML text, and what is wrong with it, as Rust's toml 0.8 crate tells.

Loaded only to word a mistake: the values themselves are read by `tomllib`. A mistake is reported
where the crate's parser gives up, which follows from the order in which it tries things and from
what it takes back; the methods below keep to both. Places are offsets into the UTF-8 bytes.
"""

from __future__ import annotations

import tomllib
from functools import partial
from typing import TYPE_CHECKING

from fake_smolvm.rust.toml_tables import BARE_KEY, MistakeError, Node, Tables, insert

if TYPE_CHECKING:
    from collections.abc import Callable

    from fake_smolvm.rust.toml_tables import Span

_RECURSION_LIMIT = 80
_MANY_DIGITS = 1000
_CONTINUES = 0x80
"""The two high bits of a byte that continues a character."""

_SPACE = b" \t"
_DIGITS = b"0123456789"
_HEX = _DIGITS + b"abcdefABCDEF"
_KEY = BARE_KEY.encode()
_HIGH = bytes(range(0x80, 0x100))
_PRINTABLE = b"\t" + bytes(range(0x20, 0x7F)) + _HIGH
_BASIC = _PRINTABLE.replace(b'"', b"").replace(b"\\", b"")
_CLOSING = b'"""'
_LITERAL = _PRINTABLE.replace(b"'", b"")


class TomlError(Exception):
    """A text is no TOML, or not what was expected of it; `str()` is the crate's whole report."""

    def __init__(self, text: bytes, span: Span, message: str) -> None:
        super().__init__(report(text, span, message))


def parse(text: bytes) -> Node:
    """Find everything's place; raises TomlError when `text`, which is UTF-8, is not TOML."""
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


class _In:
    """Adds to a mistake what was being read, and what could have stood there."""

    __slots__ = ("expected", "final", "label")

    def __init__(self, label: str = "", *expected: str, final: bool = False) -> None:
        self.label = label
        self.expected = expected
        self.final = final

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, mistake: BaseException | None, __: object) -> None:
        if isinstance(mistake, MistakeError):
            mistake.label = mistake.label or self.label
            mistake.expected += self.expected
            mistake.final = mistake.final or self.final


_FINAL = _In(final=True)
_AFTER_KEY = _In("", "`.`", "`=`", final=True)
_AFTER_LINE = _In("", "newline", "`#`", final=True)
_DIGIT_DUE = _In("", "digit", final=True)
_QUOTE_DUE = _In("string", '`"`', "`'`")


class _Reader:
    __slots__ = ("at", "depth", "text")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.at = 3 if text.startswith(b"\xef\xbb\xbf") else 0
        self.depth = 0

    # What the readers below are made of: each leaves `at` where the crate's parser would.

    def peek(self) -> bytes:
        return self.text[self.at : self.at + 1]

    def looks_at(self, what: bytes) -> bool:
        return self.text.startswith(what, self.at)

    def take(self, what: bytes) -> None:
        if not self.looks_at(what):
            raise MistakeError
        self.at += len(what)

    def one_of(self, letters: bytes) -> int:
        letter = self.peek()
        if not letter or letter not in letters:
            raise MistakeError
        self.at += 1
        return letter[0]

    def run(self, letters: bytes, least: int = 0, most: int | None = None) -> bytes:
        start = end = self.at
        limit = len(self.text) if most is None else min(len(self.text), start + most)
        while end < limit and self.text[end] in letters:
            end += 1
        if end - start < least:
            raise MistakeError
        self.at = end
        return self.text[start:end]

    def maybe(self, read: Callable[[], object]) -> bool:
        """Read something if it is there; otherwise stand where we stood."""
        start = self.at
        try:
            read()
        except MistakeError as mistake:
            if mistake.final:
                raise
            self.at = start
            return False
        return True

    def first_of(self, *readers: Callable[[], str]) -> str:
        start = self.at
        for read in readers[:-1]:
            try:
                return read()
            except MistakeError as mistake:
                if mistake.final:
                    raise
            self.at = start
        return readers[-1]()

    def space(self) -> None:
        self.run(_SPACE)

    def newline(self) -> None:
        if self.looks_at(b"\n"):
            self.at += 1
            return
        if self.peek():
            self.at += 1
            if self.text[self.at - 1 : self.at] == b"\r":
                self.take(b"\n")
                return
        raise MistakeError

    def comment(self) -> None:
        self.take(b"#")
        self.run(_PRINTABLE)

    def line_end(self) -> None:
        if not self.maybe(self.newline) and self.peek():
            raise MistakeError

    def rest_of_line(self) -> None:
        self.space()
        self.maybe(self.comment)
        self.line_end()

    def blank_lines(self) -> None:
        while True:
            self.space()
            if self.looks_at(b"#"):
                self.comment()
                self.newline()
            elif self.peek() in (b"\n", b"\r"):
                self.newline()
            else:
                return

    # The document

    def document(self) -> Node:
        tables = Tables()
        self.space()
        while self.peek():
            start = self.at
            letter = self.peek()
            if letter == b"#":
                with _FINAL:
                    self.comment()
                    self.line_end()
            elif letter == b"[":
                with _FINAL:
                    self.header(tables)
            elif letter in (b"\n", b"\r"):
                if not self.maybe(self.newline):
                    self.at = start
                    raise MistakeError
            else:
                with _FINAL:
                    self.pair_of_line(tables)
            self.space()
        tables.close()
        return tables.root

    def header(self, tables: Tables) -> None:
        start = self.at
        with _In("table header"):
            if self.at + 1 == len(self.text):
                raise MistakeError
            several = self.looks_at(b"[[")
            close = b"]]" if several else b"]"
            self.at += len(close)
            path = self.key()
            with _In("", "`.`", f"`{close.decode()}`"):
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

    def applied(self, start: int, change: Callable[[], None]) -> None:
        """Do what was read; if it cannot be done, the mistake is at its start."""
        try:
            change()
        except MistakeError:
            self.at = start
            raise

    def key(self) -> list[tuple[str, Span]]:
        start = self.at
        path: list[tuple[str, Span]] = []
        with _In("key"):
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

    # Values

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

    def scalar(self, letter: bytes) -> str:
        if letter in b"\"'":
            return self.first_of(
                self.long_basic_string,
                self.basic_string,
                self.long_literal_string,
                self.literal_string,
            )
        if letter in b"+-" + _DIGITS:
            return self.first_of(self.date_time, self.float, self.integer)
        if letter == b"_":
            with _In("", "leading digit"):
                return self.integer()
        if letter == b".":
            with _In("", "leading digit"):
                return self.float()
        with _QUOTE_DUE:
            if letter in b"tf":
                with _FINAL:
                    self.take(b"true" if letter == b"t" else b"false")
                return "boolean"
            if letter in b"in":
                self.take(b"inf" if letter == b"i" else b"nan")
                return "float"
            raise MistakeError

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

        with _FINAL:
            if not self.looks_at(b"]"):
                self.separated(item)
                if node.items:
                    self.maybe(lambda: self.take(b","))
                self.blank_lines()
        with _In("array", "`]`", final=True):
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
            with _FINAL:
                self.space()
                value = self.value()
                self.space()
            pairs.append((path, value))

        with _FINAL:
            self.separated(pair)
            self.space()
            for path, value in pairs:
                self.applied(start + 1, partial(insert, node, path, value))
        with _In("inline table", "`}`", final=True):
            self.take(b"}")
        node.span = (start, self.at)
        return node

    def separated(self, read: Callable[[], None]) -> None:
        """Read any number of things with commas between them; a comma at the end is not taken."""
        if not self.maybe(read):
            return
        while self.looks_at(b","):
            before = self.at
            self.at += 1
            if not self.maybe(read):
                self.at = before
                return

    # Strings

    def basic_string(self) -> str:
        self.one_of(b'"')
        while self.run(_BASIC) or self.maybe(self.escape):
            pass
        with _In("basic string", final=True):
            self.one_of(b'"')
        return "string"

    def escape(self) -> None:
        self.take(b"\\")
        letter = self.peek()
        if not letter:
            raise MistakeError
        self.at += 1
        if letter in b"uU":
            digits = 4 if letter == b"u" else 8
            with _In(f"unicode {digits}-digit hex code", final=True):
                start = self.at
                code = self.run(_HEX, most=digits)
                if len(code) < digits:
                    self.at = start
                    raise MistakeError
                try:
                    chr(int(code, 16)).encode()
                except (ValueError, OverflowError):
                    self.at = start
                    raise MistakeError("value is out of range") from None
        elif letter not in b'bfnrt\\"':
            expected = [f"`{known}`" for known in 'bfnrtuU\\"']
            with _In("escape sequence", *expected, final=True):
                raise MistakeError

    def long_basic_string(self) -> str:
        self.take(b'"""')
        with _In("multiline basic string"):
            self.maybe(self.newline)
            with _FINAL:
                self.long_body(b'"', self.long_basic_content)
                self.take(b'"""')
        return "string"

    def long_basic_content(self) -> None:
        if self.run(_BASIC) or self.maybe(self.line_continuation) or self.maybe(self.escape):
            return
        self.newline()

    def line_continuation(self) -> None:
        self.take(b"\\")
        self.space()
        self.newline()
        while self.run(_SPACE) or self.maybe(self.newline):
            pass

    def long_body(self, quote: bytes, content: Callable[[], object]) -> None:
        """Read up to the closing quotes; one or two may stand inside, or just before them."""
        while True:
            while self.maybe(content):
                pass
            quotes = len(self.run(quote))
            self.at -= quotes
            if quotes >= len(_CLOSING):
                self.at += min(quotes - len(_CLOSING), 2)
                return
            if not quotes or self.at + quotes == len(self.text):
                return
            self.at += quotes
            if not self.maybe(content):
                # Of a basic string the crate keeps these quotes, of a literal one it does not.
                if quote == b"'":
                    self.at -= quotes
                return

    def literal_string(self) -> str:
        with _In("literal string"):
            self.take(b"'")
            with _FINAL:
                self.run(_LITERAL)
                self.take(b"'")
        return "string"

    def long_literal_string(self) -> str:
        self.take(b"'''")
        self.maybe(self.newline)
        with _In("multiline literal string", final=True):
            self.long_body(b"'", self.long_literal_content)
            self.take(b"'''")
        return "string"

    def long_literal_content(self) -> None:
        if not self.run(_LITERAL):
            self.newline()

    # Numbers, dates and times

    def integer(self) -> str:
        for prefix, digits, name in (
            (b"0x", _HEX, "hexadecimal"),
            (b"0o", b"01234567", "octal"),
            (b"0b", b"01", "binary"),
        ):
            if self.looks_at(prefix):
                start = self.at
                with _In(f"{name} integer", final=True):
                    self.at += 2
                    self.grouped_digits(digits)
                self.fits(start, int(self.text[start : self.at], 0))
                return "integer"
        start = self.at
        self.decimal()
        # Python reads no number of more than a few thousand digits; this many fit in no type.
        self.fits(start, int(self.text[start : min(self.at, start + _MANY_DIGITS)]))
        return "integer"

    def fits(self, start: int, number: int) -> None:
        if not -(2**63) <= number < 2**63:
            self.at = start
            size = "large" if number > 0 else "small"
            raise MistakeError(f"number too {size} to fit in target type", final=True)

    def decimal(self) -> None:
        with _In("integer"):
            if self.peek() in (b"+", b"-"):
                self.at += 1
            if self.looks_at(b"0"):
                self.at += 1
            else:
                self.grouped_digits(_DIGITS)

    def grouped_digits(self, digits: bytes) -> None:
        """Digits, with single underscores between them."""
        self.one_of(digits)
        while self.run(digits) or self.looks_at(b"_"):
            if self.looks_at(b"_"):
                self.at += 1
                with _DIGIT_DUE:
                    self.one_of(digits)

    def float(self) -> str:
        with _In("floating-point number"):
            return self.first_of(self.plain_float, self.special_float)

    def plain_float(self) -> str:
        start = self.at
        self.decimal()
        if self.peek() in (b"e", b"E"):
            self.exponent()
        else:
            self.take(b".")
            with _DIGIT_DUE:
                self.grouped_digits(_DIGITS)
            if self.peek() in (b"e", b"E"):
                self.exponent()
        if float(self.text[start : self.at]) == float("inf"):
            self.at = start
            raise MistakeError(final=True)
        return "float"

    def exponent(self) -> None:
        self.at += 1
        if self.peek() in (b"+", b"-"):
            self.at += 1
        with _FINAL:
            self.grouped_digits(_DIGITS)

    def special_float(self) -> str:
        if self.peek() in (b"+", b"-"):
            self.at += 1
        if self.looks_at(b"inf"):
            self.at += 3
        else:
            self.take(b"nan")
        return "float"

    def date_time(self) -> str:
        def dated() -> str:
            with _In("date-time"):
                self.date()
                self.maybe(self.time_after_date)
            return "datetime"

        def timed() -> str:
            with _In("time"):
                self.time()
            return "datetime"

        return self.first_of(dated, timed)

    def date(self) -> None:
        year = int(self.run(_DIGITS, least=4, most=4))
        self.take(b"-")
        with _FINAL:
            month = self.two_digits(1, 12)
            self.take(b"-")
            start = self.at
            day = self.two_digits(1, 31)
            leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
            longest = {2: 29 if leap else 28, 4: 30, 6: 30, 9: 30, 11: 30}.get(month, 31)
            if day > longest:
                self.at = start
                raise MistakeError("value is out of range")

    def time_after_date(self) -> None:
        self.one_of(b"Tt ")
        self.time()
        self.maybe(self.offset)

    def time(self) -> None:
        self.two_digits(0, 23)
        self.take(b":")
        with _FINAL:
            self.two_digits(0, 59)
            self.take(b":")
            self.two_digits(0, 60)
            self.maybe(self.fraction)

    def fraction(self) -> None:
        self.take(b".")
        self.run(_DIGITS, least=1)

    def offset(self) -> None:
        with _In("time offset"):
            if self.peek() in (b"Z", b"z"):
                self.at += 1
                return
            start = self.at
            self.one_of(b"+-")
            with _FINAL:
                hours = self.two_digits(0, 23)
                self.take(b":")
                minutes = self.two_digits(0, 59)
            if hours * 60 + minutes > 24 * 60:
                self.at = start
                raise MistakeError

    def two_digits(self, least: int, most: int) -> int:
        start = self.at
        number = int(self.run(_DIGITS, least=2, most=2))
        if not least <= number <= most:
            self.at = start
            raise MistakeError("value is out of range")
        return number


def report(text: bytes, span: Span, message: str) -> str:
    """Word a mistake as the crate does: its place, the line, a mark below it, the message."""
    start, end = span
    inside = min(start, len(text) - 1)
    line_start = text.rfind(b"\n", 0, inside) + 1 if text else 0
    number = text.count(b"\n", 0, line_start) + 1
    column = start - inside
    if text:
        try:
            column += len(text[line_start : inside + 1].decode()) - 1
        except UnicodeDecodeError:
            column += inside - line_start
    line = text[line_start:].split(b"\n")[0]
    width = max(1, min(end - start, len(line) - column))
    gutter = " " * (len(str(number)) + 1)
    return (
        f"TOML parse error at line {number}, column {column + 1}\n{gutter}|\n"
        f"{number} | {line.decode()}\n{gutter}| {' ' * column}{'^' * width}\n{message}\n"
    )
