"""Faults: which calls each one is about, and what it does to them."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from fake_smolvm import variables
from fake_smolvm.host import KilledError
from fake_smolvm.machines import given
from fake_smolvm.machines.agent import agent_of
from fake_smolvm.scenarios import ScenarioError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from fake_smolvm.host import Host
    from fake_smolvm.machines.paths import Paths

FOLDER = os.path.dirname(__file__)
_HANG_STEP_SECONDS = 0.05

_VARIABLES = (
    variables.BOOT_SECONDS,
    variables.HOME,
    variables.IMAGES,
    variables.KVM,
    variables.NETWORK,
)
_FAULT = {
    "command": given.TEXT,
    "machine": given.TEXT,
    "stream": given.SWITCH,
    "skip": given.NUMBER,
    "times": given.NUMBER,
    "env": given.TABLE,
    "corrupt_store": given.SWITCH,
    "delay_seconds": given.SECONDS,
    "hang": given.SWITCH,
    "kill_machine": given.SWITCH,
    "exit": given.EXIT_CODE,
    "stdout": given.TEXT,
    "stderr": given.TEXT,
}


class Fault:
    """One `[[fault]]`."""

    __slots__ = (
        "command",
        "corrupt_store",
        "delay_seconds",
        "env",
        "exit",
        "folder",
        "hang",
        "kill_machine",
        "machine",
        "number",
        "skip",
        "stderr",
        "stdout",
        "stream",
        "times",
    )

    def __init__(self, data: Mapping[str, Any], number: str, folder: str = FOLDER) -> None:
        """Take the data of a `[[fault]]`; `number` tells it from all others of one root.

        Raises ScenarioError for a key that is none, and for a value that its key cannot have.
        """
        try:
            given.check(data, _FAULT, "a fault", required=["command"])
            _check_variables(data.get("env", ()))
        except ValueError as error:
            raise ScenarioError(str(error)) from None
        get = data.get
        self.number = number
        self.folder = folder
        self.command: str = data["command"]
        self.machine: str | None = get("machine")
        self.stream: bool | None = get("stream")
        self.skip: int = get("skip", 0)
        self.times: int | None = get("times")
        self.env: dict[str, str] = {
            name: value.replace("{folder}", folder) for name, value in get("env", {}).items()
        }
        self.corrupt_store: bool = get("corrupt_store", False)
        self.delay_seconds: float = get("delay_seconds", 0)
        self.kill_machine: bool = get("kill_machine", False)
        self.hang: bool = get("hang", False)
        self.exit: int | None = get("exit")
        self.stdout: str = get("stdout", "")
        self.stderr: str = get("stderr", "")

    def fits(self, command: str, machine: str | None, *, stream: bool) -> bool:
        """Tell whether the fault is about this call."""
        return (
            f"{command} ".startswith(f"{self.command} ")
            and self.machine in (None, machine)
            and self.stream in (None, stream)
        )

    def describe(self) -> str:
        """Say in a few words what the fault does."""
        parts = [f"{name}={value}" for name, value in self.env.items()]
        if self.corrupt_store:
            parts.append("store corrupted")
        if self.delay_seconds:
            parts.append(f"delayed by {self.delay_seconds} s")
        if self.kill_machine:
            parts.append("machine killed")
        if self.hang:
            parts.append("hangs")
        if self.exit is not None:
            parts.append(f"exit {self.exit}")
        return ", ".join(parts)


def _check_variables(names: Iterable[str]) -> None:
    """Raise ValueError for a variable of the fake's that does nothing while a command runs."""
    for name in names:
        if name.startswith("FAKE_SMOLVM_") and name not in _VARIABLES:
            raise ValueError(f"env: no command is moved by {name}, only by {', '.join(_VARIABLES)}")


def is_due(fault: Fault, paths: Paths) -> bool:
    """Tell whether it is this call's turn, and count it."""
    if not fault.skip and fault.times is None:
        return True
    paths.make_state()
    # One byte a time: where it lands is this call's number, whoever else counts.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    counter = os.open(os.path.join(paths.state, f"fault-{fault.number}"), flags, 0o600)
    try:
        os.write(counter, b".")
        number = os.lseek(counter, 0, os.SEEK_CUR)
    finally:
        os.close(counter)
    return number > fault.skip and (fault.times is None or number <= fault.skip + fault.times)


def happen(fault: Fault, paths: Paths, machine: str | None, host: Host) -> int | None:
    """Do to a command what a fault says; return the exit code, or None if it is to go on."""
    if fault.env:
        host.env = {**host.env, **fault.env}
    if fault.corrupt_store:
        paths.make_state()
        with open(paths.store, "wb") as store:
            store.write(b"\xff not a store \xff" * 64)
    if fault.delay_seconds:
        _wait(fault.delay_seconds, host)
    if fault.kill_machine and machine is not None:
        process = agent_of(paths, machine)
        if process is not None:
            process.kill()
    host.out(_filled(fault.stdout, fault, machine))
    host.err(_filled(fault.stderr, fault, machine))
    if fault.hang:
        _wait(None, host)
    return fault.exit


def _filled(text: str, fault: Fault, machine: str | None) -> str:
    # No other braces mean anything: what is said may well be JSON.
    return text.replace("{machine}", machine or "").replace("{folder}", fault.folder)


def _wait(seconds: float | None, host: Host) -> None:
    """Wait that long, or for ever, or until the caller kills this process."""
    if host.cancelled is not None:
        if host.cancelled.wait(seconds):
            raise KilledError
        return
    end = None if seconds is None else time.monotonic() + seconds
    while end is None or time.monotonic() < end:
        time.sleep(_HANG_STEP_SECONDS if end is None else max(0, end - time.monotonic()))


def note(paths: Paths, fault: Fault, command: str, machine: str | None) -> None:
    """Note that a fault was met, for whoever looks at the sandbox."""
    from fake_smolvm.fastjson import dumps_line

    paths.make_state()
    line = dumps_line(
        {
            "fault": fault.describe(),
            "command": command,
            "machine": machine or "",
            "clock": time.monotonic_ns(),
        }
    )
    append(os.path.join(paths.state, "faults.jsonl"), line)


def append(path: str, line: bytes) -> None:
    """Write a line whole, whoever else writes to the file."""
    journal = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(journal, line)
    finally:
        os.close(journal)
