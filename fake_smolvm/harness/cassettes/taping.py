"""Cassettes of tests: where each one is, how it is put in, and how it is made in the end."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fake_smolvm.harness.cassettes import compiling, drawn, file_names, host_files, played, spawned
from fake_smolvm.harness.cassettes.cassette import Cassette, CassetteError
from fake_smolvm.harness.cassettes.looks import RecordedInspection, ReplayedInspection
from fake_smolvm.harness.cassettes.naming import Names
from fake_smolvm.harness.cassettes.recorded import STREAMS, RecordedCall, map_text
from fake_smolvm.harness.seen.reading import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from fake_smolvm.harness.cassettes.recorded import Look
    from fake_smolvm.harness.on_path.sandbox import Sandbox
    from fake_smolvm.harness.seen.inspection import Inspection
    from fake_smolvm.harness.settings import Settings

CASSETTES = "cassettes"
_SEPARATOR = "::"


# --- where ---


def test_name(node: pytest.Item) -> str:
    """Return what a test is called in its module, such as `TestBox::test_one[a]`."""
    return node.nodeid.partition(_SEPARATOR)[2] or node.name


test_name.__test__ = False  # type: ignore[attr-defined]


def cassette_folder(module: Path) -> Path:
    """Return where the cassettes of a test file's tests are: `cassettes/<module>` beside it."""
    name = module.stem if module.suffix == ".py" else module.name
    return module.parent / CASSETTES / name


def cassette_path(node: pytest.Item) -> Path:
    """Return where a test's cassette is: `cassettes/<module>/<test>.toml` beside its file."""
    folder = cassette_folder(node.path)

    def is_own(name: str) -> bool:
        return file_names.is_there(folder, name) and _owner(folder / name) in (None, node_name)

    node_name = test_name(node)
    return folder / f"{file_names.for_cassette(node_name, node, is_own)}.toml"


def _old_path(node: pytest.Item) -> Path:
    """Return where it was when several tests could share a file."""
    return cassette_folder(node.path) / f"{file_names.old_cassette(test_name(node))}.toml"


def found(node: pytest.Item) -> Path:
    """Return the cassette that there is for a test, under its old name if need be."""
    path, old = cassette_path(node), _old_path(node)
    with suppress(OSError):
        if not path.exists() and old.exists() and _owner(old) == test_name(node):
            return old
    return path


def _owner(path: Path) -> str | None:
    """Return the test whose cassette a file says it is; None if it says nothing of the kind."""
    try:
        name = Cassette.read(path).test.partition(_SEPARATOR)[2]
    except CassetteError:
        return None
    return name or None


def _refuse_anothers(path: Path, node: pytest.Item) -> None:
    """Raise CassetteError if a cassette says that it is another test's."""
    owner = _owner(path)
    if owner not in (None, test_name(node)):
        raise CassetteError(
            f"{path} is the recording of {owner}, not of {test_name(node)}: rename one of the tests"
            " or, if that one is gone, remove the file"
        )


# --- playing ---


def insert(request: pytest.FixtureRequest, sandbox: Sandbox, places: Mapping[str, str]) -> Cassette:
    """Put a test's cassette behind `smolvm`; fail the test if it cannot be played."""
    path = found(request.node)
    wrong = ""
    try:
        cassette = Cassette.load(path)
        _refuse_anothers(path, request.node)
        played.check_files(cassette, path)
    except CassetteError as error:
        wrong = str(error)
    if wrong:
        pytest.fail(wrong, pytrace=False)
    request.node.stash[PLAYED] = True
    (sandbox.folder / played.PLAYED_FOLDER).mkdir()
    known = {name: place for place, name in places.items()}
    known |= {"TMP": tempfile.gettempdir(), played.TMP_PATH: request.node.stash.get(TMP_PATH, "")}
    played.bind(sandbox.folder, known)
    sandbox.put_on_path("cassettes.replayer", str(path))
    return cassette


PLAYED: pytest.StashKey[bool] = pytest.StashKey()
"""Whether a test has had its cassette put in."""


def seen_again(sandbox: Sandbox, cassette: Cassette) -> Inspection:
    """Return what shows a test the machines that it saw when it was recorded."""

    def fill(text: str) -> str:
        return played.bindings(sandbox.folder, cassette).fill(text)

    return ReplayedInspection(cassette.looks, sandbox, fill)


def refused(sandbox: Sandbox) -> str:
    """Return, in words, what calls a replay could not answer; empty if there were none."""
    path = sandbox.folder / played.NOT_RECORDED
    return path.read_text(encoding="utf-8") if path.exists() else ""


def not_played(sandbox: Sandbox, cassette: Cassette) -> list[str]:
    """Return what the replay of a test lacked or refused, in words."""
    complaints = [text] if (text := refused(sandbox)) else []
    left = played.unplayed(sandbox.folder, cassette)
    if left:
        lines = [f"  {' '.join(['smolvm', *call.argv])}" for call in left]
        complaints.append("\n".join(["recorded, but never called:", *lines]))
    return complaints


# --- recording ---


def prepare(request: pytest.FixtureRequest, settings: Settings) -> None:
    """Fail a test now whose recording could not be kept in the end."""
    node, wrong = request.node, ""
    path = cassette_path(node)
    try:
        if settings.mode != "real" and _is_real(found(node)):
            wrong = (
                f"{found(node)} holds what the real smolvm said, and a recording of the fake does"
                " not replace it: add --smolvm=real, or leave out --smolvm-record=rewrite"
            )
        _refuse_anothers(path, node)
        _refuse_unwritable(path)
    except CassetteError as error:
        wrong = str(error)
    if wrong:
        pytest.fail(wrong, pytrace=False)


def _is_real(path: Path) -> bool:
    """Tell whether there is a cassette that is not known to be one of the fake."""
    if not os.path.lexists(path):
        return False
    try:
        return Cassette.read(path).source == "real"
    except CassetteError:
        return True


def _refuse_unwritable(path: Path) -> None:
    folder = path.parent
    while not os.path.lexists(folder):
        folder = folder.parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        where = path if path.is_dir() else folder
        raise CassetteError(
            f"the cassette {path} could not be written: {where} is"
            f" {'a folder' if path.is_dir() else 'no folder that can be written to'}"
        )


@dataclass
class Recording:
    """What is remembered of a test, besides its calls, while it runs."""

    inspection: Inspection
    """What the test looks at machines with."""
    started: list[int] = field(default_factory=list)
    """The processes that this one started as `smolvm`."""


@contextmanager
def recording(sandbox: Sandbox, inspection: Inspection, *, record: bool) -> Iterator[Recording]:
    """Remember what a test sees of machines and which calls it starts, if it is to be recorded."""
    if not record:
        yield Recording(inspection)
        return
    compiling.announce(sandbox.folder / "bin" / "smolvm", sandbox.folder)
    sandbox.note_executable()
    with drawn.watched(), spawned.watched(sandbox.bin / "smolvm") as started:
        yield Recording(RecordedInspection(inspection, sandbox), started)


def record(
    request: pytest.FixtureRequest,
    sandbox: Sandbox,
    settings: Settings,
    places: Mapping[str, str],
    remembered: Recording,
    *,
    given: Mapping[str, str],
) -> None:
    """Write the cassette of a test that has passed; fail it if that would not be whole.

    `given` are names that the test gave values itself.
    """
    path = cassette_path(request.node)
    calls, missing = compiling.compiled(sandbox.folder, remembered.started)
    if missing:
        what = "\n".join(f"  {why}" for why in missing)
        pytest.fail(
            f"not recorded, as a replay would lack something ({path} is as it was):\n{what}",
            pytrace=False,
        )
    names = Names(
        places, tempfile.gettempdir(), drawn.drawn, given, request.node.stash.get(TMP_PATH, "")
    )
    looks = getattr(remembered.inspection, "looks", [])
    binary = Path(settings.binary) if settings.binary else sandbox.folder / "fake" / "smolvm"
    now = dt.datetime.now(dt.UTC)
    cassette = Cassette(
        test=_printable(request.node.nodeid),
        source="real" if settings.binary else "fake",
        version=settings.version,
        sha256=_sha256(str(binary), *host_files.signature(binary.stat())),
        recorded=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        calls=named(calls, names),
        looks=[_named_look(look, names) for look in looks],
        names=sorted(names.given),
    )
    wrong = ""
    try:
        old = found(request.node)
        _keep_times(cassette, old)
        cassette.dump(path)
        if old != path:
            old.unlink()
    except CassetteError as error:
        wrong = str(error)
    if wrong:
        pytest.fail(wrong, pytrace=False)


def named(calls: Iterable[RecordedCall], names: Names) -> list[RecordedCall]:
    """Return calls with names in place of what differs from run to run, and of secrets."""
    calls = list(calls)
    for call in calls:
        names.learn_argv(call.argv)
        for stream in STREAMS:
            names.learn_output("".join(_said(call, stream)))
        for text in (
            call.stdin,
            *(text for file in call.files for text in (file.path, file.content)),
        ):
            names.learn(text or "")
    return [map_text(_name_output(call, names), names.name) for call in calls]


def _name_output(call: RecordedCall, names: Names) -> RecordedCall:
    """Move what needs a name and was said in two pieces into the first of them."""
    pieces = {stream: iter(names.cut_anew(_said(call, stream))) for stream in STREAMS}
    output = [replace(part, text=next(pieces[part.stream])) for part in call.output]
    return replace(call, output=[part for part in output if part.text])


def _said(call: RecordedCall, stream: str) -> list[str]:
    return [part.text for part in call.output if part.stream == stream]


def _named_look(look: Look, names: Names) -> Look:
    for text in (look.answer, look.failed):
        names.learn_output(text or "")
    return replace(
        look,
        asked=[_printable(names.name(word)) for word in look.asked],
        answer=None if look.answer is None else names.name(look.answer),
        failed=None if look.failed is None else _printable(names.name(look.failed)),
    )


def _printable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def _keep_times(cassette: Cassette, old: Path) -> None:
    """Take over the times of an old recording that differs in nothing else.

    Else every recording would change every line, and what did change could not be seen.
    """
    try:
        before = Cassette.read(old)
    except CassetteError:
        return
    same = (cassette.source, cassette.version, cassette.sha256, _timeless(cassette.calls)) == (
        before.source, before.version, before.sha256, _timeless(before.calls),
    )  # fmt: skip
    if same:
        cassette.calls = before.calls


def _timeless(calls: Sequence[RecordedCall]) -> dict[str | None, list[object]]:
    """Return what counts of calls in a replay: by machine, as the order between them is free."""
    by_machine: dict[str | None, list[object]] = {}
    for call in calls:
        said = ["".join(_said(call, stream)) for stream in STREAMS]
        same = replace(call, started=0, seconds=None, output=[])
        by_machine.setdefault(read(call.argv).machine, []).append((same, said))
    by_machine.get(None, []).sort(key=repr)
    return by_machine


@lru_cache
def _sha256(path: str, *_: int) -> str:
    """Return the digest of a binary, once for as long as it stays the same."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- both ---

TMP_PATH: pytest.StashKey[str] = pytest.StashKey()
"""The test's own temporary folder."""


def places(request: pytest.FixtureRequest, sandbox: Sandbox) -> dict[str, str]:
    """Return the folders that are elsewhere in every run, and their names in cassettes.

    Notes also, for the processes of the sandbox, in which of them the test may have files written.
    """
    if request.scope == "function":
        request.node.stash[TMP_PATH] = str(request.getfixturevalue("tmp_path"))
    found = {str(sandbox.home): "HOME", **places_of_a_run(request)}
    host_files.note_own_folders(str(sandbox.folder), [*found, str(sandbox.folder)])
    return found


def places_of_a_run(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the folders that are elsewhere in every run, whatever the test, and their names."""
    factory: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
    return {str(request.config.rootpath): "PROJECT", str(factory.getbasetemp()): "TESTS"}
