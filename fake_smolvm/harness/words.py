"""What a user may name: each word is checked where it is named, and refused with the valid ones."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING

from fake_smolvm import grammars
from fake_smolvm.harness.known_hazards import allowances
from fake_smolvm.harness.seen.reading import grammar_of
from fake_smolvm.machines import names

if TYPE_CHECKING:
    from collections.abc import Iterable

_LARGEST_EXIT_CODE = 255


def unknown(what: str, word: object, valid: Iterable[str]) -> str:
    """Return the sentence about a word that is none of the valid ones."""
    from difflib import get_close_matches

    valid = list(valid)
    by_lower = {one.lower(): one for one in valid}
    near = get_close_matches(str(word).lower(), by_lower, n=1)
    hint = f"; did you mean {by_lower[near[0]]!r}?" if near else "."
    return f"{word!r} is no {what}{hint} There are: {', '.join(valid)}"


def checked_allowance(name: object) -> str:
    """Return a hazard, `leak`, `process` or `unused`.

    Raises:
        ValueError: It is none of them.
    """
    if name not in allowances():
        raise ValueError(unknown("hazard", name, allowances()))
    return str(name)


def checked_version(version: object) -> str:
    """Return a version of smolvm that the fake can be.

    Raises:
        ValueError: There is no grammar of it.
    """
    known = grammars.known_versions()
    if version not in known:
        raise ValueError(unknown("smolvm version that the fake knows", version, known))
    return str(version)


def checked_command(command: object, version: str) -> str:
    """Return the canonical name of a command, or of a family, of a version of smolvm.

    Raises:
        TypeError: It is no text.
        ValueError: That version has no such command.
    """
    words = checked_text("command", command).split()
    grammar = grammar_of(version)
    path: tuple[str, ...] = ()
    for word in words:
        subcommands = grammar.command(path).subcommands
        if word == "help" or word not in subcommands:
            break
        path = (*path, subcommands[word])
    if words and len(path) == len(words):
        return " ".join(path)
    every = [" ".join(one) for one in grammar.paths() if one and not grammar.command(one).hidden]
    shown = [one for one in every if one.startswith(" ".join(path))] if path else every
    raise ValueError(unknown(f"command of smolvm {version}", command, shown))


def checked_command_of_any(command: object) -> str:
    """Return the canonical name of a command, or of a family, of any version of smolvm.

    Raises:
        TypeError: It is no text.
        ValueError: No version has such a command.
    """
    for version in grammars.known_versions():
        with suppress(ValueError):
            return checked_command(command, version)
    return checked_command(command, grammars.DEFAULT_VERSION)


def checked_machine(name: object) -> str:
    """Return a name that a machine may have.

    Raises:
        TypeError: It is no text.
        ValueError: No machine may be called that.
    """
    fault = names.fault(checked_text("machine", name))
    if fault is not None:
        raise ValueError(f"{name!r} is no name of a machine: {fault}")
    return str(name)


def checked_text(what: str, text: object) -> str:
    """Return a text.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(text, str):
        raise TypeError(f"{what} is a text, not {text!r}")
    return text


def checked_count(what: str, number: object, *, least: int, most: int | None = None) -> int:
    """Return a whole number that is at least, and at most, so much.

    Raises:
        TypeError: It is no whole number.
        ValueError: It is too small or too large.
    """
    span = f"{least} or more" if most is None else f"from {least} to {most}"
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"{what} is a whole number, {span}, not {number!r}")
    if number < least or (most is not None and number > most):
        raise ValueError(f"{what} is a whole number, {span}, not {number!r}")
    return number


def checked_exit_code(what: str, code: object) -> int:
    """Return an exit code.

    Raises:
        TypeError: It is no whole number.
        ValueError: No process ends with it.
    """
    return checked_count(what, code, least=0, most=_LARGEST_EXIT_CODE)


def checked_seconds(seconds: object) -> float:
    """Return a duration in seconds.

    Raises:
        TypeError: It is no number.
        ValueError: It is negative, or not finite.
    """
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        raise TypeError(f"seconds is a number, 0 or more, not {seconds!r}")
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"seconds is a number, 0 or more, not {seconds!r}")
    return seconds
