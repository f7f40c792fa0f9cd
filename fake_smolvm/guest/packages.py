"""The packages that the package managers of guests find: data (`packages.json`), not a mirror.

What is installed lies in the guest: a list of commands in its root, and a file for each, so that it
is kept, copied and packed as the guest's other files are.
"""

from __future__ import annotations

import os
from io import FileIO

from fake_smolvm.fastjson import loads
from fake_smolvm.guest.root import Identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_FILE = os.path.join(os.path.dirname(__file__), "packages.json")
_INSTALLED = ".smolvm-packages"
FOLDER = "/usr/bin"


class UnknownPackageError(Exception):
    """There is no package of that name; its argument is the name."""


def mirrors() -> Mapping[str, str]:
    """Give the address of each host that packages come from, by its name."""
    found: Mapping[str, str] = _data()["mirrors"]
    return found


def with_installed(identity: Identity, root: str) -> Identity:
    """Give an identity with the commands that were installed in the guest at `root`."""
    try:
        with _open(root, os.O_RDONLY) as file:
            installed = file.read().decode(errors="replace")
    except OSError:
        return identity
    commands = dict(identity.data["commands"])
    commands[FOLDER] = f"{commands.get(FOLDER, '')} {installed}"
    return Identity(identity.name, {**identity.data, "commands": commands})


def install(names: Iterable[str], root: str) -> list[str]:
    """Install packages in the guest at `root`: all of them, or none.

    Returns:
        The names of the commands that come with them; their folder is `FOLDER`.

    Raises:
        UnknownPackageError: there is no such package.
    """
    known: Mapping[str, str] = _data()["commands"]
    commands: list[str] = []
    for name in names:
        if name not in known:
            raise UnknownPackageError(name)
        commands += known[name].split()
    with _open(root, os.O_WRONLY | os.O_CREAT | os.O_APPEND) as file:
        file.write("".join([f"{command}\n" for command in commands]).encode())
    return commands


def _open(root: str, flags: int) -> FileIO:
    """Open the list of what is installed; a link that the guest put there is not followed."""
    path = os.path.join(root, _INSTALLED)
    mode = "rb" if flags == os.O_RDONLY else "ab"
    return FileIO(os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644), mode)


def _data() -> Mapping[str, Mapping[str, str]]:
    with open(_FILE, encoding="utf-8") as file:
        data: Mapping[str, Mapping[str, str]] = loads(file.read())
    return data
