"""What of a cassette is played already, and what its names stand for: kept in the sandbox."""

from __future__ import annotations

import fcntl
from ast import literal_eval
from typing import TYPE_CHECKING

from fake_smolvm.harness.cassettes.cassette import Cassette, CassetteError
from fake_smolvm.harness.cassettes.left_behind import may_mount, typed_files
from fake_smolvm.harness.cassettes.naming import Bindings
from fake_smolvm.harness.on_path.secrets import masked_argv
from fake_smolvm.harness.seen.reading import read

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fake_smolvm.harness.cassettes.recorded import RecordedCall, WrittenFile

PLAYED_FOLDER = "played"
BINDINGS = "bindings"
"""A file in the sandbox: what the cassette's names stand for, as far as that is known."""
NOT_RECORDED = "not-recorded"
"""A file in the sandbox that holds, one after the other, what calls could not be answered."""
TMP_PATH = "tmp_path"
"""Among the bindings, the test's own temporary folder: no name has small letters."""

LOCK = "replay.lock"


def unplayed(folder: Path, cassette: Cassette) -> list[RecordedCall]:
    """Return the recordings that no call asked for."""
    return [
        call
        for number, call in enumerate(cassette.calls)
        if not (folder / PLAYED_FOLDER / str(number)).exists()
    ]


def bind(folder: Path, values: Mapping[str, str]) -> None:
    """Note what names stand for, besides those that do already."""
    with open(folder / LOCK, "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        write_bindings(folder, _bound(folder) | dict(values))


def bindings(folder: Path, cassette: Cassette) -> Bindings:
    """Return what the cassette's names stand for, as far as that is known."""
    values = _bound(folder)
    return Bindings(values, cassette.names, values.get(TMP_PATH, ""))


def _bound(folder: Path) -> dict[str, str]:
    try:
        text = (folder / BINDINGS).read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return {}
    values: dict[str, str] = literal_eval(text)
    return values


def write_bindings(folder: Path, values: Mapping[str, str]) -> None:
    """Write what names stand for; whoever does holds the lock."""
    (folder / BINDINGS).write_text(repr(dict(values)), encoding="utf-8", errors="surrogateescape")


def not_its_file(file: WrittenFile, line: str) -> str:
    """Return what is wrong with a file that is none of its command line."""
    return f"the cassette has {file.path} written or removed, which is no file of {line}"


def check_files(cassette: Cassette, path: Path) -> None:
    """Raise CassetteError if a call has files that its argv cannot have had written."""
    mounting = False
    for call in cassette.calls:
        line = read(call.argv, cassette.version)
        mounting = mounting or may_mount(line)
        for file in call.files:
            if not mounting and file.path not in typed_files(line):
                why = not_its_file(file, "smolvm " + " ".join(masked_argv(call.argv)))
                raise CassetteError(f"{path} is damaged, or was edited: {why}")
