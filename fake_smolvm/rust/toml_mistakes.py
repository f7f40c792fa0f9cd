"""What is wrong with a TOML text, as Rust's toml 0.8 crate words it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypeAlias

    Span: TypeAlias = tuple[int, int]


class MistakeError(Exception):
    """The text is wrong where the reader stands; unless that is final, other readings are tried."""

    def __init__(self, cause: str = "", *, final: bool = False) -> None:
        super().__init__(cause)
        self.cause = cause
        self.final = final
        self.label = ""
        self.expected: list[str] = []

    def message(self) -> str:
        """Return what is wrong, as the crate words it."""
        lines = [f"invalid {self.label}"] if self.label else []
        if self.expected:
            lines.append(f"expected {', '.join(self.expected)}")
        if self.cause:
            lines.append(self.cause)
        return "\n".join(lines)


class Reading:
    """Adds to a mistake, as it passes, what was being read and what could have stood there."""

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


FINAL = Reading(final=True)


class TomlError(Exception):
    """A text is no TOML, or not what was expected of it; `str()` is the crate's whole report."""

    def __init__(self, text: bytes, span: Span, message: str) -> None:
        super().__init__(report(text, span, message))


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
