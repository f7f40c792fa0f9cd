"""IP addresses as Rust's standard library reads and writes them, networks as ipnet does."""

from __future__ import annotations

from fake_smolvm.rust.std import fits

_OCTETS, _OCTET_MAX = 4, 255
_GROUPS, _GROUP_DIGITS = 8, 4


def network(text: str) -> str | None:
    """Read `ADDRESS/PREFIX`; returns it as ipnet writes it, host bits kept, None if it is none."""
    address, slash, prefix = text.partition("/")
    if not slash or not prefix.isascii() or not prefix.isdigit():
        return None
    four = ipv4(address, leading_zeros=True)
    if four is not None:
        return f"{_shown_four(four)}/{int(prefix)}" if fits(prefix, 32) else None
    six = _six(address, leading_zeros=True, least_left_out=0)
    if six is not None:
        return f"{_shown_six(six)}/{int(prefix)}" if fits(prefix, 128) else None
    return None


def address(text: str) -> str | None:
    """Read an address; returns the network of it alone (`1.1.1.1/32`), None if it is none."""
    four = ipv4(text, leading_zeros=False)
    if four is not None:
        return f"{_shown_four(four)}/32"
    six = _six(text, leading_zeros=False, least_left_out=1)
    return None if six is None else f"{_shown_six(six)}/128"


def ipv4(text: str, *, leading_zeros: bool) -> list[int] | None:
    """Read an IPv4 address; returns its octets, None if it is none."""
    parts = text.split(".")
    if len(parts) != _OCTETS:
        return None
    for part in parts:
        if not (part.isascii() and part.isdigit() and fits(part, _OCTET_MAX)):
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
    four = ipv4(parts[-1], leading_zeros=leading_zeros) if "." in parts[-1] else None
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
