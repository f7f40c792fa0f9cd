"""What a test sets up must be met by something: who expects what, and what was met."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Met:
    """Expectations, and the file in which any process notes what was met, one mark a line."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._expected: list[tuple[str, str, list[str]]] = []

    def expect(self, text: str, command: str = "") -> None:
        """Expect one of the marks that follow.

        Args:
            text: What the test wrote.
            command: The command, or family, that has to meet it, if not any.
        """
        self._expected.append((text, command, []))

    def mark(self, mark: str) -> None:
        """Make a mark, if it is met, fulfil the last expectation."""
        self._expected[-1][2].append(mark)

    def note(self, mark: str) -> None:
        """Note that it was met."""
        descriptor = os.open(
            self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            os.write(descriptor, f"{mark}\n".encode())
        finally:
            os.close(descriptor)

    def unmet(self, killed: Iterable[str]) -> list[str]:
        """Return what was expected, and never met.

        Nor could have been by one of the commands in `killed`: how far those came, nobody knows.
        """
        try:
            with open(self.path, encoding="utf-8") as file:
                noted = set(file.read().splitlines())
        except FileNotFoundError:
            noted = set()
        killed = [f"{command} " for command in killed]
        return [
            text
            for text, command, marks in self._expected
            if noted.isdisjoint(marks)
            and not any(not command or one.startswith(f"{command} ") for one in killed)
        ]


def shown(called: str, *positional: object, **named: object) -> str:
    """Return a call as a test writes it, without what is not given."""
    given = [repr(one) for one in positional]
    given += [f"{name}={_shown(value)}" for name, value in named.items() if value is not None]
    return f"{called}({', '.join(given)})"


def _shown(value: Callable[..., object] | Iterable[str] | object) -> str:
    return str(getattr(value, "__name__", None) or repr(value))
