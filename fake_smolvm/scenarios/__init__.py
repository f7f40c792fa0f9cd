r"""What goes wrong, as data: faults that commands meet, and guest commands that a test provides.

A scenario is a TOML file; `$FAKE_SMOLVM_SCENARIO` names one, by path or, for those in this folder,
by name (`no-kvm`). Every key but `command` may be left out::

    [[fault]]
    command = "machine start"   # this command, or the family: "machine"
    machine = "box"             # only when it is about this machine
    stream = true               # only with (without) `--stream`
    skip = 2                    # not the first two times
    times = 1                   # only once
    env = {FAKE_SMOLVM_KVM = "0"}   # set for the fake itself while the command runs
    corrupt_store = true        # the records are garbage from now on
    delay_seconds = 1.5         # then the command goes on
    kill_machine = true         # its process dies
    hang = true                 # until somebody kills smolvm
    exit = 1                    # instead of running
    stdout = "..."              # said before that; {machine} stands for the machine's name,
    stderr = "..."              # {folder} for the folder of the scenario file

    [[guest]]
    command = ["python3", "-V"]     # exactly this argv in the guest,
    prefix = ["git"]                # or all that begin like this
    exit = 0
    stdout = "Python 3.12.1\n"
    stderr = ""

    [[guest]]
    socket = "/tmp/x"               # or whoever listens there is asked, see `asked_at`

Before all that, `journal = "/tmp/y"` names a file in which each fault that is met is noted, one
`fault NUMBER` a line.

Of the faults that fit a call each does its part, in order, until one ends the command.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from fake_smolvm import variables
from fake_smolvm.errors import SetupError
from fake_smolvm.host import KilledError
from fake_smolvm.machines import given
from fake_smolvm.machines.agent import agent_of
from fake_smolvm.machines.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, TypeAlias

    from fake_smolvm.clap.grammar import Grammar
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host

    Answer: TypeAlias = tuple[int, bytes, bytes]
    """Exit code, stdout, stderr."""
    GuestCommand: TypeAlias = Callable[[list[str], Mapping[str, str], str, bytes], Answer | None]
    """Called with argv, environment, working directory and stdin."""

DEFAULT_MACHINE = "default"

_FOLDER = os.path.dirname(__file__)
_HANG_STEP_SECONDS = 0.05
_ENDING = ".toml"

_VARIABLES = (
    variables.BOOT_SECONDS,
    variables.HOME,
    variables.IMAGES,
    variables.KVM,
    variables.NETWORK,
)

_SCENARIO = {"fault": given.TABLES, "guest": given.TABLES, "journal": given.TEXT}
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
_GUEST = {
    "socket": given.TEXT,
    "command": given.TEXTS,
    "prefix": given.TEXTS,
    "exit": given.EXIT_CODE,
    "stdout": given.TEXT,
    "stderr": given.TEXT,
}


class ScenarioError(SetupError, ValueError):
    """A scenario that makes no sense."""


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

    def __init__(self, data: Mapping[str, Any], number: str, folder: str = _FOLDER) -> None:
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


class Scenario:
    """Faults and guest commands."""

    def __init__(
        self,
        faults: Iterable[Fault] = (),
        guest_commands: Iterable[GuestCommand] = (),
        journal: str | None = None,
    ) -> None:
        self.faults = list(faults)
        self.guest_commands = list(guest_commands)
        self.journal = journal

    def intercept(self, matches: Matches, host: Host) -> int | None:
        """Do to a command what the faults say; the exit code, or None if it is to go on."""
        command = " ".join(matches.command)
        machine = machine_of(matches)
        stream = bool(matches.values.get("stream"))
        for fault in self.faults:
            if fault.fits(command, machine, stream=stream):
                paths = Paths(host.env)
                if _is_due(fault, paths):
                    if self.journal is not None:
                        _append(self.journal, f"fault {fault.number.rpartition('-')[2]}\n".encode())
                    _note(paths, fault, command, machine)
                    code = _happen(fault, paths, machine, host)
                    if code is not None:
                        return code
        return None

    def guest_command(
        self, argv: list[str], env: Mapping[str, str], workdir: str, stdin: bytes
    ) -> Answer | None:
        """Answer a command of the guest, if the test provides it."""
        for command in self.guest_commands:
            answer = command(argv, env, workdir, stdin)
            if answer is not None:
                return answer
        return None


def load(name: str, grammar: Grammar | None = None) -> Scenario:
    """Read a scenario: a path, or the name of one in this folder.

    Its faults are about commands of `grammar`, by default of any version that the fake knows.

    Raises ScenarioError if it cannot be read, or is no scenario.
    """
    from zlib import crc32

    path = path_of(name)
    if path != name and name not in names():
        raise ScenarioError(
            f"no scenario is called {name!r}, only {', '.join(names())};"
            f" a file's path has a / in it, or ends in {_ENDING}"
        )
    try:
        data = given.read_toml(path)
    except ValueError as error:
        raise ScenarioError(str(error)) from None
    try:
        given.check(data, _SCENARIO, "a scenario")
        prefix = f"{crc32(path.encode()):08x}"
        folder = os.path.dirname(os.path.abspath(path))
        faults = [
            Fault(fault, f"{prefix}-{number}", folder)
            for number, fault in enumerate(data.get("fault", ()))
        ]
        _check_commands(faults, grammar)
        guest_commands = [_guest_command(guest) for guest in data.get("guest", ())]
    except ValueError as error:
        raise ScenarioError(f"{path}: {error}") from None
    return Scenario(faults, guest_commands, data.get("journal"))


def names() -> list[str]:
    """Give the names of the scenarios in this folder."""
    return sorted(
        file.removesuffix(_ENDING) for file in os.listdir(_FOLDER) if file.endswith(_ENDING)
    )


def _check_variables(names: Iterable[str]) -> None:
    """Raise ValueError for a variable of the fake's that does nothing while a command runs."""
    for name in names:
        if name.startswith("FAKE_SMOLVM_") and name not in _VARIABLES:
            raise ValueError(f"env: no command is moved by {name}, only by {', '.join(_VARIABLES)}")


def _check_commands(faults: Iterable[Fault], grammar: Grammar | None) -> None:
    """Raise ValueError for a fault of a command that there is not."""
    wanted = {fault.command for fault in faults}
    if not wanted:
        return
    grammars = [grammar] if grammar is not None else _known_grammars()
    known = {" ".join(path) for grammar in grammars for path in grammar.paths() if path}
    for command in sorted(wanted - known):
        raise ValueError(f"smolvm has no command {command!r}, only {', '.join(sorted(known))}")


def _known_grammars() -> list[Grammar]:
    from fake_smolvm.grammars import known_versions
    from fake_smolvm.grammars import load as load_grammar

    return [load_grammar(version) for version in known_versions()]


def _guest_command(data: Mapping[str, Any]) -> GuestCommand:
    given.check(data, _GUEST, "a guest command")
    if "socket" not in data:
        return provided(**data)
    if len(data) > 1:
        raise ValueError("a guest command with a socket has nothing else: it answers")
    return asked_at(data["socket"])


def path_of(name: str) -> str:
    """Give the file of a scenario: the name is a path, or that of one in this folder."""
    return name if "/" in name or name.endswith(_ENDING) else f"{_FOLDER}/{name}{_ENDING}"


def provided(
    *,
    command: Sequence[str] | None = None,
    prefix: Sequence[str] | None = None,
    exit: int = 0,  # noqa: A002  the word of the file
    stdout: str | bytes = b"",
    stderr: str | bytes = b"",
) -> GuestCommand:
    """Make a guest command that always says the same, for one argv or for all with that prefix."""
    if (command is None) == (prefix is None):
        raise ScenarioError("a guest command has either a command or a prefix")
    if not (command or prefix):
        raise ScenarioError("a guest command has at least one word")
    try:
        given.check({"exit": exit}, _GUEST, "a guest command")
    except ValueError as error:
        raise ScenarioError(str(error)) from None
    wanted = list(command if command is not None else prefix or ())
    answer = (exit, _bytes(stdout), _bytes(stderr))

    def answer_to(
        argv: list[str], env: Mapping[str, str], workdir: str, stdin: bytes
    ) -> Answer | None:
        del env, workdir, stdin
        heard = argv if command is not None else argv[: len(wanted)]
        return answer if heard == wanted else None

    return answer_to


def asked_at(socket: str) -> GuestCommand:
    """Make a guest command that is answered by whoever listens at a Unix socket.

    Question and answer are the `repr` of the arguments and of the result of a `GuestCommand`.
    """

    def answer_to(
        argv: list[str], env: Mapping[str, str], workdir: str, stdin: bytes
    ) -> Answer | None:
        from ast import literal_eval
        from socket import AF_UNIX, SHUT_WR
        from socket import socket as make_socket

        try:
            with make_socket(AF_UNIX) as connection:
                connection.connect(socket)
                connection.sendall(repr((argv, dict(env), workdir, stdin)).encode())
                connection.shutdown(SHUT_WR)
                with connection.makefile("rb") as reading:
                    answer: Answer | None = literal_eval(reading.read().decode())
        except (OSError, ValueError, SyntaxError) as error:
            raise SetupError(
                f"{variables.SCENARIO}: the guest command {argv[0]} got no answer from {socket}: "
                f"{error}"
            ) from None
        return answer

    return answer_to


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def machine_of(matches: Matches) -> str | None:
    """Give the name of the machine that a command is about; None if it is about none.

    A machine that is made without a name gets a random one, which the command line cannot tell.
    """
    values = matches.values
    if matches.command[-1] == "cp":
        # 0.8.0 looks at the source first; see `commands.machine_cp`.
        for side in (values["src"], values["dst"]):
            if ":" in side:
                return str(side.partition(":")[0])
        return None
    if "name" not in values:
        return None
    name: str | None = values["name"]
    return (
        DEFAULT_MACHINE if name is None and matches.command[-1] not in ("create", "run") else name
    )


def _is_due(fault: Fault, paths: Paths) -> bool:
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


def _happen(fault: Fault, paths: Paths, machine: str | None, host: Host) -> int | None:
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


def _note(paths: Paths, fault: Fault, command: str, machine: str | None) -> None:
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
    _append(os.path.join(paths.state, "faults.jsonl"), line)


def _append(path: str, line: bytes) -> None:
    journal = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(journal, line)
    finally:
        os.close(journal)
