"""What Rust's standard library calls white space, its numbers of many digits, its debug format."""

from __future__ import annotations

WHITE_SPACE = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
    "\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""What Rust calls white space; Python has four more."""

_ESCAPES = {"\0": "\\0", "\t": "\\t", "\n": "\\n", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def is_at_most(digits: str, highest: int) -> bool:
    """Tell whether ASCII digits, however many, are a number no larger than `highest`."""
    return fits(digits.lstrip("0") or "0", highest)


def fits(digits: str, highest: int) -> bool:
    """Tell whether ASCII digits are no longer than `highest`, nor a larger number."""
    return len(digits) <= len(str(highest)) and int(digits) <= highest


def debug(text: str) -> str:
    """Return `text` in double quotes, escaped as Rust's debug format does."""
    return '"' + "".join([_ESCAPES.get(letter) or _visible(letter) for letter in text]) + '"'


def _visible(letter: str) -> str:
    if letter.isascii():
        return letter if letter.isprintable() else f"\\u{{{ord(letter):x}}}"
    from unicodedata import category

    # Rust also escapes what combines with the character before it.
    hidden = not letter.isprintable() or category(letter) in ("Mn", "Me")
    return f"\\u{{{ord(letter):x}}}" if hidden else letter
