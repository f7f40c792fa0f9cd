"""Durations, as users give them: seconds, `datetime.timedelta`, or smolvm's own text ("1m 30s")."""

from __future__ import annotations

from smolvm_wrapper.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from typing import TypeAlias

    Duration: TypeAlias = float | str | timedelta
    # One that smolvm keeps: a text is its own to judge.
    GuestDuration: TypeAlias = Duration

LONGEST_SECONDS = 10**9
WANTED = f"seconds (0 to {LONGEST_SECONDS}, some 31 years), a timedelta, or a text such as '1m 30s'"

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
_PART = r"([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Zµ]+)\s*"


def as_text(duration: Duration) -> str:
    """Return how smolvm writes this duration; its own text passes, and is its own to judge.

    Raises:
        UsageError: it is no duration.
    """
    if isinstance(duration, str):
        return duration
    nanoseconds = _nanoseconds(duration)
    for unit, size in (("s", 10**9), ("ms", 10**6), ("us", 10**3)):
        if nanoseconds % size == 0:
            return f"{nanoseconds // size}{unit}"
    return f"{nanoseconds}ns"


def as_seconds(duration: Duration) -> float:
    """Return the same in seconds.

    Raises:
        UsageError: it is less than nothing, more than `LONGEST_SECONDS`, or no duration at all.
    """
    return _nanoseconds(duration) / 10**9


def is_duration(given: object) -> bool:
    """Whether this is a duration, and one of a length that makes sense."""
    return _length(given) is not None


def _nanoseconds(duration: Duration) -> int:
    nanoseconds = _length(duration)
    if nanoseconds is None:
        raise UsageError(f"{duration!r} is no duration: {WANTED}")
    return nanoseconds


def _length(given: object) -> int | None:
    """Return nanoseconds; None is no duration."""
    if isinstance(given, str):
        length = _length_of_text(given)
    elif isinstance(given, bool):
        return None
    elif isinstance(given, (int, float)):
        length = round(given * 10**9) if 0 <= given <= LONGEST_SECONDS else None
    else:
        from datetime import timedelta

        if not isinstance(given, timedelta):
            return None
        length = given // timedelta(microseconds=1) * 1000
    return length if length is not None and 0 <= length <= LONGEST_SECONDS * 10**9 else None


def _length_of_text(text: str) -> int | None:
    import re

    if not re.fullmatch(rf"\s*(?:{_PART})+", text, re.ASCII):
        return None
    parts = [(number, _UNITS.get(unit)) for number, unit in re.findall(_PART, text, re.ASCII)]
    if any(size is None for _, size in parts):
        return None
    length = sum(float(number) * (size or 0) for number, size in parts)
    return round(length) if length < float("inf") else None
