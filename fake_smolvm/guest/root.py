"""What a guest looks like before anybody has changed it: its identity and its first files.

An identity is data, `identities/<name>.json`: `commands` (folder -> names, in one text), `files`,
`links` (path -> target), and `shell` (which of ash and bash `sh` is).
"""

from __future__ import annotations

import os

from fake_smolvm.fastjson import loads
from fake_smolvm.guest.tree import GuestTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BARE = "alpine"
"""The identity of a machine without an image."""
_FOLDER = os.path.join(os.path.dirname(__file__), "identities")
_READY = ".smolvm-ready"
"""The file that the agent leaves in `/`; where it is, the root is laid out."""


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
            path = os.path.join(_FOLDER, f"{BARE}.json")
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
        write(root, f"/{path}", text.encode())


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
        write(root, path, text.encode())
    if identity.folder_of("busybox") is not None:
        write(root, "/bin/busybox", _BUSYBOX_HEAD, 0o755)


def make_folder(root: str, path: str) -> None:
    """Make a folder of the guest's, and those above it, unless something else is there."""
    try:
        GuestTree(root).place(f"{path}/-", make_folders=True).close()
    except OSError:
        pass


def make_file(root: str, path: str) -> None:
    """Make an empty file of the guest's, unless something else is there."""
    write(root, path, b"")


def write(root: str, path: str, content: bytes, mode: int = 0o644) -> None:
    """Write a file of the guest's, unless something is in its place."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        file = GuestTree(root).open(path, flags, mode)
    except OSError:
        return  # It is there, or an artifact's layers have no place for it.
    try:
        os.write(file, content)
    finally:
        os.close(file)
