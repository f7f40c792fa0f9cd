r"""Cassettes: what a real smolvm said to a test, kept to be played again.

A TOML file a test. Its head says which binary was recorded; then one `[[call]]` a call, in the
order in which they started, with what it wrote to stdout and stderr in the order in which it came::

    [[call]]
    argv = ["machine", "create", "box"]
    started = 0.0               # seconds since the first call
    seconds = 0.31              # none if it was never over
    exit = 0                    # or signal = "SIGSEGV", if it died of one by itself
    killed = "SIGTERM"          # if the test sent it that; with an exit code if it outlived it
    stdin = "yes\n"             # what it read
    stdin_ended = true          # and whether there was no more

    [[call.output]]
    at = 0.012
    stdout = "Created machine: box\n"

    [[call.file]]               # what it left behind in the file system
    path = "out.txt"
    content = "text"            # or sha256 and size of a large one, or removed = true,
    executable = true           # or folder = true

    [[look]]                    # what the test itself saw of a machine
    after = 1                   # calls that had begun
    asked = ["states"]          # or ["status", "box"], ["read_bytes", "box", "/etc/hosts"]
    answer = '{"box": "running"}'   # or failed = "LookupError: there is no machine 'box'"

Bytes that are no UTF-8 stand as Python writes them, under `stdout_bytes` and so on. `names` in the
head are those that the test gave values itself. See `naming` for what stands in angle
brackets.
"""

from __future__ import annotations

import os
import re
import tomllib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fake_smolvm.harness import toml
from fake_smolvm.harness.cassettes.cassette_table import DamagedError, Table, from_bytes
from fake_smolvm.harness.cassettes.recorded import STREAMS, Look, Output, RecordedCall, WrittenFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

FORMAT = 1
LARGEST_BYTES = 64 * 1024 * 1024
"""Bytes of a cassette that are read; none that was recorded is as large."""
RECORD_IT = "record one with --smolvm=real --smolvm-record=rewrite"

_HEAD = (
    "# What smolvm said to this test. Made by pytest --smolvm-record=rewrite; not to be edited.\n"
)
_TEXTS_OF_THE_HEAD = ("test", "source", "version", "sha256", "recorded")
_VERSION = re.compile(r"\d{1,9}(\.\d{1,9}){0,3}")
_LARGEST_EXIT_CODE = 255


class CassetteError(Exception):
    """A cassette that is missing, damaged, not to be trusted, or that cannot be written."""


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
    looks: list[Look] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """Names that the test gave values itself."""

    def dump(self, path: Path) -> None:
        """Write the cassette, whole or not at all: what was there stays until it is.

        Raises CassetteError if it cannot be written.
        """
        head: dict[str, Any] = {"format": FORMAT}
        head |= {key: getattr(self, key) for key in _TEXTS_OF_THE_HEAD}
        if self.names:
            head["names"] = self.names
        lines = [_HEAD, *(f"{key} = {toml.value(item)}\n" for key, item in head.items())]
        lines += [_written(call) for call in self.calls]
        lines += ["\n" + toml.table("look", _written_look(look)) for look in self.looks]
        try:
            _replace_file(path, "".join(lines).encode())
        except OSError as error:
            raise CassetteError(
                f"the cassette {path} cannot be written: {error.strerror}; what was there is as it"
                " was"
            ) from None

    @classmethod
    def load(cls, path: Path) -> Cassette:
        """Read a cassette, from the real smolvm only.

        Raises CassetteError for one that is missing, damaged, or recorded on the fake.
        """
        cassette = cls.read(path)
        if cassette.source != "real":
            raise CassetteError(
                f"{path} was recorded on the {cassette.source}, so it proves nothing about smolvm:"
                " record it again with --smolvm=real --smolvm-record=rewrite"
            )
        return cassette

    @classmethod
    def read(cls, path: Path) -> Cassette:
        """Read a cassette, whatever it was recorded on.

        Raises CassetteError for one that is missing or damaged.
        """
        try:
            with open(path, "rb") as file:
                raw = file.read(LARGEST_BYTES + 1)
        except FileNotFoundError:
            raise CassetteError(f"there is no cassette {path}: {RECORD_IT}") from None
        except OSError as error:
            raise CassetteError(f"{path} cannot be read: {error.strerror}") from None
        try:
            if len(raw) > LARGEST_BYTES:
                raise DamagedError(f"it has more than {LARGEST_BYTES // 1024**2} MB")  # noqa: TRY301
            return _cassette(tomllib.loads(raw.decode()))
        except RecursionError:
            why = "it is nested too deeply"
        except (ValueError, DamagedError) as error:
            why = str(error)
        raise CassetteError(f"{path} {why}" if why.startswith("has") else _not_one(path, why))


def _not_one(path: Path, why: str) -> str:
    return f"{path} is not a cassette, or is damaged ({why}): {RECORD_IT}"


def _replace_file(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not named after the cassette, whose name may be as long as a name can be.
    new = path.parent / f".{os.getpid()}.part"
    try:
        with open(new, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise


def _written(call: RecordedCall) -> str:
    items: dict[str, Any] = {"argv": call.argv, "started": call.started}
    for key in ("seconds", "exit", "signal", "killed"):
        if getattr(call, key) is not None:
            items[key] = getattr(call, key)
    if any(not _is_utf8(word) for word in call.argv):
        items["argv_bytes"] = [repr(_encode(word)) for word in items.pop("argv")]
    if call.stdin is not None:
        items.update(_text("stdin", call.stdin))
    if call.stdin_ended:
        items["stdin_ended"] = True
    text = "\n" + toml.table("call", items)
    for part in call.output:
        text += "\n" + toml.table("call.output", {"at": part.at, **_text(part.stream, part.text)})
    for file in call.files:
        text += "\n" + toml.table("call.file", _written_file(file))
    return text


def _written_file(file: WrittenFile) -> dict[str, Any]:
    kept: dict[str, Any] = _text("path", file.path)
    if file.folder:
        kept["folder"] = True
    elif file.content is not None:
        kept.update(_text("content", file.content))
    elif file.sha256 is not None:
        kept.update(size=file.size, sha256=file.sha256)
    else:
        kept["removed"] = True
    if file.executable:
        kept["executable"] = True
    return kept


def _written_look(look: Look) -> dict[str, Any]:
    if look.answer is not None:
        return {"after": look.after, "asked": look.asked, **_text("answer", look.answer)}
    return {"after": look.after, "asked": look.asked, "failed": look.failed}


def _text(key: str, text: str) -> dict[str, str]:
    return {key: text} if _is_utf8(text) else {f"{key}_bytes": repr(_encode(text))}


def _cassette(data: Mapping[str, Any]) -> Cassette:
    table = Table(data, "the head")
    if "format" in data and data["format"] != FORMAT:
        raise DamagedError(f"has format {str(data['format'])[:40]}, not {FORMAT}")
    table.required("format", int, "a whole number")
    head = {key: table.required(key, str, "a text") for key in _TEXTS_OF_THE_HEAD}
    if not _VERSION.fullmatch(head["version"]):
        raise DamagedError(f"version = {head['version'][:40]!r} is no version, such as 0.8.0")
    if head["source"] not in ("real", "fake"):
        raise DamagedError(f"source = {head['source'][:40]!r} is neither real nor fake")
    calls = [_call(one) for one in table.tables("call", "call")]
    looks = [_look(one) for one in table.tables("look", "look")]
    names = table.texts("names") or []
    if not all(re.fullmatch("[A-Z][A-Z0-9_]*", name) for name in names):
        raise DamagedError("names in the head holds what is no name, such as RUN")
    table.nothing_else()
    return Cassette(**head, calls=calls, looks=looks, names=names)


def _call(table: Table) -> RecordedCall:
    argv = table.texts("argv")
    in_bytes = table.texts("argv_bytes")
    if argv is None:
        if in_bytes is None:
            raise DamagedError(f"{table.where} has no argv")
        argv = [from_bytes(word, table.where) for word in in_bytes]
    if any("\0" in word for word in argv):
        raise DamagedError(f"argv of {table.where} holds what no command line can: a NUL")
    call = RecordedCall(
        argv=argv,
        started=table.seconds("started") or 0.0,
        seconds=table.seconds("seconds"),
        exit=table.whole_number("exit", at_most=_LARGEST_EXIT_CODE),
        signal=table.signal("signal"),
        killed=table.signal("killed"),
        stdin=table.text("stdin"),
        stdin_ended=table.switch("stdin_ended"),
        output=[_output(part) for part in table.tables("output", "output")],
        files=[_file(part) for part in table.tables("file", "file")],
    )
    table.nothing_else()
    if call.exit is None and call.signal is None and call.killed is None:
        raise DamagedError(f"{table.where} has no end: neither exit nor signal nor killed")
    if call.signal is not None and (call.exit is not None or call.killed is not None):
        raise DamagedError(f"{table.where} has two ends: signal, and exit or killed")
    return call


def _output(table: Table) -> Output:
    said = {stream: text for stream in STREAMS if (text := table.text(stream)) is not None}
    at = table.seconds("at")
    if len(said) != 1 or at is None:
        raise DamagedError(f"{table.where} is to have at, and stdout or stderr")
    table.nothing_else()
    ((stream, text),) = said.items()
    return Output(at, stream, text)


def _file(table: Table) -> WrittenFile:
    path = table.text("path")
    content = table.text("content")
    size = table.whole_number("size")
    sha256 = table.get("sha256", str, "a text")
    file = WrittenFile(
        path or "", content, size, sha256, table.switch("executable"), table.switch("folder")
    )
    ways = [content is not None, sha256 is not None, table.switch("removed"), file.folder]
    if not path or "\0" in path:
        raise DamagedError(f"{table.where} has no path")
    if ways.count(True) != 1 or (size is None) != (sha256 is None):
        raise DamagedError(
            f"{table.where} is to have one of content, size with sha256, removed, and folder"
        )
    table.nothing_else()
    return file


def _look(table: Table) -> Look:
    after = table.whole_number("after")
    asked = table.texts("asked")
    look = Look(after or 0, asked or [], table.text("answer"), table.get("failed", str, "a text"))
    if after is None or not asked or (look.answer is None) == (look.failed is None):
        raise DamagedError(f"{table.where} is to have after, asked, and answer or failed")
    table.nothing_else()
    return look


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
