"""Durations, as users give them: seconds, `datetime.timedelta`, or smolvm's own text ("1m 30s")."""

from __future__ import annotations

import re
from datetime import timedelta

from smolvm_wrapper.errors import UsageError

Duration = float | str | timedelta

_NANOSECONDS = {
    ("nanos", "nsec", "ns"): 1,
    ("usec", "us", "µs"): 10**3,
    ("millis", "msec", "ms"): 10**6,
    ("seconds", "second", "secs", "sec", "s"): 10**9,
    ("minutes", "minute", "min", "mins", "m"): 60 * 10**9,
    ("hours", "hour", "hrs", "hr", "h"): 3600 * 10**9,
    ("days", "day", "d"): 86_400 * 10**9,
    ("weeks", "week", "wks", "wk", "w"): 604_800 * 10**9,
}
_UNITS = {word: size for words, size in _NANOSECONDS.items() for word in words}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Zµ]+)\s*")
_TEXT = re.compile(rf"\s*(?:{_PART.pattern})+")


def as_text(duration: Duration) -> str:
    """How smolvm writes this duration; its own text passes unchanged, and is its own to judge."""
    if isinstance(duration, str):
        return duration
    nanoseconds = _nanoseconds(duration)
    for unit, size in (("s", 10**9), ("ms", 10**6), ("us", 10**3)):
        if nanoseconds % size == 0:
            return f"{nanoseconds // size}{unit}"
    return f"{nanoseconds}ns"


def as_seconds(duration: Duration) -> float:
    """The same in seconds.

    Raises:
        UsageError: it is less than nothing, endless, or a text that is none of smolvm's.
    """
    return _nanoseconds(duration) / 10**9


def _nanoseconds(duration: Duration) -> int:
    nanoseconds = -1
    if isinstance(duration, timedelta):
        nanoseconds = duration // timedelta(microseconds=1) * 1000
    elif not isinstance(duration, str):
        nanoseconds = round(duration * 10**9) if 0 <= duration < float("inf") else -1
    elif _TEXT.fullmatch(duration):
        parts = [(number, _UNITS.get(unit)) for number, unit in _PART.findall(duration)]
        if all(unit is not None for _, unit in parts):
            nanoseconds = sum(round(float(number) * (unit or 0)) for number, unit in parts)
    if nanoseconds < 0:
        raise UsageError(
            f"{duration!r} is no duration: seconds, a timedelta, or a text such as '1m 30s'"
        )
    return nanoseconds
