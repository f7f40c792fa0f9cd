"""What a guest looks like before anybody has changed it: its identity and its first files.

An identity is data, `identities/<name>.json`: `commands` (folder -> names, in one text), `files`,
`links` (path -> target), and `shell` (which of ash and bash `sh` is).
"""

from __future__ import annotations

import os

from fake_smolvm.fastjson import loads
from fake_smolvm.machines.tree import GuestTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_FOLDER = os.path.join(os.path.dirname(__file__), "identities")
_READY = ".smolvm-ready"
"""The file that the agent leaves in `/`; where it is, the root is laid out."""

_SHOWN = "proc/commands"
"""Where this file is, the commands are files; a guest cannot make one there."""

_FOLDERS = """
bin dev dev/pts dev/shm etc home lib media mnt opt proc proc/self proc/sys root run sbin srv storage
storage/workspace sys tmp usr usr/bin usr/lib usr/local usr/local/bin usr/local/sbin usr/sbin
usr/share var var/cache var/lib var/log var/run var/tmp
""".split()  # noqa: SIM905
_FILES = {
    "etc/hostname": "localhost\n",
    "etc/hosts": "127.0.0.1\tlocalhost\n::1\tlocalhost\n",
    "etc/resolv.conf": "nameserver 1.1.1.1\nnameserver 8.8.8.8\n",
    "proc/cmdline": "reboot=k panic=-1 panic_print=0 console=hvc0 rootfstype=virtiofs rw quiet\n",
    "proc/filesystems": "nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\n\text4\nnodev\toverlay\n",
    "proc/loadavg": "0.00 0.00 0.00 1/60 640\n",
    "proc/uptime": "12.46 10.31\n",
    "proc/version": "Linux version 6.12.76 (root@libkrunfw) #1 SMP PREEMPT_DYNAMIC\n",
    _READY: "1\n",
}
_BUSYBOX_HEAD = b"\x7fELF\x02\x01\x01" + bytes(57)


class Identity:
    """How the guest of an image looks."""

    __slots__ = ("commands", "data", "name", "names")

    def __init__(self, name: str, data: dict[str, Any]) -> None:
        self.name = name
        self.data = data
        self.commands: dict[str, list[str]] = {
            folder: names.split() for folder, names in data["commands"].items()
        }
        self.names = frozenset(name for names in self.commands.values() for name in names)

    @property
    def has_bash(self) -> bool:
        """Whether there is a bash; else `sh` is busybox's ash."""
        return bool(self.data["shell"] == "bash")

    def folder_of(self, command: str) -> str | None:
        """Give the absolute path of the folder that a command is in; None if there is none."""
        for folder, names in self.commands.items():
            if command in names:
                return folder
        return None

    def has(self, path: str) -> bool:
        """Whether an absolute path is that of a command."""
        folder, _, name = path.rpartition("/")
        target = self.data.get("links", {}).get(folder)
        if target is not None:
            folder = f"/{target}"
        if folder in self.commands:
            return name in self.commands[folder]
        # `/usr/bin/env` is in scripts of all systems, wherever this one keeps it.
        return folder in ("/bin", "/usr/bin", "/sbin", "/usr/sbin") and name in ("env", "sh")


_loaded: dict[str, Identity] = {}


def load(name: str) -> Identity:
    """Give an identity by its name; one that is not known is the bare machine's, Alpine."""
    identity = _loaded.get(name)
    if identity is None:
        path = os.path.join(_FOLDER, f"{name}.json")
        if not os.path.exists(path):
            path = os.path.join(_FOLDER, "alpine.json")
        with open(path, encoding="utf-8") as file:
            identity = _loaded[name] = Identity(name, loads(file.read()))
    return identity


def is_laid_out(root: str) -> bool:
    """Return whether a machine's root has its first files."""
    return os.path.exists(os.path.join(root, _READY))


def lay_out(root: str, identity: Identity, workdir: str = "/") -> None:
    """Give a machine's root its first files, once; what is there already stays as it is.

    `workdir` is the folder that the image has for its commands.
    """
    if is_laid_out(root):
        return
    os.makedirs(root, exist_ok=True)
    _make_folders(root, identity, workdir)
    _make_files(root, identity)
    # The mark is the last file, so that a root that was left half-way is done again.
    for path, text in _FILES.items():
        _write(root, f"/{path}", text.encode())


def _make_folders(root: str, identity: Identity, workdir: str) -> None:
    # What an artifact brought may be links, which count in the guest only.
    for link, target in identity.data.get("links", {}).items():
        make_folder(root, f"/{target}")
        _make_link(root + link, target)
    for folder in _FOLDERS:
        make_folder(root, f"/{folder}")
    make_folder(root, workdir)
    _make_link(os.path.join(root, "workspace"), "/storage/workspace")


def _make_link(path: str, target: str) -> None:
    try:
        os.symlink(target, path)
    except FileExistsError:
        pass  # A folder that an artifact brought stays one; another exec may be laying out too.


def _make_files(root: str, identity: Identity) -> None:
    for path, text in identity.data["files"].items():
        _write(root, path, text.encode())
    if identity.folder_of("busybox") is not None:
        _write(root, "/bin/busybox", _BUSYBOX_HEAD, 0o755)


def make_folder(root: str, path: str) -> None:
    """Make a folder of the guest's, and those above it, unless something else is there."""
    try:
        GuestTree(root).place(f"{path}/-", make_folders=True).close()
    except OSError:
        pass


def make_file(root: str, path: str) -> None:
    """Make an empty file of the guest's, unless something else is there."""
    _write(root, path, b"")


def provide_scripts(root: str, identity: Identity, script: str) -> None:
    """Make files of the commands that a script names, if a line of shell can be what they are.

    They are data, `identities/scripts.json`: what the shell library lacks.
    """
    scripts = _scripts or _load_scripts()
    for name in scripts.keys() & identity.names:
        folder = identity.folder_of(name)
        if name in script and folder is not None:
            _write(root, f"{folder}/{name}", f"#!/bin/sh\n{scripts[name]}\n".encode(), 0o755)


def scripted() -> Iterable[str]:
    """Return the names of the commands that a line of shell can be."""
    return _scripts or _load_scripts()


def _load_scripts() -> dict[str, str]:
    with open(os.path.join(_FOLDER, "scripts.json"), encoding="utf-8") as file:
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
    _write(root, f"/{_SHOWN}", b"")


def show_command(root: str, folder: str, name: str) -> None:
    """Make the file of one command.

    The shell library takes its second line for a command that it has, and the rest for a script: of
    a command that it has not, or that is ours. There are no files that call themselves.
    """
    from fake_smolvm.machines.guest_commands import SYSTEM
    from fake_smolvm.machines.guest_files import COMMANDS

    if name in SYSTEM or name in COMMANDS:
        text = f'#!/bin/sh\n{name} "$@"\n'
    else:
        text = f'#!/bin/sh\n# bashkit builtin: {name}\n__not_emulated {name} "$@"\n'
    _write(root, f"{folder}/{name}", text.encode(), 0o755)


def _write(root: str, path: str, content: bytes, mode: int = 0o644) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        file = GuestTree(root).open(path, flags, mode)
    except OSError:
        return  # It is there, or an artifact's layers have no place for it.
    try:
        os.write(file, content)
    finally:
        os.close(file)
