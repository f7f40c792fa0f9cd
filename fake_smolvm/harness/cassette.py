r"""Cassettes: what a real smolvm said to a test, kept to be played again.

A TOML file a test. Its head says which binary was recorded; then one `[[call]]` a call, in the
order in which they started, with what it wrote to stdout and stderr in the order in which it came::

    [[call]]
    argv = ["machine", "create", "box"]
    started = 0.0               # seconds since the first call
    seconds = 0.31              # none if it was never over
    exit = 0                    # or signal = "SIGSEGV", if it died of one by itself
    killed = "SIGTERM"          # if the test sent it that; with an exit code if it outlived it

    [[call.output]]
    at = 0.012
    stdout = "Created machine: box\n"

    [[call.file]]               # what it left behind in the file system
    path = "out.txt"
    content = "text"            # or sha256 and size of a large one, or removed = true

Bytes that are no UTF-8 stand as Python writes them, under `stdout_bytes` and so on. See
`harness.naming` for what stands in angle brackets.
"""

from __future__ import annotations

import tomllib
from ast import literal_eval
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fake_smolvm.harness import toml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

FORMAT = 1
_HEAD = (
    "# What smolvm said to this test. Made by pytest --smolvm-record=rewrite; not to be edited.\n"
)


class CassetteError(Exception):
    """A cassette that is missing, damaged, or not to be trusted."""


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
    """As typed; relative to the working directory of the call."""
    content: str | None
    """None if it was removed, or is too large to be kept."""
    size: int | None = None
    sha256: str | None = None


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
    output: list[Output] = field(default_factory=list)
    files: list[WrittenFile] = field(default_factory=list)


@dataclass
class Cassette:
    """A recording of one test."""

    test: str
    source: str
    """`real`, or `fake`, which proves nothing about smolvm."""
    version: str
    sha256: str
    recorded: str
    """When, as RFC 3339."""
    calls: list[RecordedCall]

    def dump(self, path: Path) -> None:
        """Write the cassette."""
        head = {
            "format": FORMAT,
            "test": self.test,
            "source": self.source,
            "version": self.version,
            "sha256": self.sha256,
            "recorded": self.recorded,
        }
        lines = [_HEAD, *(f"{key} = {toml.value(item)}\n" for key, item in head.items())]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines + [_written(call) for call in self.calls]), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Cassette:
        """Read a cassette, from the real smolvm only.

        Raises CassetteError for one that is missing, damaged, or recorded on the fake.
        """
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
            calls = [_read(call) for call in data.get("call", ())]
            head = {key: data[key] for key in ("test", "source", "version", "sha256", "recorded")}
        except FileNotFoundError:
            raise CassetteError(
                f"there is no cassette {path}: record one with --smolvm=real"
                " --smolvm-record=rewrite"
            ) from None
        except (KeyError, ValueError, SyntaxError, TypeError) as error:
            raise CassetteError(f"{path} is not a cassette: {error!r}") from None
        if data.get("format") != FORMAT:
            raise CassetteError(f"{path} has format {data.get('format')}, not {FORMAT}")
        if head["source"] != "real":
            raise CassetteError(
                f"{path} was recorded on the {head['source']}, so it proves nothing about smolvm:"
                " record it again with --smolvm=real --smolvm-record=rewrite"
            )
        return cls(calls=calls, **head)


def map_text(call: RecordedCall, change: Callable[[str], str]) -> RecordedCall:
    """Give a call with every text in it changed."""
    return RecordedCall(
        argv=[change(word) for word in call.argv],
        started=call.started,
        seconds=call.seconds,
        exit=call.exit,
        signal=call.signal,
        killed=call.killed,
        stdin=None if call.stdin is None else change(call.stdin),
        output=[Output(part.at, part.stream, change(part.text)) for part in call.output],
        files=[
            WrittenFile(
                change(file.path),
                None if file.content is None else change(file.content),
                file.size,
                file.sha256,
            )
            for file in call.files
        ],
    )


def _written(call: RecordedCall) -> str:
    items: dict[str, Any] = {"argv": call.argv, "started": call.started}
    for key in ("seconds", "exit", "signal", "killed"):
        if getattr(call, key) is not None:
            items[key] = getattr(call, key)
    if any(not _is_utf8(word) for word in call.argv):
        items["argv_bytes"] = [repr(_encode(word)) for word in items.pop("argv")]
    if call.stdin is not None:
        items.update(_text("stdin", call.stdin))
    text = "\n" + toml.table("call", items)
    for part in call.output:
        text += "\n" + toml.table("call.output", {"at": part.at, **_text(part.stream, part.text)})
    for file in call.files:
        kept: dict[str, Any] = _text("path", file.path)
        if file.content is not None:
            kept.update(_text("content", file.content))
        elif file.sha256 is not None:
            kept.update(size=file.size, sha256=file.sha256)
        else:
            kept["removed"] = True
        text += "\n" + toml.table("call.file", kept)
    return text


def _read(data: Mapping[str, Any]) -> RecordedCall:
    argv = data.get("argv")
    if argv is None:
        argv = [_decode(literal_eval(word)) for word in data["argv_bytes"]]
    return RecordedCall(
        argv=argv,
        started=data["started"],
        seconds=data.get("seconds"),
        exit=data.get("exit"),
        signal=data.get("signal"),
        killed=data.get("killed"),
        stdin=_text_in(data, "stdin"),
        output=[_read_output(part) for part in data.get("output", ())],
        files=[
            WrittenFile(
                _text_in(part, "path") or "",
                _text_in(part, "content"),
                part.get("size"),
                part.get("sha256"),
            )
            for part in data.get("file", ())
        ],
    )


def _read_output(data: Mapping[str, Any]) -> Output:
    for stream in ("stdout", "stderr"):
        text = _text_in(data, stream)
        if text is not None:
            return Output(data["at"], stream, text)
    raise KeyError("stdout or stderr")


def _text(key: str, text: str) -> dict[str, str]:
    return {key: text} if _is_utf8(text) else {f"{key}_bytes": repr(_encode(text))}


def _text_in(data: Mapping[str, Any], key: str) -> str | None:
    if f"{key}_bytes" in data:
        return _decode(literal_eval(data[f"{key}_bytes"]))
    text: str | None = data.get(key)
    return text


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
