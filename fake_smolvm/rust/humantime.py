"""Durations as the humantime crate 2.4 reads them, mistakes included."""

from __future__ import annotations

from fake_smolvm.rust.std import WHITE_SPACE

_U64 = 2**64 - 1
_SECOND = 10**9
_TOO_LARGE = (
    "number is too large or cannot be represented without a lack of precision "
    "(values below 1ns are not supported)"
)
_UNITS = {
    1: ("nanos", "nsec", "ns"),
    10**3: ("usec", "us", "\u00b5s"),
    10**6: ("millis", "msec", "ms"),
    _SECOND: ("seconds", "second", "secs", "sec", "s"),
    60 * _SECOND: ("minutes", "minute", "min", "mins", "m"),
    3600 * _SECOND: ("hours", "hour", "hr", "hrs", "h"),
    86_400 * _SECOND: ("days", "day", "d"),
    604_800 * _SECOND: ("weeks", "week", "wk", "wks", "w"),
    2_630_016 * _SECOND: ("months", "month", "M"),
    31_557_600 * _SECOND: ("years", "year", "yr", "yrs", "y"),
}
_NANOSECONDS = {name: unit for unit, names in _UNITS.items() for name in names}


def nanoseconds(text: str) -> int:
    """Read a duration such as `1h 30m` or `1.5s`.

    Raises:
        ValueError: For what is none, with the crate's text.
    """
    total = 0
    at = 0
    end = len(text)
    while True:
        # A mistake here is told of at the spaces before it.
        before = at
        while at < end and _is_space(text[at]):
            at += 1
        if at == end:
            if text.strip(WHITE_SPACE):
                return total
            raise ValueError("value was empty")
        if not _is_digit(text[at]):
            raise ValueError(f"expected number at {_offset(text, before)}")
        number, at = _whole(text, at)
        fraction: tuple[int, int] | None = None
        if at < end and text[at] == ".":
            fraction, at = _fraction(text, at)
        start = at
        while at < end and _is_letter(text[at]):
            at += 1
        if at < end and not _is_digit(text[at]) and not _is_space(text[at]):
            raise ValueError(f"invalid character at {_offset(text, at)}")
        total = _added(total, number, fraction, text[start:at])
        if at < end and _is_space(text[at]):
            at += 1


def _whole(text: str, at: int) -> tuple[int, int]:
    """Read digits, spaces between them allowed; return the number and where it ends."""
    number = 0
    while at < len(text) and (_is_digit(text[at]) or _is_space(text[at])):
        if _is_digit(text[at]):
            number = number * 10 + int(text[at])
            if number > _U64:
                raise ValueError(_TOO_LARGE)
        at += 1
    return number, at


def _fraction(text: str, at: int) -> tuple[tuple[int, int], int]:
    """Read what follows a number from its point on; return the fraction and the end."""
    last = at
    at += 1
    numerator, denominator = 0, 1
    while at < len(text) and not _is_letter(text[at]):
        if _is_digit(text[at]):
            denominator *= 10
            numerator = numerator * 10 + int(text[at])
            if max(numerator, denominator) > _U64:
                raise ValueError(_TOO_LARGE)
        elif not _is_space(text[at]):
            raise ValueError(f"invalid character at {_offset(text, last)}")
        at += 1
        last = at
    if denominator == 1:
        raise ValueError(f"invalid character at {_offset(text, last)}")
    return (numerator, denominator), at


def _added(total: int, number: int, fraction: tuple[int, int] | None, name: str) -> int:
    """Add a number of units to a total, all in nanoseconds."""
    unit = _NANOSECONDS.get(name)
    if unit is None:
        if not name:
            raise ValueError(f"time unit needed, for example {number}sec or {number}ms")
        raise ValueError(
            f'unknown time unit "{name}", supported units: ns, us/\u00b5s, ms, sec, min, hours, '
            "days, weeks, months, years (and few variations)"
        )
    # humantime counts units in seconds, those below one in nanoseconds, in 64 bits either way.
    counted = number * unit // _SECOND if unit >= _SECOND else number * unit + total % _SECOND
    total += number * unit
    if fraction is not None:
        numerator, denominator = fraction
        finest = _SECOND if unit >= 3600 * _SECOND else 1
        scaled = numerator * (unit // finest)
        if unit == 1 or scaled > _U64 or scaled % denominator:
            raise ValueError(_TOO_LARGE)
        total += scaled // denominator * finest
    if counted > _U64 or total // _SECOND > _U64:
        raise ValueError(_TOO_LARGE)
    return total


def _is_space(letter: str) -> bool:
    return letter in WHITE_SPACE


def _is_digit(letter: str) -> bool:
    return "0" <= letter <= "9"


def _is_letter(letter: str) -> bool:
    return "a" <= letter <= "z" or "A" <= letter <= "Z" or letter == "\u00b5"


def _offset(text: str, at: int) -> int:
    return len(text[:at].encode())
