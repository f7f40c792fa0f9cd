"""A place in a TOML text, and what moves it: each leaves it where Rust's toml 0.8 crate would."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fake_smolvm.rust.toml_mistakes import MistakeError

if TYPE_CHECKING:
    from collections.abc import Callable

SPACE = b" \t"
DIGITS = b"0123456789"
PRINTABLE = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))


class Cursor:
    """A place in a text.

    What does not find what it is to read raises MistakeError; where it stands then is part of the
    mistake.
    """

    __slots__ = ("at", "text")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.at = 3 if text.startswith(b"\xef\xbb\xbf") else 0

    def peek(self) -> bytes:
        """Return the byte that is next; nothing at the end."""
        return self.text[self.at : self.at + 1]

    def looks_at(self, what: bytes) -> bool:
        """Tell whether `what` is next."""
        return self.text.startswith(what, self.at)

    def take(self, what: bytes) -> None:
        """Read `what`."""
        if not self.looks_at(what):
            raise MistakeError
        self.at += len(what)

    def one_of(self, letters: bytes) -> int:
        """Read one of `letters`, and return it."""
        letter = self.peek()
        if not letter or letter not in letters:
            raise MistakeError
        self.at += 1
        return letter[0]

    def run(self, letters: bytes, least: int = 0, most: int | None = None) -> bytes:
        """Read as many of `letters` as there are, at least and at most so many; return them."""
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
        """Read the first of several things that is there; return what its reader returns."""
        start = self.at
        for read in readers[:-1]:
            try:
                return read()
            except MistakeError as mistake:
                if mistake.final:
                    raise
            self.at = start
        return readers[-1]()

    def applied(self, start: int, change: Callable[[], None]) -> None:
        """Do what was read; if it cannot be done, the mistake is at its start."""
        try:
            change()
        except MistakeError:
            self.at = start
            raise

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

    def space(self) -> None:
        """Read spaces and tabs."""
        self.run(SPACE)

    def newline(self) -> None:
        """Read the end of a line."""
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
        """Read a comment."""
        self.take(b"#")
        self.run(PRINTABLE)

    def line_end(self) -> None:
        """Read the end of a line, or of the text."""
        if not self.maybe(self.newline) and self.peek():
            raise MistakeError

    def rest_of_line(self) -> None:
        """Read what may stand behind a header or a pair."""
        self.space()
        self.maybe(self.comment)
        self.line_end()

    def blank_lines(self) -> None:
        """Read lines that are empty or hold a comment only."""
        while True:
            self.space()
            if self.looks_at(b"#"):
                self.comment()
                self.newline()
            elif self.peek() in (b"\n", b"\r"):
                self.newline()
            else:
                return
