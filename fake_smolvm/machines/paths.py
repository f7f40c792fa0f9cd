"""Where the fake keeps its state, and which paths the real smolvm would have printed instead.

Environment variables that are data of a test:

- `FAKE_SMOLVM_HOME`: the root, instead of `HOME`.
- `FAKE_SMOLVM_KVM=0`: a host without a hypervisor, on which no machine starts, and without the
  library that a machine is packed with. `1`, or nothing: a host that has both.
- `FAKE_SMOLVM_BOOT_SECONDS`: how long a machine takes to boot (default 0, at most a day).
"""

from __future__ import annotations

import os
from errno import ENOTDIR

from fake_smolvm import variables
from fake_smolvm.errors import CommandError, os_error_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

STATE_FOLDER = ".fake_smolvm"
"""Name of the folder under the root that holds everything of the fake's."""

_SMALL = 4096
"""Bytes that the longest of the fake's small files may have."""

_NO_HOME = "/dev/null"
"""Root of a user without a home: no folder, and no file in it, is ever there."""


class Paths:
    """The paths of one root; `root` is absolute, unless the working directory is gone."""

    __slots__ = ("env", "has_home", "root", "shown_root", "state")

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env
        home = env.get(variables.HOME) or _home(env)
        self.has_home = home is not None
        """Whether there is a home at all: `HOME` may be unset, and the user not in passwd."""
        self.shown_root = home or _NO_HOME
        """The root as it was given, which is how 0.8.0 prints it."""
        self.root = _absolute(self.shown_root)
        self.state = os.path.join(self.root, STATE_FOLDER)

    @property
    def store(self) -> str:
        """The file that holds every machine's record."""
        return os.path.join(self.state, "machines.db")

    @property
    def hazards(self) -> str:
        """The journal of hazards that commands ran into, one JSON object a line."""
        return os.path.join(self.state, "hazards.jsonl")

    def machine_dir(self, name: str) -> str:
        """Return the data directory of a machine; it need not exist."""
        return os.path.join(self.state, "vms", directory_name(name))

    def guest_root(self, name: str) -> str:
        """Return the folder that is `/` inside the machine; it need not exist."""
        return os.path.join(self.machine_dir(name), "root")

    def start_locks(self, name: str) -> list[str]:
        """Return the files that a start locks: the machine's own, and the one of all machines."""
        return [
            os.path.join(folder, "start.lock") for folder in (self.machine_dir(name), self.state)
        ]

    def make_state(self) -> None:
        """Make the state folder (mode 0700).

        Raises:
            CommandError: If it cannot be made, in 0.8.0's words for a data directory.
        """
        if os.path.isdir(self.state):
            return
        if not self.has_home:
            raise CommandError("database not available: could not determine local data directory")
        try:
            os.makedirs(self.root, exist_ok=True)
            os.mkdir(self.state, 0o700)
        except OSError as error:
            if isinstance(error, FileExistsError) and os.path.isdir(self.state):
                return  # Another process was first.
            raise CommandError(
                f"database operation failed: create directory: {_folder_error_text(error)}"
            ) from None

    def make_machine_dir(self, name: str) -> str:
        """Make the data directory of a machine and return it.

        Raises:
            CommandError: If it cannot be made.
        """
        if not self.has_home:
            raise CommandError(
                "storage operation failed: resolve path: could not determine data directory"
            )
        folder = self.machine_dir(name)
        try:
            os.makedirs(folder, exist_ok=True)
            name_file = os.path.join(folder, "name")
            if not os.path.exists(name_file):
                with open(name_file, "wb", buffering=0) as file:
                    file.write(os.fsencode(name))
        except OSError as error:
            raise CommandError(f"io operation failed: {_folder_error_text(error)}") from None
        return folder

    def shown_data_dir(self, name: str) -> str:
        """Return what 0.8.0 prints as a machine's data directory."""
        return os.path.join(self.shown_cache_dir(), "smolvm/vms", directory_name(name))

    def shown_cache_dir(self) -> str:
        """Return what 0.8.0 takes for the user's cache directory."""
        chosen = self.env.get("XDG_CACHE_HOME", "")
        if chosen.startswith("/"):
            return chosen
        return os.path.join(self.shown_root, ".cache") if self.has_home else "/tmp"  # noqa: S108


def directory_name(name: str) -> str:
    """Return the first 16 hex digits of the SHA-256 of a machine's name."""
    return _sha256(os.fsencode(name))[:16]


def read_small(path: str) -> bytes:
    """Read a file of a line or two; what is no file, a pipe perhaps, is not waited for.

    Raises:
        OSError: If it cannot be read.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return os.read(file, _SMALL)
    finally:
        os.close(file)


def _folder_error_text(error: OSError) -> str:
    """Return what Rust says of a folder that cannot be made: a file in its way is no directory."""
    if isinstance(error, FileExistsError):
        error = NotADirectoryError(ENOTDIR, "")
    return os_error_text(error)


def _absolute(path: str) -> str:
    try:
        return os.path.abspath(path)
    except OSError:
        return path  # The working directory is gone; so is all that is relative to it.


def _home(env: Mapping[str, str]) -> str | None:
    home = env.get("HOME")
    if home:
        return home
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return None


def _sha256(data: bytes) -> str:
    # An import that fails is tried anew every time: in process that would cost more than the rest.
    digest = _digests.get(data)
    if digest is None:
        # hashlib takes 2 ms to import (it loads OpenSSL); the small module behind it has two names.
        try:
            from _sha2 import sha256  # type: ignore[import-not-found] # Python 3.12 on
        except ImportError:
            try:
                from _sha256 import sha256  # type: ignore[import-not-found]
            except ImportError:
                from hashlib import sha256
        digest = _digests[data] = str(sha256(data).hexdigest())
    return digest


_digests: dict[bytes, str] = {}
