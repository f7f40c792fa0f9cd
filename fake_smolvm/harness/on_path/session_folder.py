"""One folder for all sandboxes of this process, and a `smolvm` in it that is always the newest's.

What code under test keeps from one test to the next (the answer of `shutil.which`, the PATH of a
fork server) names `current/bin/smolvm`, and `current` is a link that leads to the newest sandbox.
While there is none it leads to `idle`, whose `smolvm` refuses, and notes that in a file, `refused`.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from itertools import count
from pathlib import Path
from shlex import quote

_IDLE = "idle"
_REFUSING = """\
#!/bin/sh
echo "fake_smolvm: no smolvm here now: what this path belonged to is over, or not there yet; \
ask for the fixture smolvm, or for fake_smolvm.sandbox()" >&2
echo x >> {refused}
exit 70
"""


class SessionFolder:
    """The sandboxes of one process."""

    def __init__(self) -> None:
        # A short path: the real smolvm makes Unix sockets under HOME, whose paths may be 107 bytes.
        self.path = Path(tempfile.mkdtemp(prefix="smolvm-"))
        self.bin = self.path / "current" / "bin"
        self.refused = self.path / "refused"
        self._pid = os.getpid()
        self._numbers = count(1)
        self._stack = [_IDLE]
        self._is_idle = self._is_gone = False
        refusing = self.path / _IDLE / "bin" / "smolvm"
        refusing.parent.mkdir(parents=True)
        refusing.write_text(_REFUSING.format(refused=quote(str(self.refused))), encoding="utf-8")
        refusing.chmod(0o755)
        self._point()
        atexit.register(self.remove)

    @property
    def is_empty(self) -> bool:
        """Whether no sandbox is left in it."""
        return len(self._stack) == 1

    @property
    def is_of_this_process(self) -> bool:
        """Whether this process made it, not one that this is a fork of."""
        return self._pid == os.getpid()

    def add(self) -> Path:
        """Make the folder of a new sandbox, which is the current one from now on."""
        name = str(next(self._numbers))
        (self.path / name).mkdir()
        self._stack.append(name)
        self._point()
        return self.path / name

    def leave(self, folder: Path) -> None:
        """Take a sandbox out: it is no longer the current one."""
        if folder.name in self._stack:
            self._stack.remove(folder.name)
            if self._is_gone:
                self.remove()  # a block that was never left ends with the interpreter
            else:
                self._point()

    def begin_idle(self) -> None:
        """Have `smolvm` refuse until there is a new sandbox."""
        if self._stack[-1] != _IDLE:
            self._stack.append(_IDLE)
            self._point()
            self._is_idle = True

    def end_idle(self) -> None:
        """Have it be again what it was when it began to refuse."""
        if self._is_idle:
            self._is_idle = False
            del self._stack[len(self._stack) - 1 - self._stack[::-1].index(_IDLE)]
            self._point()

    def remove(self) -> None:
        """Remove it, if this process made it."""
        atexit.unregister(self.remove)
        self._is_gone = True
        if self.is_of_this_process:
            shutil.rmtree(self.path, ignore_errors=True)

    def _point(self) -> None:
        # Replaced in one step: at no moment is there no smolvm.
        new = self.path / "next"
        new.unlink(missing_ok=True)
        new.symlink_to(self._stack[-1])
        new.replace(self.path / "current")


_folder: SessionFolder | None = None


def session_folder() -> SessionFolder:
    """Return the folder of this process, made when it is first needed."""
    global _folder  # noqa: PLW0603
    if _folder is None or not _folder.is_of_this_process or not _folder.path.exists():
        _folder = SessionFolder()
    return _folder


def outside(path: str) -> str:
    """Return a PATH without what is ours."""
    entries = path.split(os.pathsep)
    ours = "" if _folder is None else f"{_folder.path}{os.sep}"
    return os.pathsep.join(one for one in entries if not ours or not one.startswith(ours))


def remove_if_empty() -> None:
    """Remove the folder of this process, unless a sandbox is in it."""
    global _folder  # noqa: PLW0603
    if _folder is not None and _folder.is_empty:
        _folder.remove()
        _folder = None
