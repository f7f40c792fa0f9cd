"""A place of its own for one test: a HOME, a folder first on PATH, and what is noted there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from fake_smolvm.install import write_executable
from fake_smolvm.machines import egress
from fake_smolvm.machines.removal import remove_tree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import pytest

_VARIABLES_OF_SMOLVM = ("XDG_", "SMOLVM_", "FAKE_SMOLVM_")
"""What these begin could move a machine out of the test's HOME, or change what it does."""
_OUT_OF_HOME = ("SMOLVM_MACHINE_NAME", "SMOLVM_DATA_DIR", "SMOLVM_CONFIG")
"""Those that do so to a real one; others tell it where its own files are, or to be patient."""


class Sandbox:
    """Holds one test's machines, and nothing else's."""

    def __init__(self) -> None:
        # A short path: the real smolvm makes Unix sockets under HOME, whose paths may be 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="smolvm-"))
        self.home = self.folder / "home"
        self.bin = self.folder / "bin"
        self.home.mkdir()
        self.bin.mkdir()
        self.journal = str(self.folder / "calls.journal")
        self.scenario = self.folder / "scenario.toml"
        self.network = self.folder / "network.toml"
        self.network.touch()
        self.outside_home = os.environ.get("HOME", "")

    def enter(self, monkeypatch: pytest.MonkeyPatch, *, real: bool = False) -> None:
        """Point the environment of this process at this place."""
        for name in list(os.environ):
            needed = real and name.startswith("SMOLVM_") and name not in _OUT_OF_HOME
            if name.startswith(_VARIABLES_OF_SMOLVM) and not needed:
                monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", str(self.home))
        monkeypatch.setenv("PATH", str(self.bin), prepend=os.pathsep)
        if not real:
            monkeypatch.setenv(egress.VARIABLE, str(self.network))

    def put_on_path(
        self, module: str, *arguments: object, folder: str = "bin", **named: object
    ) -> Path:
        """Make an executable `smolvm` that runs `main` of a module of the harness.

        `main` gets this folder, the HOME of outside, and then `arguments`.
        """
        given = [repr(item) for item in (str(self.folder), self.outside_home, *arguments)]
        given += [f"{name}={item!r}" for name, item in named.items()]
        executable = self.folder / folder / "smolvm"
        executable.parent.mkdir(exist_ok=True)
        code = (
            f"from fake_smolvm.harness.{module} import main\nsys.exit(main({', '.join(given)}))\n"
        )
        write_executable(executable, code)
        return executable

    def environment(self, env: Mapping[Any, Any]) -> dict[str, str]:
        """Give the environment of a child started with this `env=`, with HOME kept inside.

        An `env` that the code under test made before the test began may still hold the HOME of
        outside; one that it chose itself is left alone.
        """
        inside = {os.fsdecode(name): os.fsdecode(value) for name, value in env.items()}
        if inside.get("HOME", "") in ("", self.outside_home):
            inside["HOME"] = str(self.home)
        inside.setdefault(egress.VARIABLE, str(self.network))
        return inside

    def remove(self) -> None:
        """Remove the place and all that is in it."""
        remove_tree(str(self.folder))
