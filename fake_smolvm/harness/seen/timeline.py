"""Calls as lines of text: when, how long, how it ended, what was typed."""

from __future__ import annotations

from signal import Signals
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fake_smolvm.harness.seen.call import Call

LONGEST_LINE = 160
"""Characters of a command line that are shown."""
_INDENT = 27


def timeline(calls: Iterable[Call]) -> str:
    """Return one aligned line a call, and what it said on stderr below if it failed."""
    text = "\n".join(line for call in calls for line in _lines(call))
    # An argv may hold bytes that are no UTF-8, which pytest-xdist cannot send.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _lines(call: Call) -> list[str]:
    took = "" if call.seconds is None else _duration(call.seconds)
    line = f"{_duration(call.started):>7}  {took:>7}  {ending(call):>7}  {_cut(str(call))}"
    if not call.returncode or not call.stderr:
        return [line]
    said = call.stderr.splitlines()
    reason = next((text for text in said if text.lower().startswith("error")), said[0])
    return [line, " " * _INDENT + _cut(reason)]


def ending(call: Call) -> str:
    """Say in a word or two how a call ended."""
    if call.returncode is None:
        return "no end"
    if call.returncode < 0:
        return Signals(-call.returncode).name
    return "ok" if call.returncode == 0 else f"exit {call.returncode}"


def _cut(text: str) -> str:
    line = text.replace("\n", "\\n")
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.1f}ms" if seconds < 1 else f"{seconds:.1f}s"
