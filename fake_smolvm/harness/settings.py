"""What the command line, the environment, the ini file and markers say about the run."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from fake_smolvm import DEFAULT_VERSION

if TYPE_CHECKING:
    from typing import Literal

    Mode = Literal["fake", "real", "replay"]

BINARY_VARIABLE = "SMOLVM_BINARY"
PROGRAM = "smolvm"
FAILING = ("H1", "H3", "H4", "H15", "H16", "leak", "process")
"""What fails a test that walks into it, unless it says that it means to."""

_SCRIPT_HEAD_BYTES = 4096
_VERSION_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Settings:
    """One way to run tests."""

    mode: Mode
    version: str
    binary: str | None = None
    """The real smolvm, if that is what runs."""
    record: bool = False
    allowed: dict[str, str] = field(default_factory=dict)
    """What the whole suite may walk into (`H3`, `leak`), and why."""

    @property
    def description(self) -> str:
        """What the header of the run says."""
        binary = f" ({self.binary})" if self.binary else ""
        return f"{self.mode} {self.version}{binary}{', recording' if self.record else ''}"


def settings(config: pytest.Config, mode: str) -> Settings:
    """Settle on one smolvm.

    Raises pytest.UsageError when a real one is wanted and there is none, or it cannot be used.
    """
    record = config.getoption("smolvm_record") == "rewrite"
    allowed = dict(_allowance(line) for line in config.getini("smolvm_allows"))
    if mode in ("real", "auto"):
        binary = find_binary(config)
        if binary is not None:
            return Settings("real", checked_version(binary), binary, record, allowed)
        if mode == "real":
            raise pytest.UsageError(
                f"--smolvm=real, but there is no smolvm: looked at --smolvm-binary (not given), "
                f"${BINARY_VARIABLE} (not set) and PATH ({os.environ.get('PATH', '')})"
            )
    if mode == "replay":
        if record:
            raise pytest.UsageError("--smolvm=replay plays cassettes, it cannot record any")
        return Settings("replay", DEFAULT_VERSION, allowed=allowed)
    return Settings("fake", DEFAULT_VERSION, record=record, allowed=allowed)


def allowed_in(node: pytest.Item, suite: dict[str, str]) -> dict[str, str]:
    """Give what a test may walk into: what its `smolvm_allows` markers and the suite say."""
    allowed = dict(suite)
    for marker in node.iter_markers("smolvm_allows"):
        reason = marker.kwargs.get("reason")
        if not marker.args or not isinstance(reason, str) or not reason:
            raise pytest.UsageError(
                f'{node.nodeid}: smolvm_allows takes hazards and a reason: ("H3", reason="...")'
            )
        allowed |= dict.fromkeys(marker.args, reason)
    return allowed


def find_binary(config: pytest.Config) -> str | None:
    """Give the real smolvm that the user named, or else the one on PATH, if there is one.

    Raises pytest.UsageError for a named one that is no executable.
    """
    named = config.getoption("smolvm_binary") or os.environ.get(BINARY_VARIABLE)
    found = shutil.which(named or PROGRAM)
    if found is None and named:
        raise pytest.UsageError(f"{named!r} is not an executable")
    return None if found is None else os.path.abspath(found)


def checked_version(binary: str) -> str:
    """Ask a binary for its version.

    Raises pytest.UsageError if it is no smolvm, or is the fake.
    """
    with open(binary, "rb") as file:
        if b"fake_smolvm" in file.read(_SCRIPT_HEAD_BYTES):
            raise pytest.UsageError(f"{binary} is the fake, not a real smolvm")
    try:
        said = subprocess.run(
            [binary, "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERSION_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise pytest.UsageError(f"{binary} --version: {error}") from None
    program, _, version = said.stdout.strip().partition(" ")
    numbers = version.split(".")
    if program != PROGRAM or not all(number.isdecimal() for number in numbers):
        raise pytest.UsageError(
            f"{binary} does not say that it is smolvm: {(said.stdout or said.stderr)!r}"
        )
    return version


def _allowance(line: str) -> tuple[str, str]:
    hazard, colon, reason = line.partition(":")
    if not colon or not reason.strip():
        raise pytest.UsageError(f"ini smolvm_allows: {line!r} is not of the form `H3: reason`")
    return hazard.strip(), reason.strip()
