"""A smolvm command line as a value, and how it ended. Nothing here runs anything."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import IO, Generic, TypeVar

from smolvm_wrapper.errors import SmolvmError, UsageError

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")

StrPath = str | os.PathLike[str]
Stdin = bytes | IO[bytes] | Iterable[bytes]

MASK = "***"
_SHORT = 4  # characters below which a secret is masked as a whole word only


@dataclass(frozen=True, repr=False)
class Command(Generic[R_co]):
    """What to run and how to read what comes of it.

    Attributes:
        argv: begins with "smolvm"; a client puts its own binary there.
        read: makes the result, or raises the error that fits.
        stdin: what the command reads; None is nothing.
        secrets: never shown.
        must_finish: killed half-way it would leave something behind (H16), so an interrupted caller
            still waits for its end.
        on_terminal: it talks to the user's terminal itself; nothing is captured.
        host_timeout: seconds until its process group is killed; None is the client's own.
    """

    argv: tuple[str, ...]
    read: Callable[[Finished], R_co] = field(compare=False)
    stdin: Stdin | None = None
    secrets: tuple[str, ...] = ()
    must_finish: bool = False
    on_terminal: bool = False
    host_timeout: float | None = None

    def __repr__(self) -> str:
        return f"Command({shown(self.argv, self.secrets)})"


@dataclass(frozen=True, repr=False)
class Finished:
    """How a command ended.

    Attributes:
        argv: what was really run.
        returncode: its exit code, or minus the signal that killed it.
        stdout: text; bytes that are no UTF-8 are lone surrogates (PEP 383), so that none is lost.
        stderr: likewise.
        secrets: never shown.
    """

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    secrets: tuple[str, ...] = ()

    def error(self, kind: type[SmolvmError], why: str) -> SmolvmError:
        """An error of this kind that holds all there is to know, without the secrets."""
        stderr = masked(self.stderr, self.secrets)
        message = "\n".join(
            filter(None, (f"{shown(self.argv, self.secrets)}: {why}", stderr.strip()))
        )
        return kind(
            message.encode(errors="backslashreplace").decode(),
            argv=mask_argv(self.argv, self.secrets),
            returncode=self.returncode,
            stdout=masked(self.stdout, self.secrets),
            stderr=stderr,
        )


@dataclass(frozen=True)
class Pause:
    """A wait between two commands."""

    seconds: float


# --- argv ---


def value(option: str, given: StrPath | int | None) -> list[str]:
    """`--option VALUE`, or nothing; a VALUE that looks like an option itself is attached to it."""
    if given is None:
        return []
    text = os.fspath(given) if isinstance(given, os.PathLike) else str(given)
    return [f"{option}={text}"] if text.startswith("-") else [option, text]


def values(option: str, given: Iterable[StrPath | int]) -> list[str]:
    """`--option VALUE` for each."""
    return [word for one in listed(given) for word in value(option, one)]


def listed(given: Iterable[T]) -> list[T]:
    """A list of what was given, which is not to be the letters of one text."""
    if isinstance(given, str):
        raise UsageError(f"a list is wanted, not the text {given!r}")
    return list(given)


def switch(option: str, on: bool | None) -> list[str]:
    """`--option`, or nothing."""
    return [option] if on else []


def settings(env: Mapping[str, str] | None) -> list[str]:
    """`-e KEY=VALUE` for each."""
    return [word for key, text in (env or {}).items() for word in ("-e", f"{key}={text}")]


# --- secrets ---


def shown(argv: Iterable[str], secrets: tuple[str, ...]) -> str:
    """The command line as one would type it, without the secrets."""
    from shlex import join

    return join(mask_argv(argv, secrets))


def mask_argv(argv: Iterable[str], secrets: tuple[str, ...]) -> list[str]:
    """The same words, each `-e KEY=VALUE` as `KEY=***`."""
    safe: list[str] = []
    for word in argv:
        key, _, text = word.partition("=")
        setting = text in secrets and safe[-1:] == ["-e"]
        safe.append(f"{key}={MASK}" if setting else masked(word, secrets))
    return safe


def masked(text: str, secrets: tuple[str, ...]) -> str:
    """The text with every secret in it as `***`, also where smolvm quoted or escaped it.

    A secret of up to 3 characters is masked only where it stands alone: `1` as a value must not
    turn `os error 11` or the name `m1` into riddles.
    """
    if not secrets:
        return text
    import json
    import re

    forms = {
        form
        for secret in secrets
        for form in (secret, json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1])
        if form
    }
    patterns = [
        rf"(?<!\w){re.escape(form)}(?!\w)" if len(form) < _SHORT else re.escape(form)
        for form in sorted(forms, key=len, reverse=True)
    ]
    return re.sub("|".join(patterns), MASK, text) if patterns else text
