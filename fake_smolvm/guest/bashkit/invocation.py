"""One program of ours while it runs: what it is given, and where its output goes."""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias

    from fake_smolvm.guest.bashkit.inside import Inside

    Command: TypeAlias = Callable[["Invocation"], int]


class Stopped(Exception):  # noqa: N818 - not an error
    """The command was told to end."""


class Invocation:
    """One command being run: what it was given, and where its output goes."""

    __slots__ = ("argv", "cwd", "env", "guest", "out", "read", "stderr", "wait")

    def __init__(
        self,
        guest: Inside,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str,
        read: Callable[[int], bytes],
        out: Callable[[bytes], None],
        stderr: Callable[[bytes], None],
        wait: Callable[[float | None], None],
    ) -> None:
        self.guest = guest
        self.argv = argv
        self.env = env
        self.cwd = cwd
        self.read = read
        """Gives at most so many bytes of stdin; none at its end."""
        self.out = out
        self.stderr = stderr
        self.wait = wait
        """Sleeps so many seconds, or for ever; raises Stopped when the command is to end."""

    def say(self, text: str) -> None:
        """Write a line to stdout."""
        self.out(text.encode("utf-8", "surrogateescape") + b"\n")

    def complain(self, text: str) -> int:
        """Write a line to stderr, with the command's name before it; give exit code 1."""
        line = f"{self.argv[0].rpartition('/')[2]}: {text}\n"
        self.stderr(line.encode("utf-8", "surrogateescape"))
        return 1

    def path(self, path: str) -> str:
        """Return the absolute guest path of one that may be relative."""
        return os.path.join(self.cwd, path)

    def open(self, path: str, flags: int) -> int:
        """Open a file of the guest's; return its descriptor. Raise OSError."""
        return self.guest.tree.open(self.path(path), flags)

    def save(self, path: str, content: bytes) -> None:
        """Put a content into a file of the guest's, whatever was in it; raise OSError."""
        file = self.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        with open(file, "wb", buffering=0) as stream:
            stream.write(content)


def reason(call: Invocation, error: OSError) -> str:
    """Return why something failed, in the words of the guest's C library."""
    number = error.errno or 0
    text = os.strerror(number)
    return text if call.guest.identity.has_bash else _MUSL.get(number, text)


_MUSL = {
    errno.EBUSY: "Resource busy",
    errno.ELOOP: "Symbolic link loop",
    errno.EMFILE: "No file descriptors available",
    errno.ENAMETOOLONG: "Filename too long",
    errno.EXDEV: "Cross-device link",
}
