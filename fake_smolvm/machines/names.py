"""Machine names: which are valid, and the ones made up for machines that were given none."""

from __future__ import annotations

import os

MAX_LENGTH = 128
"""Bytes."""

_ALPHANUMERIC = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def fault(name: str) -> str | None:  # noqa: PLR0911 - one for each rule
    """Return what is wrong with a name, in 0.8.0's words; None for a valid one."""
    if not name:
        return "machine name cannot be empty"
    length = len(os.fsencode(name))
    if length > MAX_LENGTH:
        return f"machine name too long: {length} characters (max {MAX_LENGTH})"
    edge = ""
    if name[0] not in _ALPHANUMERIC:
        edge = "must start with a letter or digit"
    elif name[-1] == "-":
        edge = "cannot end with a hyphen"
    if edge:
        from fake_smolvm.rust.std import debug

        return f"machine name {edge} (got: {debug(name)})"
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
    """Return a name for a machine that was given none: `vm-` and eight random hex digits."""
    return f"vm-{os.urandom(4).hex()}"
