"""What two processes of one command say to each other: the work, and frames of what comes of it.

A frame is a byte (1 stdout, 2 stderr, or one of those below), and a number of four bytes: how much
follows, or the exit code.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

END = 0
LOST = 3
FAILED = 4
OUT_OF_TIME = 5
ASKED = 6
REFUSED = 7
TOLD = 8
HEAD = 5
"""Bytes of a frame before its content."""
CHANNEL = 3


class Work:
    """A command that is to be run apart, and whether its time ran out."""

    __slots__ = ("argv", "cwd", "env", "for_children", "timed_out", "timeout")

    def __init__(
        self,
        argv: list[str],
        env: Mapping[str, str],
        cwd: str,
        timeout: float | None,
        *,
        for_children: bool,
    ) -> None:
        self.argv = argv
        self.env = env
        self.cwd = cwd
        self.timeout = timeout
        """In seconds."""
        self.for_children = for_children
        self.timed_out = False


def receive(frames: Any, size: int) -> bytes:
    """Return so many bytes, or less at the end."""
    parts: list[bytes] = []
    while size and (data := frames.read(size)):
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


def send(channel: int, kind: int, number: int, content: bytes = b"") -> None:
    """Write a frame."""
    frame = memoryview(bytes((kind,)) + number.to_bytes(4, "big", signed=True) + content)
    while frame:
        frame = frame[os.write(channel, frame) :]
