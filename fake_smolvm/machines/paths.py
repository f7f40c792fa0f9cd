"""Where the fake keeps its state, and which paths the real smolvm would have printed instead.

Environment variables that are data of a test:

- `FAKE_SMOLVM_HOME`: the root, instead of `HOME`.
- `FAKE_SMOLVM_KVM=0`: a host without a hypervisor, on which no machine starts.
- `FAKE_SMOLVM_BOOT_SECONDS`: how long a machine takes to boot (default 0).
"""

from __future__ import annotations

import os
from errno import ENOTDIR

from fake_smolvm.errors import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

STATE_FOLDER = ".fake_smolvm"
"""Name of the folder under the root that holds everything of the fake's."""


class Paths:
    """The paths of one root; `root` is absolute."""

    __slots__ = ("env", "root", "state")

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env
        self.root = os.path.abspath(env.get("FAKE_SMOLVM_HOME") or _home(env))
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
        """The data directory of a machine; it need not exist."""
        return os.path.join(self.state, "vms", directory_name(name))

    def guest_root(self, name: str) -> str:
        """The folder that is `/` inside the machine; it need not exist."""
        return os.path.join(self.machine_dir(name), "root")

    def make_state(self) -> None:
        """Make the state folder (mode 0700).

        Raises CommandError, worded as 0.8.0 words a data directory that it cannot make.
        """
        if os.path.isdir(self.state):
            return
        try:
            os.makedirs(self.root, exist_ok=True)
            os.mkdir(self.state, 0o700)
        except OSError as error:
            if isinstance(error, FileExistsError) and os.path.isdir(self.state):
                return  # Another process was first.
            if isinstance(error, FileExistsError):
                error = NotADirectoryError(ENOTDIR, "")
            raise CommandError(
                f"database operation failed: create directory: {os_error_text(error)}"
            ) from None

    def make_machine_dir(self, name: str) -> str:
        """Make the data directory of a machine and return it.

        Raises CommandError when it cannot be made.
        """
        folder = self.machine_dir(name)
        try:
            os.makedirs(folder, exist_ok=True)
            name_file = os.path.join(folder, "name")
            if not os.path.exists(name_file):
                with open(name_file, "wb", buffering=0) as file:
                    file.write(os.fsencode(name))
        except OSError as error:
            raise CommandError(f"io operation failed: {os_error_text(error)}") from None
        return folder

    def shown_data_dir(self, name: str) -> str:
        """What 0.8.0 prints as a machine's data directory."""
        return os.path.join(self.shown_cache_dir(), "smolvm/vms", directory_name(name))

    def shown_cache_dir(self) -> str:
        """What 0.8.0 takes for the user's cache directory."""
        return self._xdg("XDG_CACHE_HOME", ".cache")

    def _xdg(self, variable: str, default: str) -> str:
        chosen = self.env.get(variable, "")
        return chosen if chosen.startswith("/") else os.path.join(self.root, default)


def directory_name(name: str) -> str:
    """The first 16 hex digits of the SHA-256 of a machine's name."""
    return _sha256(os.fsencode(name))[:16]


def os_error_text(error: OSError) -> str:
    """An operating system error as Rust prints it: `No such file or directory (os error 2)`."""
    return f"{os.strerror(error.errno or 0)} (os error {error.errno})"


def _home(env: Mapping[str, str]) -> str:
    home = env.get("HOME")
    if home:
        return home
    import pwd

    return pwd.getpwuid(os.getuid()).pw_dir


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
