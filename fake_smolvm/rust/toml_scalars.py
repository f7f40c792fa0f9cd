"""TOML's strings, numbers, dates and times, as Rust's toml 0.8 crate reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fake_smolvm.rust.toml_cursor import DIGITS, PRINTABLE, SPACE, Cursor
from fake_smolvm.rust.toml_mistakes import FINAL, MistakeError, Reading

if TYPE_CHECKING:
    from collections.abc import Callable

_MANY_DIGITS = 1000
_HEX = DIGITS + b"abcdefABCDEF"
_BASIC = PRINTABLE.replace(b'"', b"").replace(b"\\", b"")
_LITERAL = PRINTABLE.replace(b"'", b"")
_CLOSING = b'"""'

_DIGIT_DUE = Reading("", "digit", final=True)
_QUOTE_DUE = Reading("string", '`"`', "`'`")


class Scalars(Cursor):
    """Reads what holds no other values."""

    __slots__ = ()

    def scalar(self, letter: bytes) -> str:
        """Read a value that begins with `letter` and holds no others; return its kind."""
        if letter in b"\"'":
            return self.first_of(
                self._long_basic_string,
                self.basic_string,
                self._long_literal_string,
                self.literal_string,
            )
        if letter in b"+-" + DIGITS:
            return self.first_of(self._date_time, self._float, self._integer)
        if letter == b"_":
            with Reading("", "leading digit"):
                return self._integer()
        if letter == b".":
            with Reading("", "leading digit"):
                return self._float()
        with _QUOTE_DUE:
            if letter in b"tf":
                with FINAL:
                    self.take(b"true" if letter == b"t" else b"false")
                return "boolean"
            if letter in b"in":
                self.take(b"inf" if letter == b"i" else b"nan")
                return "float"
            raise MistakeError

    # Strings

    def basic_string(self) -> str:
        """Read a string in double quotes, on one line."""
        self.one_of(b'"')
        while self.run(_BASIC) or self.maybe(self._escape):
            pass
        with Reading("basic string", final=True):
            self.one_of(b'"')
        return "string"

    def _escape(self) -> None:
        self.take(b"\\")
        letter = self.peek()
        if not letter:
            raise MistakeError
        self.at += 1
        if letter in b"uU":
            digits = 4 if letter == b"u" else 8
            with Reading(f"unicode {digits}-digit hex code", final=True):
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
            with Reading("escape sequence", *expected, final=True):
                raise MistakeError

    def _long_basic_string(self) -> str:
        self.take(b'"""')
        with Reading("multiline basic string"):
            self.maybe(self.newline)
            with FINAL:
                self._long_body(b'"', self._long_basic_content)
                self.take(b'"""')
        return "string"

    def _long_basic_content(self) -> None:
        if self.run(_BASIC) or self.maybe(self._line_continuation) or self.maybe(self._escape):
            return
        self.newline()

    def _line_continuation(self) -> None:
        self.take(b"\\")
        self.space()
        self.newline()
        while self.run(SPACE) or self.maybe(self.newline):
            pass

    def _long_body(self, quote: bytes, content: Callable[[], object]) -> None:
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
        """Read a string in single quotes, on one line."""
        with Reading("literal string"):
            self.take(b"'")
            with FINAL:
                self.run(_LITERAL)
                self.take(b"'")
        return "string"

    def _long_literal_string(self) -> str:
        self.take(b"'''")
        self.maybe(self.newline)
        with Reading("multiline literal string", final=True):
            self._long_body(b"'", self._long_literal_content)
            self.take(b"'''")
        return "string"

    def _long_literal_content(self) -> None:
        if not self.run(_LITERAL):
            self.newline()

    # Numbers, dates and times

    def _integer(self) -> str:
        for prefix, digits, name in (
            (b"0x", _HEX, "hexadecimal"),
            (b"0o", b"01234567", "octal"),
            (b"0b", b"01", "binary"),
        ):
            if self.looks_at(prefix):
                start = self.at
                with Reading(f"{name} integer", final=True):
                    self.at += 2
                    self._grouped_digits(digits)
                self._fits(start, int(self.text[start : self.at], 0))
                return "integer"
        start = self.at
        self._decimal()
        # Python reads no number of more than a few thousand digits; this many fit in no type.
        self._fits(start, int(self.text[start : min(self.at, start + _MANY_DIGITS)]))
        return "integer"

    def _fits(self, start: int, number: int) -> None:
        if not -(2**63) <= number < 2**63:
            self.at = start
            size = "large" if number > 0 else "small"
            raise MistakeError(f"number too {size} to fit in target type", final=True)

    def _decimal(self) -> None:
        with Reading("integer"):
            if self.peek() in (b"+", b"-"):
                self.at += 1
            if self.looks_at(b"0"):
                self.at += 1
            else:
                self._grouped_digits(DIGITS)

    def _grouped_digits(self, digits: bytes) -> None:
        """Digits, with single underscores between them."""
        self.one_of(digits)
        while self.run(digits) or self.looks_at(b"_"):
            if self.looks_at(b"_"):
                self.at += 1
                with _DIGIT_DUE:
                    self.one_of(digits)

    def _float(self) -> str:
        with Reading("floating-point number"):
            return self.first_of(self._plain_float, self._special_float)

    def _plain_float(self) -> str:
        start = self.at
        self._decimal()
        if self.peek() in (b"e", b"E"):
            self._exponent()
        else:
            self.take(b".")
            with _DIGIT_DUE:
                self._grouped_digits(DIGITS)
            if self.peek() in (b"e", b"E"):
                self._exponent()
        if float(self.text[start : self.at]) == float("inf"):
            self.at = start
            raise MistakeError(final=True)
        return "float"

    def _exponent(self) -> None:
        self.at += 1
        if self.peek() in (b"+", b"-"):
            self.at += 1
        with FINAL:
            self._grouped_digits(DIGITS)

    def _special_float(self) -> str:
        if self.peek() in (b"+", b"-"):
            self.at += 1
        if self.looks_at(b"inf"):
            self.at += 3
        else:
            self.take(b"nan")
        return "float"

    def _date_time(self) -> str:
        def dated() -> str:
            with Reading("date-time"):
                self._date()
                self.maybe(self._time_after_date)
            return "datetime"

        def timed() -> str:
            with Reading("time"):
                self._time()
            return "datetime"

        return self.first_of(dated, timed)

    def _date(self) -> None:
        year = int(self.run(DIGITS, least=4, most=4))
        self.take(b"-")
        with FINAL:
            month = self._two_digits(1, 12)
            self.take(b"-")
            start = self.at
            day = self._two_digits(1, 31)
            leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
            longest = {2: 29 if leap else 28, 4: 30, 6: 30, 9: 30, 11: 30}.get(month, 31)
            if day > longest:
                self.at = start
                raise MistakeError("value is out of range")

    def _time_after_date(self) -> None:
        self.one_of(b"Tt ")
        self._time()
        self.maybe(self._offset)

    def _time(self) -> None:
        self._two_digits(0, 23)
        self.take(b":")
        with FINAL:
            self._two_digits(0, 59)
            self.take(b":")
            self._two_digits(0, 60)
            self.maybe(self._fraction)

    def _fraction(self) -> None:
        self.take(b".")
        self.run(DIGITS, least=1)

    def _offset(self) -> None:
        with Reading("time offset"):
            if self.peek() in (b"Z", b"z"):
                self.at += 1
                return
            start = self.at
            self.one_of(b"+-")
            with FINAL:
                hours = self._two_digits(0, 23)
                self.take(b":")
                minutes = self._two_digits(0, 59)
            if hours * 60 + minutes > 24 * 60:
                self.at = start
                raise MistakeError

    def _two_digits(self, least: int, most: int) -> int:
        start = self.at
        number = int(self.run(DIGITS, least=2, most=2))
        if not least <= number <= most:
            self.at = start
            raise MistakeError("value is out of range")
        return number
