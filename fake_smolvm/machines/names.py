"""Machine names: which are valid, and the ones made up for machines that were given none."""

from __future__ import annotations

import os

MAX_LENGTH = 128
"""Bytes."""

_ALPHANUMERIC = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_ESCAPES = {"\0": "\\0", "\t": "\\t", "\n": "\\n", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def fault(name: str) -> str | None:  # noqa: PLR0911 - one for each rule
    """What is wrong with a name, in 0.8.0's words; None for a valid one."""
    if not name:
        return "machine name cannot be empty"
    length = len(os.fsencode(name))
    if length > MAX_LENGTH:
        return f"machine name too long: {length} characters (max {MAX_LENGTH})"
    if name[0] not in _ALPHANUMERIC:
        return f"machine name must start with a letter or digit (got: {quoted(name)})"
    if name[-1] == "-":
        return f"machine name cannot end with a hyphen (got: {quoted(name)})"
    previous = ""
    for letter in name:
        if letter == previous == "-":
            return "machine name cannot contain consecutive hyphens"
        if letter not in _ALPHANUMERIC and letter not in "-_":
            if letter in "/\\":
                return "machine name cannot contain path separators"
            return f"machine name contains invalid character: '{letter}'"
        previous = letter
    return None


def generate() -> str:
    """A name for a machine that was given none: `vm-` and eight random hex digits."""
    return f"vm-{os.urandom(4).hex()}"


def quoted(text: str) -> str:
    """`text` in double quotes, escaped as Rust's debug format does."""
    return '"' + "".join([_ESCAPES.get(letter) or _visible(letter) for letter in text]) + '"'


def _visible(letter: str) -> str:
    if letter.isascii():
        return letter if letter.isprintable() else f"\\u{{{ord(letter):x}}}"
    from unicodedata import category

    # Rust also escapes what combines with the character before it.
    hidden = not letter.isprintable() or category(letter) in ("Mn", "Me")
    return f"\\u{{{ord(letter):x}}}" if hidden else letter
