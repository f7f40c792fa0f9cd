"""The files of commands, for scripts that look where commands are.

bashkit takes the second line of such a file for the name of a command that it has.
"""

from __future__ import annotations

import os

from fake_smolvm.fastjson import loads
from fake_smolvm.guest.bashkit.programs.table import SYSTEM, WITH_VOLUMES
from fake_smolvm.guest.root import write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from fake_smolvm.guest.root import Identity

_SHOWN = "proc/commands"
"""Where this file is, the commands are files; a guest cannot make one there."""
_SCRIPTS = os.path.join(os.path.dirname(__file__), "scripts.json")


def provide_scripts(root: str, identity: Identity, script: str) -> None:
    """Make files of the commands that a script names, if a line of shell can be what they are.

    They are data, `scripts.json`: what the shell library lacks.
    """
    scripts = _scripts or _load_scripts()
    for name in scripts.keys() & identity.names:
        folder = identity.folder_of(name)
        if name in script and folder is not None:
            write(root, f"{folder}/{name}", f"#!/bin/sh\n{scripts[name]}\n".encode(), 0o755)


def scripted() -> Iterable[str]:
    """Return the names of the commands that a line of shell can be."""
    return _scripts or _load_scripts()


def _load_scripts() -> dict[str, str]:
    with open(_SCRIPTS, encoding="utf-8") as file:
        _scripts.update(loads(file.read()))
    return _scripts


_scripts: dict[str, str] = {}


def show_commands(root: str, identity: Identity) -> None:
    """Make a file of every command, for guests that look into the folders of commands.

    The content is what the shell library takes for the command of that name.
    """
    if os.path.lexists(f"{root}/{_SHOWN}"):
        return
    provide_scripts(root, identity, " ".join(identity.names))
    for folder, names in identity.commands.items():
        for name in names:
            show_command(root, folder, name)
    write(root, f"/{_SHOWN}", b"")


def show_command(root: str, folder: str, name: str) -> None:
    """Make the file of one command.

    The shell library takes its second line for a command that it has, and the rest for a script: of
    a command that it has not, or that is ours. There are no files that call themselves.
    """
    if name in SYSTEM or name in WITH_VOLUMES:
        text = f'#!/bin/sh\n{name} "$@"\n'
    else:
        text = f'#!/bin/sh\n# bashkit builtin: {name}\n__not_emulated {name} "$@"\n'
    write(root, f"{folder}/{name}", text.encode(), 0o755)
