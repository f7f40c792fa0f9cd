"""Looks at the machines of a test from outside: not by way of what the code under test calls."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from fake_smolvm import entry, variables
from fake_smolvm.errors import CommandError
from fake_smolvm.guest import egress
from fake_smolvm.guest.files import files as guest_files
from fake_smolvm.machines import lifecycle
from fake_smolvm.machines.paths import Paths
from fake_smolvm.machines.store import Store
from fake_smolvm.versions import says

if TYPE_CHECKING:
    from typing import BinaryIO

    from fake_smolvm.harness.on_path.sandbox import Sandbox
    from fake_smolvm.machines.record import Record

BOOT_COMMAND = "_boot-vm"
"""The hidden command that smolvm starts a machine's process by."""
_TIMEOUT_SECONDS = 120


class Said(NamedTuple):
    """What smolvm answered."""

    returncode: int
    stdout: bytes
    stderr: bytes


class NoAnswerError(RuntimeError):
    """A real smolvm that says nothing that could be understood."""


class Inspection:
    """Asks the real binary, or the fake in this process if there is none, for one HOME."""

    def __init__(self, sandbox: Sandbox, binary: str | None, version: str) -> None:
        self._sandbox = sandbox
        self._binary = binary
        self._version = version

    def ask(self, *argv: str) -> Said:
        """Run `smolvm` on `argv`, unnoticed by the test.

        Raises:
            NoAnswerError: A real one cannot be started, or does not end.
        """
        env = {**os.environ, "HOME": str(self._sandbox.home)}
        if self._binary is not None:
            try:
                done = subprocess.run(
                    [self._binary, *argv],
                    env=env,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=_TIMEOUT_SECONDS,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise NoAnswerError(f"smolvm {' '.join(argv)}: {error}") from None
            return Said(done.returncode, done.stdout, done.stderr)
        env.setdefault(variables.VERSION, self._version)
        env.pop(variables.SCENARIO, None)  # what happens to the test does not happen here
        from fake_smolvm.host import Host

        stdout, stderr = io.BytesIO(), io.BytesIO()
        host = Host(
            env=env,
            cwd=str(self._sandbox.folder),
            stdin=io.BytesIO(),
            stdout=cast("BinaryIO", stdout),
            stderr=cast("BinaryIO", stderr),
            in_process=True,
        )
        code = entry.run(argv, host)
        return Said(code, stdout.getvalue(), stderr.getvalue())

    def states(self) -> dict[str, str]:
        """Return every machine's state by its name; empty if the fake's store cannot be read.

        Raises:
            NoAnswerError: A real smolvm does not say.
        """
        if self._binary is None:
            # Not by `ls`: whatever hazard that met would be held against the test.
            try:
                records = Store(self.paths).all()
            except CommandError:
                return {}
            return {record.name: lifecycle.state_of(self.paths, record) for record in records}
        return {machine["name"]: machine["state"] for machine in self._listed()}

    def _listed(self) -> list[dict[str, Any]]:
        """Return what `machine ls --json` of a real smolvm lists.

        Raises:
            NoAnswerError: That is no list of machines.
        """
        said = self.ask("machine", "ls", "--json")
        try:
            listed: list[dict[str, Any]] = json.loads(said.stdout)
            if said.returncode == 0 and all("name" in one and "state" in one for one in listed):
                return listed
        except (ValueError, TypeError):
            pass
        answer = (said.stderr or said.stdout).decode(errors="replace").strip()
        raise NoAnswerError(
            f"smolvm machine ls --json lists no machines: {answer[:200]!r}, "
            f"exit code {said.returncode}"
        )

    def status(self, name: str) -> dict[str, Any]:
        """Return what `machine status --json` says.

        Raises LookupError if there is no such machine.
        """
        said = self.ask("machine", "status", "--name", name, "--json")
        if said.returncode:
            raise LookupError(said.stderr.decode(errors="replace").strip())
        status: dict[str, Any] = json.loads(said.stdout)
        return status

    def read_bytes(self, name: str, path: str) -> bytes:
        """Read a file of a machine's guest, by an absolute path; a real machine must be running.

        Raises OSError if it cannot be read, LookupError if there is no such machine.
        """
        if self._binary is None:
            tree = guest_files(self.paths, self._record(name))
            with open(tree.open(path, os.O_RDONLY), "rb") as file:
                return file.read()
        with tempfile.TemporaryDirectory(prefix="smolvm-") as folder:
            copy = Path(folder, "file")
            said = self.ask("machine", "cp", f"{name}:{path}", str(copy))
            if said.returncode:
                raise OSError(said.stderr.decode(errors="replace").strip())
            return copy.read_bytes()

    def reach(self, name: str, destination: str) -> egress.Reach:
        """Tell whether a machine of the fake reaches a destination.

        Raises LookupError if there is no such machine.
        """
        network = egress.network_of(self.paths.env)
        return egress.reach(self._record(name), destination, network)

    def _record(self, name: str) -> Record:
        record = Store(self.paths).get(name)
        if record is None:
            raise LookupError(f"there is no machine {name!r}")
        return record

    @property
    def paths(self) -> Paths:
        """Where the fake keeps its state.

        Raises RuntimeError for a real smolvm, into whose machines nobody can look.
        """
        if self._binary is not None:
            raise RuntimeError("a real machine cannot be looked into from outside")
        return Paths({**os.environ, "HOME": str(self._sandbox.home)})

    def orphans(self) -> list[int]:
        """Return processes of machines that no machine owns up to; the fake's end by themselves."""
        if self._binary is None:
            return []
        known = {machine.get("pid") for machine in self._listed()}
        return [pid for pid in self._processes() if pid not in known]

    def _processes(self) -> list[int]:
        """Return the processes that boot a machine of this HOME: they name its data directory."""
        listed = subprocess.run(
            ["ps", "-Awwo", "pid=,args="], capture_output=True, text=True, check=False
        ).stdout
        lines = [line.split(maxsplit=1) for line in listed.splitlines()]
        home = f"{self._sandbox.home}/"
        return [int(line[0]) for line in lines if BOOT_COMMAND in line[-1] and home in line[-1]]

    def tear_down(self) -> list[str]:
        """Stop and delete every machine: those of this HOME, so the test's own.

        Returns:
            What could not be done, a sentence each.
        """
        told = []
        try:
            answers = {name: self._deleted(name) for name in self.states()}
            told += [
                f"could not be cleaned up: machine {name!r}, {state}; "
                f"machine delete -f said {answers.get(name, '')!r}"
                for name, state in self.states().items()
            ]
        except NoAnswerError as error:
            told.append(f"could not be cleaned up: {error}")
        for pid in self._processes() if self._binary is not None else ():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            except PermissionError:
                told.append(f"could not be cleaned up: process {pid} of a machine; kill it as root")
        return told

    def _deleted(self, name: str) -> str:
        """Stop and delete a machine; return what delete said."""
        self.ask("machine", "stop", "--name", name)
        named = ["--name", name] if says(self._version, "names_are_options") else [name]
        said = self.ask("machine", "delete", "-f", *named)
        return (said.stderr or said.stdout).decode(errors="replace").strip()[:200]
