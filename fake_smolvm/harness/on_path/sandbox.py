"""A place of its own for one test: a HOME, a folder first on PATH, and what is noted there."""

from __future__ import annotations

import contextlib
import os
import pwd
from typing import TYPE_CHECKING

from fake_smolvm import variables
from fake_smolvm.harness.on_path import handed
from fake_smolvm.harness.on_path.inside import HOME, keep_inside
from fake_smolvm.harness.on_path.journal import Journal
from fake_smolvm.harness.on_path.session_folder import session_folder
from fake_smolvm.harness.on_path.starts import File
from fake_smolvm.install import write_executable
from fake_smolvm.machines.removal import remove_tree

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from pathlib import Path

    import pytest

_BIN = "bin"
_VARIABLES_OF_SMOLVM = ("XDG_", "SMOLVM_", "FAKE_SMOLVM_")
"""What these begin could move a machine out of the test's HOME, or change what it does."""
_OUT_OF_HOME = ("SMOLVM_MACHINE_NAME", "SMOLVM_DATA_DIR", "SMOLVM_CONFIG")
"""Those that do so to a real one; others tell it where its own files are, or to be patient."""


class Sandbox:
    """Holds one test's machines, and nothing else's."""

    def __init__(self) -> None:
        self._session = session_folder()
        self.folder = self._session.add()
        self.home = self.folder / HOME
        self.home.mkdir()
        self.bin = self._session.bin
        """What is on PATH: the same in every test, see `session_folder`."""
        self.scenario = self.folder / "scenario.toml"
        self.network = self.folder / "network.toml"
        self.network.touch()
        Journal.found(str(self.folder), _KEY)
        self.executable: File | None = None
        """What is to be found on PATH, as it was put there."""
        self.outside_home = os.environ.get("HOME", "")
        self.outside: dict[str, tuple[str, ...]] = {"HOME": _homes(self.outside_home)}
        """What variables said before the test began, for `keep_inside`."""

    def enter(
        self, monkeypatch: pytest.MonkeyPatch, *, real: bool = False, keep_home: bool = False
    ) -> None:
        """Point the environment of this process at this place; `keep_home` leaves HOME alone."""
        for name in list(os.environ):
            needed = real and name.startswith("SMOLVM_") and name not in _OUT_OF_HOME
            if name.startswith(_VARIABLES_OF_SMOLVM) and not needed:
                self.outside[name] = (os.environ[name],)
                monkeypatch.delenv(name)
        handed.install(Journal(str(self.folder)), lambda: self.executable, monkeypatch)
        self._keeps_home = keep_home
        if not keep_home:
            monkeypatch.setenv("HOME", str(self.home))
        # Once: what refuses before the test's own is there (see `too_early`) is at the same place.
        path = os.environ.get("PATH", "").removeprefix(f"{self.bin}{os.pathsep}")
        monkeypatch.setenv(
            "PATH", os.pathsep.join([str(self.bin), path] if path else [str(self.bin)])
        )
        if not real:
            monkeypatch.setenv(variables.NETWORK, str(self.network))

    def put_on_path(
        self,
        module: str,
        *arguments: object,
        folder: str = _BIN,
        **named: object,
    ) -> Path:
        """Make an executable `smolvm` that runs `main` of a module of the harness.

        `main` gets this folder, what leads out of it (see `keep_inside`), and then `arguments`.
        """
        given = [repr(item) for item in (str(self.folder), self.outside, *arguments)]
        given += [f"{name}={item!r}" for name, item in named.items()]
        executable = self.folder / folder / "smolvm"
        executable.parent.mkdir(exist_ok=True)
        code = self._settling()
        code += (
            f"from fake_smolvm.harness.{module} import main\nsys.exit(main({', '.join(given)}))\n"
        )
        write_executable(executable, code)
        if folder == _BIN:
            self.note_executable()
        return executable

    def note_executable(self) -> None:
        """Remember what is to be found on PATH, as it is now."""
        self.executable = File.of((self.folder / _BIN / "smolvm").stat())

    def _settling(self) -> str:
        """Return code that puts right what a worker of an earlier test still has in its env."""
        return (
            "import os\n"
            f"for name, value in {self._inside!r}.items():\n"
            "    given = os.environ.get(name, '')\n"
            f"    if given.startswith({self.former!r}) and not os.path.exists(given):\n"
            "        os.environ[name] = value\n"
        )

    @property
    def _inside(self) -> dict[str, str]:
        return {"HOME": str(self.home), variables.NETWORK: str(self.network)}

    @property
    def former(self) -> str:
        """What the paths of all sandboxes begin with, also of those that are gone."""
        return f"{self._session.path}{os.sep}"

    def keep_inside(self, env: MutableMapping[str, str]) -> None:
        """Take out of a child's environment what leads out of this place."""
        for name, value in self._inside.items():
            given = env.get(name, "")
            if given.startswith(self.former) and not os.path.exists(given):
                env[name] = value
        keep_inside(env, str(self.folder), self.outside)
        env.setdefault(variables.NETWORK, str(self.network))

    def stay(self) -> None:
        """Enter this process's environment again, if something put back what was there before."""
        if str(self.bin) not in os.environ.get("PATH", "").split(os.pathsep):
            os.environ["PATH"] = f"{self.bin}{os.pathsep}{os.environ.get('PATH', '')}"
            if not self._keeps_home:
                os.environ["HOME"] = str(self.home)

    def leave(self) -> None:
        """Leave PATH: the `smolvm` there is no longer this one's."""
        self._session.leave(self.folder)

    def remove(self) -> None:
        """Remove the place and all that is in it."""
        remove_tree(str(self.folder))


_KEY = os.urandom(16).hex()
"""What scrambles secrets in the journal."""


def _homes(variable: str) -> tuple[str, ...]:
    """Return the folders that are the user's home: what HOME says, and what the system does."""
    homes = [variable] if variable else []
    with contextlib.suppress(KeyError):  # a user without a name
        homes.append(pwd.getpwuid(os.getuid()).pw_dir)
    return tuple(os.path.normpath(home) for home in homes)
