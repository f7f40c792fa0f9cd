"""What a cassette holds: calls with what they said and wrote, and looks at machines."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

STREAMS = ("stdout", "stderr")


@dataclass
class Output:
    """Something written, by one call, at one moment."""

    at: float
    stream: str
    """stdout or stderr."""
    text: str
    """Bytes that are no UTF-8 are surrogates."""


@dataclass
class WrittenFile:
    """A file on the host that a call wrote or removed."""

    path: str
    """As typed, relative to the working directory of the call; absolute in a mounted folder."""
    content: str | None
    """None if it was removed, or is too large to be kept."""
    size: int | None = None
    sha256: str | None = None
    executable: bool = False
    folder: bool = False

    @property
    def removed(self) -> bool:
        """Whether it is not there any more."""
        return self.content is None and self.sha256 is None and not self.folder


@dataclass
class RecordedCall:
    """One call, as recorded or as to be played."""

    argv: list[str]
    started: float = 0.0
    seconds: float | None = None
    exit: int | None = None
    signal: str | None = None
    killed: str | None = None
    stdin: str | None = None
    stdin_ended: bool = False
    output: list[Output] = field(default_factory=list)
    files: list[WrittenFile] = field(default_factory=list)


@dataclass
class Look:
    """What a test saw when it looked at a machine itself."""

    after: int
    """Calls that had begun."""
    asked: list[str]
    """The method of `Inspection`, and its arguments."""
    answer: str | None = None
    """JSON, or the text of a file."""
    failed: str | None = None
    """The error instead: `LookupError: why`."""


def map_text(call: RecordedCall, change: Callable[[str], str]) -> RecordedCall:
    """Return a call with every text in it changed."""
    return replace(
        call,
        argv=[change(word) for word in call.argv],
        stdin=None if call.stdin is None else change(call.stdin),
        output=[replace(part, text=change(part.text)) for part in call.output],
        files=[
            replace(
                file,
                path=change(file.path),
                content=None if file.content is None else change(file.content),
            )
            for file in call.files
        ],
    )
