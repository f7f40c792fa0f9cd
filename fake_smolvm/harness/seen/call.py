"""One call of `smolvm` that a test saw."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fake_smolvm.harness.on_path.secrets import unscrambled
from fake_smolvm.harness.seen.masked import Masked

if TYPE_CHECKING:
    from collections.abc import Iterator


NANOSECONDS = 1_000_000_000


class Environment(Mapping[str, str]):
    """The environment of a call: every value can be compared, none is shown."""

    def __init__(self, noted: Mapping[bytes, Any], key: str) -> None:
        self._noted = noted
        self._key = key

    def __getitem__(self, name: str) -> str:
        try:
            value = self._noted[os.fsencode(name)]
        except KeyError:
            raise KeyError(name) from None
        if isinstance(value, bytes):
            return os.fsdecode(value)
        masked, hidden = value
        return Masked(masked, unscrambled(hidden, self._key))

    def __iter__(self) -> Iterator[str]:
        return map(os.fsdecode, self._noted)

    def __len__(self) -> int:
        return len(self._noted)

    def __repr__(self) -> str:
        return f"<environment of {len(self)} variables>"


@dataclass(frozen=True)
class Call:
    """One call of `smolvm`."""

    argv: tuple[str, ...] = field(hash=False)
    """The command line, the program first as `smolvm`.

    Values of `-e` are shown as `***`, but compared exactly: `"TOKEN=right" in call.argv`. Where any
    value will do, compare with `unittest.mock.ANY`, or `str(word)` with `"TOKEN=***"`.
    """
    command: str
    """The command that it names, such as `machine start`; what was typed if no version has it."""
    machine: str | None
    """The machine that it is about, `default` included; None for commands that are about none."""
    returncode: int | None
    """The exit code; None if the call was killed, or is not over."""
    stderr: str = field(repr=False)
    """The first 64 KiB of stderr, `***` for secrets; of more, the last line says how much.

    Bytes that are no UTF-8 are U+FFFD. Empty until the call is over, and on a real smolvm that is
    not recorded.
    """
    cwd: str
    started: float
    """Seconds since the test's first call."""
    seconds: float | None
    """How long it took; None if it was killed, or is not over."""
    stdout: str = field(repr=False)
    """The first 64 KiB of stdout, as `stderr`."""
    stdin: bytes = field(repr=False)
    """The first 64 KiB of what it was given on stdin, whether it read that or not.

    That is what was handed over with `input=`, `communicate()` or by writing to the `stdin` of its
    `subprocess.Popen` or asyncio process; if stdin is a file, what that held from where it stood.
    From elsewhere (another program's pipe, a terminal, trio) it is what the call read.
    """
    env: Mapping[str, str] = field(repr=False, compare=False)
    """Its whole environment, as it was given; a value with a secret of `-e` in it is masked."""

    def __str__(self) -> str:
        from shlex import join

        return join(map(str, self.argv))
