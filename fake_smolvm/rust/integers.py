"""Integers as Rust's `FromStr` and clap's ranged value parsers read them, with their texts."""

from __future__ import annotations

_RUST_OWN = {
    "u64": (0, 2**64 - 1),
    "usize": (0, 2**64 - 1),
    "i64": (-(2**63), 2**63 - 1),
    "isize": (-(2**63), 2**63 - 1),
}
_RANGED = {
    "u8": (0, 2**8 - 1),
    "u16": (0, 2**16 - 1),
    "u32": (0, 2**32 - 1),
    "i8": (-(2**7), 2**7 - 1),
    "i16": (-(2**15), 2**15 - 1),
    "i32": (-(2**31), 2**31 - 1),
}


def parse(value_type: str, text: str) -> int:
    """Read an integer of a Rust type as a clap arg of that type does.

    Raises:
        ValueError: For what is none, with clap's text.
        KeyError: For a type that is none.
    """
    limits = _RUST_OWN.get(value_type)
    if limits is not None:
        return from_str(text, *limits)
    low, high = _RANGED[value_type]
    value = from_str(text, *_RUST_OWN["i64"])
    if not low <= value <= high:
        raise ValueError(f"{value} is not in {low}..={high}")
    return value


def from_str(text: str, low: int, high: int) -> int:
    """Read a decimal integer as Rust's `FromStr` does for a type with these limits.

    Raises:
        ValueError: For what is none, with Rust's text.
    """
    if not text:
        raise ValueError("cannot parse integer from empty string")
    negative = low < 0 and text[0] == "-"
    digits = text[1:] if negative or text[0] == "+" else text
    if not digits:
        raise ValueError("invalid digit found in string")
    value = 0
    limit = -low if negative else high
    for digit in digits:
        if not "0" <= digit <= "9":
            raise ValueError("invalid digit found in string")
        # Rust looks at the digit first, so "99...9x" may be either mistake.
        value = value * 10 + int(digit)
        if value > limit:
            size = "small" if negative else "large"
            raise ValueError(f"number too {size} to fit in target type")
    return -value if negative else value
