"""A place of its own for one test: a HOME, a folder first on PATH, and what is noted there."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from fake_smolvm.harness import handed
from fake_smolvm.harness.inside import HOME, keep_inside
from fake_smolvm.harness.journal import Journal
from fake_smolvm.harness.starts import File
from fake_smolvm.install import write_executable
from fake_smolvm.machines import egress

if TYPE_CHECKING:
    from collections.abc import MutableMapping

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
        self.home = self.folder / HOME
        self.bin = self.folder / "bin"
        self.home.mkdir()
        self.bin.mkdir()
        self.scenario = self.folder / "scenario.toml"
        self.network = self.folder / "network.toml"
        self.network.touch()
        Journal.found(str(self.folder), _KEY)
        self.executable: File | None = None
        """What is to be found on PATH, as it was put there."""
        self.outside_home = os.environ.get("HOME", "")
        self.outside: dict[str, tuple[str, ...]] = {"HOME": _homes(self.outside_home)}
        """What variables said before the test began, for `keep_inside`."""

    def enter(self, monkeypatch: pytest.MonkeyPatch, *, real: bool = False) -> None:
        """Point the environment of this process at this place."""
        for name in list(os.environ):
            needed = real and name.startswith("SMOLVM_") and name not in _OUT_OF_HOME
            if name.startswith(_VARIABLES_OF_SMOLVM) and not needed:
                self.outside[name] = (os.environ[name],)
                monkeypatch.delenv(name)
        handed.install(Journal(str(self.folder)), lambda: self.executable, monkeypatch)
        monkeypatch.setenv("HOME", str(self.home))
        monkeypatch.setenv("PATH", str(self.bin), prepend=os.pathsep)
        if not real:
            monkeypatch.setenv(egress.VARIABLE, str(self.network))

    def put_on_path(
        self, module: str, *arguments: object, folder: str = "bin", **named: object
    ) -> Path:
        """Make an executable `smolvm` that runs `main` of a module of the harness.

        `main` gets this folder, what leads out of it (see `keep_inside`), and then `arguments`.
        """
        given = [repr(item) for item in (str(self.folder), self.outside, *arguments)]
        given += [f"{name}={item!r}" for name, item in named.items()]
        executable = self.folder / folder / "smolvm"
        executable.parent.mkdir(exist_ok=True)
        code = (
            f"from fake_smolvm.harness.{module} import main\nsys.exit(main({', '.join(given)}))\n"
        )
        write_executable(executable, code)
        if executable.parent == self.bin:
            self.executable = File.of(executable.stat())
        return executable

    def keep_inside(self, env: MutableMapping[str, str]) -> None:
        """Take out of a child's environment what leads out of this place."""
        keep_inside(env, str(self.folder), self.outside)
        env.setdefault(egress.VARIABLE, str(self.network))

    def remove(self) -> None:
        """Remove the place and all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)


_KEY = os.urandom(16).hex()
"""What scrambles secrets in the journal."""


def _homes(variable: str) -> tuple[str, ...]:
    """Return the folders that are the user's home: what HOME says, and what the system does."""
    homes = [variable] if variable else []
    with contextlib.suppress(KeyError):  # a user without a name
        homes.append(pwd.getpwuid(os.getuid()).pw_dir)
    return tuple(os.path.normpath(home) for home in homes)
