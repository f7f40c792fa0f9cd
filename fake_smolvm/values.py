"""smolvm's own value types: from the text of an option to its value.

Each raises ValueError with smolvm's reason. Observed: 0.8.0, argv.jsonl; 1.4.0 reads them alike.
"""

from __future__ import annotations

from fake_smolvm.clap.integers import from_str

_U16 = 2**16 - 1
_U32 = 2**32 - 1
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
_BYTES = {
    name: 1024**power
    for power, names in enumerate(
        (
            ("", "b"),
            ("k", "ki", "kib", "kb"),
            ("m", "mi", "mib", "mb"),
            ("g", "gi", "gib", "gb"),
            ("t", "ti", "tib", "tb"),
        )
    )
    for name in names
}
_NANOSECONDS = {name: unit for unit, names in _UNITS.items() for name in names}


def duration(text: str) -> int:
    """Read a duration as the humantime crate does (`1h 30m`, `1.5s`); give nanoseconds, above 0."""
    nanoseconds = 0 if text == "0" else _humantime(text)
    if nanoseconds == 0:
        raise ValueError("timeout must be greater than 0 (e.g., 5sec, 30s)")
    return nanoseconds


def port_mapping(text: str) -> tuple[int, int]:
    """Read `HOST:GUEST` or `PORT`; give the host's and the guest's port, 1 to 65535."""
    host, colon, guest = text.partition(":")
    if not colon:
        port = _port(text, "port")
        return port, port
    return _port(host, "host port"), _port(guest, "guest port")


def cidr(text: str) -> str:
    """Read an IPv4 or IPv6 network or address; give the network, host bits kept (`1.1.1.1/32`)."""
    network = _network(text) or _address(text)
    if network is None:
        raise ValueError(f"invalid CIDR '{text}': expected format like 10.0.0.0/8 or 1.1.1.1")
    return network


def gpu_vram_mib(text: str) -> int:
    """Read the size of a GPU's memory; give MiB, above 0."""
    try:
        size = from_str(text, 0, _U32)
    except ValueError:
        raise ValueError(f"'{text}' is not a valid MiB value") from None
    if size == 0:
        raise ValueError(
            "--gpu-vram must be a positive number of MiB; "
            "use a value >= 1 or omit the flag to get the default"
        )
    return size


def image(text: str) -> str:
    """Read the name of an image, any that is not blank (1.4.0)."""
    if not text.strip(_SPACES):
        raise ValueError("image reference must not be empty")
    return text


def byte_size(text: str) -> int:
    """Read a size like `16GiB`, `512M` or `1.5k`, all binary; give bytes, above 0 (1.4.0)."""
    trimmed = text.strip(_SPACES)
    if not trimmed:
        raise ValueError("size must not be empty")
    unit = trimmed.lstrip("0123456789.")
    number = trimmed[: len(trimmed) - len(unit)]
    if number.count(".") > 1 or not number.strip("."):
        raise ValueError(f"'{text}' is not a valid size (expected a number, optional K/M/G/T)")
    unit = _ascii_lower(unit.strip(_SPACES))
    factor = _BYTES.get(unit)
    if factor is None:
        raise ValueError(f"invalid size unit '{unit}' in '{text}' (use K, M, G, or T)")
    size = min(int(min(float(number) * factor, 2.0**64)), _U64)
    if size == 0:
        raise ValueError(f"size '{text}' must be greater than zero")
    return size


def ipv4(text: str) -> str:
    """Read an IPv4 address (1.4.0)."""
    if _four(text, leading_zeros=False) is None:
        raise ValueError("invalid IPv4 address syntax")
    return text


def is_at_most(digits: str, highest: int) -> bool:
    """Tell whether ASCII digits, however many, are a number no larger than `highest`."""
    return _is_at_most(digits.lstrip("0") or "0", highest)


def _ascii_lower(text: str) -> str:
    return "".join([letter.lower() if letter.isascii() else letter for letter in text])


def _port(text: str, what: str) -> int:
    try:
        port = from_str(text, 0, _U16)
    except ValueError:
        raise ValueError(f"invalid {what}: {text}") from None
    if port == 0:
        raise ValueError(f"{what} 0 is not valid for VM port forwarding")
    return port


def _humantime(text: str) -> int:
    """Read a duration as humantime 2.4 does, mistakes included; give nanoseconds."""
    total = 0
    at = 0
    end = len(text)
    while True:
        # A mistake here is told of at the spaces before it.
        before = at
        while at < end and _is_space(text[at]):
            at += 1
        if at == end:
            if text.strip(_SPACES):
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
    """Read digits, spaces between them allowed; give the number and where it ends."""
    number = 0
    while at < len(text) and (_is_digit(text[at]) or _is_space(text[at])):
        if _is_digit(text[at]):
            number = number * 10 + int(text[at])
            if number > _U64:
                raise ValueError(_TOO_LARGE)
        at += 1
    return number, at


def _fraction(text: str, at: int) -> tuple[tuple[int, int], int]:
    """Read what follows a number from its point on; give numerator and denominator, and the end."""
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


_SPACES = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
    "\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""What Rust calls white space; Python has four more."""


def _is_space(letter: str) -> bool:
    return letter in _SPACES


def _is_digit(letter: str) -> bool:
    return "0" <= letter <= "9"


def _is_letter(letter: str) -> bool:
    return "a" <= letter <= "z" or "A" <= letter <= "Z" or letter == "\u00b5"


def _offset(text: str, at: int) -> int:
    return len(text[:at].encode())


def _network(text: str) -> str | None:
    """Read `ADDRESS/PREFIX` as the ipnet crate does."""
    address, slash, prefix = text.partition("/")
    if not slash or not prefix.isascii() or not prefix.isdigit():
        return None
    four = _four(address, leading_zeros=True)
    if four is not None:
        return f"{_shown_four(four)}/{int(prefix)}" if _is_at_most(prefix, 32) else None
    six = _six(address, leading_zeros=True, least_left_out=0)
    if six is not None:
        return f"{_shown_six(six)}/{int(prefix)}" if _is_at_most(prefix, 128) else None
    return None


def _address(text: str) -> str | None:
    """Read an address as Rust's standard library does; give the network of it alone."""
    four = _four(text, leading_zeros=False)
    if four is not None:
        return f"{_shown_four(four)}/32"
    six = _six(text, leading_zeros=False, least_left_out=1)
    return None if six is None else f"{_shown_six(six)}/128"


_OCTETS, _OCTET_MAX = 4, 255
_GROUPS, _GROUP_DIGITS = 8, 4


def _four(text: str, *, leading_zeros: bool) -> list[int] | None:
    parts = text.split(".")
    if len(parts) != _OCTETS:
        return None
    for part in parts:
        if not (part.isascii() and part.isdigit() and _is_at_most(part, _OCTET_MAX)):
            return None
        if part[0] == "0" and part != "0" and not leading_zeros:
            return None
    return [int(part) for part in parts]


def _six(text: str, *, leading_zeros: bool, least_left_out: int) -> list[int] | None:
    head, double, tail = text.partition("::")
    before = _groups(head, leading_zeros=leading_zeros)
    if not double:
        return before if before is not None and len(before) == _GROUPS else None
    after = _groups(tail, leading_zeros=leading_zeros)
    if before is None or after is None or "." in head:
        return None
    left_out = _GROUPS - len(before) - len(after)
    return None if left_out < least_left_out else [*before, *([0] * left_out), *after]


def _groups(text: str, *, leading_zeros: bool) -> list[int] | None:
    if not text:
        return []
    parts = text.split(":")
    four = _four(parts[-1], leading_zeros=leading_zeros) if "." in parts[-1] else None
    if four is not None:
        parts.pop()
    groups: list[int] = []
    for part in parts:
        if not 1 <= len(part) <= _GROUP_DIGITS or part.strip("0123456789abcdefABCDEF"):
            return None
        groups.append(int(part, 16))
    if four is not None:
        groups += [four[0] << 8 | four[1], four[2] << 8 | four[3]]
    return groups


def _is_at_most(digits: str, highest: int) -> bool:
    return len(digits) <= len(str(highest)) and int(digits) <= highest


def _shown_four(four: list[int]) -> str:
    return ".".join([str(part) for part in four])


def _shown_six(six: list[int]) -> str:
    if six[:6] == [0, 0, 0, 0, 0, 0xFFFF]:
        return f"::ffff:{six[6] >> 8}.{six[6] & 255}.{six[7] >> 8}.{six[7] & 255}"
    start, length = 0, 1
    for first in range(_GROUPS):
        zeros = 0
        while first + zeros < _GROUPS and six[first + zeros] == 0:
            zeros += 1
        if zeros > length:
            start, length = first, zeros
    groups = [f"{group:x}" for group in six]
    if length == 1:
        return ":".join(groups)
    return f"{':'.join(groups[:start])}::{':'.join(groups[start + length :])}"
