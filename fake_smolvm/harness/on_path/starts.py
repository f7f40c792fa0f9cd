"""Which start of a process is one of `smolvm`: of that executable, found as the system finds it."""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, NamedTuple

from fake_smolvm import variables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROGRAM = "smolvm"

_MOST_ARGUMENT_CHARACTERS = 1 << 15
"""Of the whole command line and environment: with more, the kernel is asked whether that fits."""

_ENVIRON = os.environ
"""What a child inherits, also while a test has put something else in its place."""


def is_smolvm(command: Any) -> bool:
    """Tell whether a command as given to Popen, a string or a sequence, may start `smolvm`."""
    program = words(command)[:1]
    try:
        return bool(program) and os.path.basename(os.fsdecode(program[0])) == PROGRAM
    except TypeError:
        return False


def words(command: Any) -> Sequence[Any]:
    """Return the words of a command as given to Popen."""
    return (command,) if isinstance(command, str | bytes | os.PathLike) else tuple(command)


class Start(NamedTuple):
    """How a process is started."""

    argv: list[str]
    cwd: str
    env: Environ

    def is_plain(self) -> bool:
        """Tell whether its home is a place that does not depend on where a process is."""
        homes = (self.env.data.get(name, b"") for name in (b"HOME", variables.HOME.encode()))
        return all(not home or home.startswith(b"/") for home in homes)


def understood(
    args: Any, executable: Any, cwd: Any, env: Mapping[Any, Any] | None, wanted: File
) -> Start | None:
    """Return how the executable `wanted` is started by these arguments of Popen; None if it is not.

    Nor where that might be refused: the standard library is to try, and to say what is wrong.
    """
    if not is_smolvm(args if executable is None else executable):
        return None
    try:
        argv = [os.fsdecode(word) for word in words(args)]
        program = os.fsencode(argv[0] if executable is None else executable)
        folder = os.getcwd() if cwd is None else os.path.abspath(os.fsdecode(cwd))
        given = Environ.of(env)
        size = sum(map(len, argv)) + sum(len(name) + len(it) for name, it in given.data.items())
        fits = size < _MOST_ARGUMENT_CHARACTERS and not any("\0" in word for word in argv)
        if not fits or not (cwd is None or os.access(os.path.join(folder, ""), os.X_OK)):
            return None
        if _finds(program, env, folder, wanted):
            return Start(argv, folder, given)
    except (OSError, TypeError, ValueError, IndexError, AttributeError):
        pass
    return None


def _finds(program: bytes, env: Mapping[Any, Any] | None, folder: str, wanted: File) -> bool:
    """Tell whether a program is found, by its path or on PATH, and is the one wanted."""
    paths = [b""] if b"/" in program else [os.fsencode(path) for path in os.get_exec_path(env)]
    for path in paths:
        file = os.path.join(os.fsencode(folder), path, program)
        try:
            status = os.stat(file)
        except OSError:
            continue  # nothing there, or nobody may look: the next one, as for exec
        return File.of(status) == wanted and os.access(file, os.X_OK)
    return False


class File(NamedTuple):
    """A file with what it holds, as far as that can be told without reading."""

    device: int
    number: int
    size: int
    changed: int

    @classmethod
    def of(cls, status: os.stat_result) -> File:
        """Return what a `stat` tells of a file."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class Environ(MutableMapping[str, str]):
    """A process's environment, as it was at its start."""

    __slots__ = ("data",)

    def __init__(self, data: dict[bytes, bytes]) -> None:
        self.data = data

    @classmethod
    def of(cls, env: Mapping[Any, Any] | None) -> Environ:
        """Make one of what Popen takes as `env=`."""
        if env is None:
            inherited = getattr(_ENVIRON, "_data", None)
            if isinstance(inherited, dict):
                return cls(inherited.copy())
            env = _ENVIRON
        data = {os.fsencode(name): os.fsencode(value) for name, value in env.items()}
        if any(b"=" in name or b"\0" in name or b"\0" in it for name, it in data.items()):
            raise ValueError("illegal environment variable")
        return cls(data)

    def __getitem__(self, name: str) -> str:
        try:
            return os.fsdecode(self.data[os.fsencode(name)])
        except KeyError:
            raise KeyError(name) from None

    def __setitem__(self, name: str, value: str) -> None:
        self.data[os.fsencode(name)] = os.fsencode(value)

    def __delitem__(self, name: str) -> None:
        del self.data[os.fsencode(name)]

    def __iter__(self) -> Iterator[str]:
        return map(os.fsdecode, self.data)

    def __len__(self) -> int:
        return len(self.data)
