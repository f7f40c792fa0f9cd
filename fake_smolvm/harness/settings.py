"""What the command line, the environment, the ini file and markers say about the run."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import pytest

from fake_smolvm import variables
from fake_smolvm.grammars import DEFAULT_VERSION
from fake_smolvm.harness import words
from fake_smolvm.harness.on_path.session_folder import outside

if TYPE_CHECKING:
    from typing import Any, Literal

    Mode = Literal["fake", "real", "replay"]

BINARY_VARIABLE = "SMOLVM_BINARY"
PROGRAM = "smolvm"
HOMES = ("sandbox", "keep")
"""What a test's HOME is: one of its own, or the user's, which only smolvm itself does not see."""

_SCRIPT_HEAD_BYTES = 4096
_VERSION_TIMEOUT_SECONDS = 30


class Wish(NamedTuple):
    """What a test asks for itself; None is what the run says."""

    mode: str | None = None
    cli: str | None = None
    home: str | None = None


@dataclass(frozen=True)
class Run:
    """What a whole run is told."""

    mode: str = "fake"
    """`fake`, `real`, `auto` or `replay`."""
    cli: str | None = None
    """The version that smolvm must be; None: whichever it is."""
    fake_version: str = DEFAULT_VERSION
    """The version of the fake where none is asked for."""
    home: str = "sandbox"
    binary: tuple[str, str] | None = None
    """The real smolvm that the user named, and how."""
    record: bool = False
    allowed: dict[str, str] = field(default_factory=dict)
    """What the whole suite may walk into (`H3`, `leak`), and why."""


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
    home: str = "sandbox"
    cli: str | None = None
    """The version that was asked for, if one was: a cassette must be of it."""

    @property
    def description(self) -> str:
        """What the header of the run says."""
        binary = f" ({self.binary})" if self.binary else ""
        return f"{self.mode} {self.version}{binary}{', recording' if self.record else ''}"


def run_of(config: pytest.Config, mode: str) -> Run:
    """Return what the command line, the environment and the ini file say.

    Raises:
        pytest.UsageError: A word in them is none.
    """
    cli, said_by = config.getoption("smolvm_cli"), "--smolvm-cli"
    if not cli:
        cli, said_by = config.getini("smolvm_cli") or None, "ini smolvm_cli"
    from_outside = os.environ.get(variables.VERSION)
    home = str(config.getini("smolvm_home"))
    if home not in HOMES:
        raise pytest.UsageError(f"ini smolvm_home: {words.unknown('home', home, HOMES)}")
    if cli and mode == "fake":
        _checked_version(cli, said_by)
    elif from_outside and not cli:
        _checked_version(from_outside, f"${variables.VERSION}")
    for version in config.getini("smolvm_cli_versions"):
        _checked_version(version, "ini smolvm_cli_versions")
    return Run(
        mode,
        cli,
        from_outside or DEFAULT_VERSION,
        home,
        _named_binary(config.getoption("smolvm_binary")),
        config.getoption("smolvm_record") == "rewrite",
        dict(_allowance(line) for line in config.getini("smolvm_allows")),
    )


def run_outside_pytest() -> Run:
    """Return what the environment says to a script.

    Raises:
        pytest.UsageError: A word in it is none.
    """
    version = os.environ.get(variables.VERSION) or DEFAULT_VERSION
    _checked_version(version, f"${variables.VERSION}")
    return Run(fake_version=version, binary=_named_binary(None))


def chosen(run: Run, wish: Wish = Wish()) -> Settings:  # noqa: B008  immutable
    """Settle on one smolvm.

    What a test says of itself is not what the run is to record.

    Raises:
        pytest.UsageError: A real one is wanted and there is none, or it cannot be used.
    """
    settings = _settled(run, wish)
    record = run.record and (
        wish.mode in (None, run.mode) or _settled(run, Wish()).mode == settings.mode
    )
    if record and settings.mode == "replay":
        raise pytest.UsageError("--smolvm=replay plays cassettes, it cannot record any")
    return replace(settings, record=record)


def _settled(run: Run, wish: Wish) -> Settings:
    mode = wish.mode or run.mode
    cli = wish.cli or run.cli
    common: dict[str, Any] = {"allowed": run.allowed, "home": wish.home or run.home, "cli": cli}
    if mode == "replay":
        return Settings("replay", cli or DEFAULT_VERSION, **common)
    binary = find_binary(run, mode) if mode in ("real", "auto") else None
    if binary is not None:
        version = checked_version(binary)
        if cli not in (None, version):
            raise pytest.UsageError(
                f"smolvm {cli} is asked for (--smolvm-cli, ini smolvm_cli or cli=), "
                f"but {binary} is {version}"
            )
        return Settings("real", version, binary, **common)
    if mode == "real":
        raise pytest.UsageError(
            f"--smolvm=real, but there is no smolvm: looked at --smolvm-binary (not given), "
            f"${BINARY_VARIABLE} (not set) and PATH ({os.environ.get('PATH', '')})"
        )
    version = run.fake_version if cli is None else _checked_version(cli, "cli")
    return Settings("fake", version, **common)


def find_binary(run: Run, mode: str = "real") -> str | None:
    """Return the real smolvm that the user named, or else the one on PATH, if there is one.

    Raises:
        pytest.UsageError: The named one is no executable.
    """
    if run.binary is None:
        found = shutil.which(PROGRAM, path=outside(os.environ.get("PATH", "")))
        if found is None or (mode == "auto" and _is_the_fake(found)):
            return None
        return os.path.abspath(found)
    named, how = run.binary
    found = shutil.which(named)
    if found is None:
        raise pytest.UsageError(f"{how}: {named!r} {_why_not_executable(named)}")
    return os.path.abspath(found)


def checked_version(binary: str) -> str:
    """Ask a binary for its version; the answer is kept as long as the file stays the same.

    Raises:
        pytest.UsageError: It is no smolvm, or is the fake.
    """
    try:
        looks = os.stat(binary)
        if _is_the_fake(binary):
            raise pytest.UsageError(f"{binary} is the fake, not a real smolvm")
    except OSError as error:
        raise pytest.UsageError(f"{binary} cannot be read: {error.strerror}") from None
    return _asked_version(binary, (looks.st_ino, looks.st_size, looks.st_mtime_ns))


@lru_cache
def _asked_version(binary: str, _looks: tuple[int, ...]) -> str:
    try:
        said = subprocess.run(
            [binary, "--version"],
            # No fake gets by with this, however it is wrapped.
            env={**os.environ, variables.VERSION: "none"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERSION_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise pytest.UsageError(
            f"{binary} --version says nothing for {_VERSION_TIMEOUT_SECONDS} seconds: "
            "is it a smolvm?"
        ) from None
    except OSError as error:
        raise pytest.UsageError(f"{binary} --version: {error.strerror}") from None
    if variables.VERSION in said.stderr:
        raise pytest.UsageError(f"{binary} is the fake, not a real smolvm")
    program, _, version = said.stdout.strip().partition(" ")
    numbers = version.split(".")
    if program != PROGRAM or not all(number.isdecimal() for number in numbers):
        answer = (said.stdout or said.stderr).strip()
        says = f"says {answer[:200]!r}" if answer else "says nothing"
        raise pytest.UsageError(
            f"{binary} does not say that it is smolvm: its --version {says}, "
            f"exit code {said.returncode}"
        )
    return version


def _is_the_fake(binary: str) -> bool:
    try:
        with open(binary, "rb") as file:
            return b"fake_smolvm" in file.read(_SCRIPT_HEAD_BYTES)
    except PermissionError:
        return False  # what may be executed need not be readable


def _named_binary(option: str | None) -> tuple[str, str] | None:
    if option is not None:
        return option, "--smolvm-binary"
    variable = os.environ.get(BINARY_VARIABLE)
    return (variable, f"${BINARY_VARIABLE}") if variable else None


def _why_not_executable(named: str) -> str:
    if os.path.dirname(named) == "" and not os.path.exists(named):
        return "is not an executable: there is none of that name on PATH"
    try:
        mode = os.stat(named).st_mode
    except OSError as error:
        return f"is not an executable: {error.strerror}"
    if stat.S_ISDIR(mode):
        return "is not an executable, but a folder"
    return "is not an executable: it may not be run (chmod +x?)"


def _checked_version(version: str, said_by: str) -> str:
    try:
        return words.checked_version(version)
    except ValueError as error:
        raise pytest.UsageError(f"{said_by}: {error}") from None


def _allowance(line: str) -> tuple[str, str]:
    hazard, colon, reason = line.partition(":")
    if not colon or not reason.strip():
        raise pytest.UsageError(f"ini smolvm_allows: {line!r} is not of the form `H3: reason`")
    try:
        return words.checked_allowance(hazard.strip()), reason.strip()
    except ValueError as error:
        raise pytest.UsageError(f"ini smolvm_allows: {error}") from None
