"""The life of a fixture: its place is made, and in the end looked over, torn down and judged."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fake_smolvm import DEFAULT_VERSION
from fake_smolvm.harness import hazards, plugin, recorder, replayer
from fake_smolvm.harness.cassette import Cassette, CassetteError, map_text
from fake_smolvm.harness.fixture import InProcessFixture, SmolvmFixture
from fake_smolvm.harness.inspection import Inspection
from fake_smolvm.harness.naming import Names
from fake_smolvm.harness.sandbox import Sandbox
from fake_smolvm.harness.settings import allowed_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_subprocess import FakeProcess

    from fake_smolvm.harness.hazards import Finding
    from fake_smolvm.harness.settings import Settings

CASSETTES = "cassettes"
_LONGEST_STDERR = 400
"""Characters that the report shows."""
_UNFIT_FOR_A_FILE_NAME = re.compile(r"[^\w.=,+-]+")


@contextmanager
def on_path(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> Iterator[SmolvmFixture]:
    """Give the fixture `smolvm`."""
    sandbox = Sandbox()
    try:
        sandbox.enter(monkeypatch, real=settings.mode == "real")
        places = _places(request, sandbox) if settings.record or settings.mode == "replay" else {}
        if settings.mode == "replay":
            cassette = _insert(request, sandbox, places)
            fixture = SmolvmFixture(sandbox, "replay", cassette.version, None)
            with _life(request, fixture, settings, lambda: _not_played(sandbox, cassette)):
                yield fixture
            return
        _put_on_path(sandbox, settings)
        inspection = Inspection(sandbox, settings.binary, settings.version)
        fixture = SmolvmFixture(sandbox, settings.mode, settings.version, inspection)
        with _life(request, fixture, settings, inspection=inspection):
            yield fixture
        if settings.record and not request.node.stash.get(plugin.FAILED, False):
            _record(request, sandbox, settings, places)
    finally:
        sandbox.remove()


@contextmanager
def in_process(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    fp: FakeProcess,
    settings: Settings,
) -> Iterator[InProcessFixture]:
    """Give the fixture `fake_smolvm`."""
    from fake_smolvm.harness import inprocess

    sandbox = Sandbox()
    try:
        sandbox.enter(monkeypatch)
        # Also what a shell, or a program in another language, started by the code under test finds.
        sandbox.put_on_path("shim")
        inspection = Inspection(sandbox, None, DEFAULT_VERSION)
        fixture = InProcessFixture(sandbox, DEFAULT_VERSION, inspection)
        with monkeypatch.context() as patches:
            inprocess.install(fixture, fp, patches)
            with _life(request, fixture, settings, inspection=inspection):
                yield fixture
    finally:
        sandbox.remove()


@contextmanager
def _life(
    request: pytest.FixtureRequest,
    fixture: SmolvmFixture,
    settings: Settings,
    complaints: Callable[[], list[str]] = list,
    inspection: Inspection | None = None,
) -> Iterator[None]:
    """Hold the fixture's last part: look over what the test left, clean up, and judge.

    `complaints` gives what else is wrong.
    """
    node = request.node
    node.stash[plugin.FIXTURE] = fixture
    allowed = allowed_in(node, settings.allowed)
    yield
    findings = fixture.close(patient=hazards.PROCESS not in allowed)
    calls = fixture.calls
    if inspection is not None:
        if fixture.mode == "fake":
            findings += hazards.noted(inspection.paths.hazards)
        findings += hazards.orphaned(inspection.orphans())
        findings += hazards.leaks(inspection.states().items(), calls)
        inspection.tear_down()
    node.stash[plugin.STORY] = _story(node.nodeid, fixture, findings, inspection)
    fatal, minor = hazards.sorted_out(findings, allowed)
    told = [f"the fake itself failed:\n{crash}" for crash in fixture.crashes()]
    told += fixture.errors() + complaints() + [finding.text for finding in fatal]
    # A test that failed half-way cannot have cleaned up; its own failure is what matters.
    if told and not node.stash.get(plugin.FAILED, False):
        if fatal:
            names = ", ".join(f'"{name}"' for name in dict.fromkeys(f.hazard for f in fatal))
            told.append(f"on purpose? @pytest.mark.smolvm_allows({names}, reason=...)")
        told.append(f"calls of smolvm:\n{fixture.timeline()}")
        pytest.fail("\n\n".join(told), pytrace=False)
    for finding in minor:
        node.warn(hazards.SmolvmHazardWarning(finding.text))


def cassette_path(node: pytest.Item) -> Path:
    """Give where a test's cassette is: `cassettes/<module>/<test>.toml` beside the test's file."""
    name = node.nodeid.partition("::")[2] or node.name
    file = _UNFIT_FOR_A_FILE_NAME.sub("-", name.replace("::", ".")).strip("-")
    return node.path.parent / CASSETTES / node.path.stem / f"{file}.toml"


def _put_on_path(sandbox: Sandbox, settings: Settings) -> None:
    (sandbox.folder / recorder.RECORDING_FOLDER).mkdir()
    if settings.binary is not None:
        sandbox.put_on_path("recorder", settings.binary, settings.version, record=settings.record)
    elif settings.record:
        fake = sandbox.put_on_path("shim", folder="fake", noted=False)
        sandbox.put_on_path("recorder", str(fake), settings.version, record=True)
    else:
        sandbox.put_on_path("shim")


def _insert(
    request: pytest.FixtureRequest, sandbox: Sandbox, places: Mapping[str, str]
) -> Cassette:
    path = cassette_path(request.node)
    wrong = ""
    try:
        cassette = Cassette.load(path)
    except CassetteError as error:
        wrong = str(error)
    if wrong:
        pytest.fail(wrong, pytrace=False)
    (sandbox.folder / replayer.PLAYED_FOLDER).mkdir()
    known = {name: place for place, name in places.items()}
    (sandbox.folder / replayer.BINDINGS).write_text(repr(known), encoding="utf-8")
    sandbox.put_on_path("replayer", str(path))
    return cassette


def _not_played(sandbox: Sandbox, cassette: Cassette) -> list[str]:
    complaints = []
    refused = sandbox.folder / replayer.NOT_RECORDED
    if refused.exists():
        complaints.append(refused.read_text(encoding="utf-8"))
    left = replayer.unplayed(sandbox.folder, cassette)
    if left:
        lines = [f"  {' '.join(['smolvm', *call.argv])}" for call in left]
        complaints.append("\n".join(["recorded, but never called:", *lines]))
    return complaints


def _record(
    request: pytest.FixtureRequest,
    sandbox: Sandbox,
    settings: Settings,
    places: Mapping[str, str],
) -> None:
    raw = recorder.compiled(sandbox.folder)
    names = Names(places, tempfile.gettempdir())
    for call in raw:
        names.learn_argv(call.argv)
        for part in call.output:
            names.learn_output(part.text)
    binary = Path(settings.binary) if settings.binary else sandbox.folder / "fake" / "smolvm"
    now = dt.datetime.now(dt.UTC)
    Cassette(
        test=request.node.nodeid,
        source="real" if settings.binary else "fake",
        version=settings.version,
        sha256=hashlib.sha256(binary.read_bytes()).hexdigest(),
        recorded=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        calls=[map_text(call, names.name) for call in raw],
    ).dump(cassette_path(request.node))


def _places(request: pytest.FixtureRequest, sandbox: Sandbox) -> dict[str, str]:
    """Give the folders that are elsewhere in every run, and their names in cassettes."""
    factory: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
    return {str(sandbox.home): "HOME", str(factory.getbasetemp()): "TESTS"}


def _story(
    nodeid: str,
    fixture: SmolvmFixture,
    findings: list[Finding],
    inspection: Inspection | None,
) -> dict[str, Any]:
    """Give what the HTML report tells of a test: plain data, as pytest-xdist carries it."""
    events = [event for event in fixture._events() if event[0] == "start"]  # noqa: SLF001
    first = min((event[2] for event in events), default=0)
    faults = []
    if inspection is not None and fixture.mode == "fake":
        faults = hazards.json_lines(Path(inspection.paths.state, "faults.jsonl"))
    return {
        "test": nodeid,
        "smolvm": f"{fixture.mode} {fixture.version}",
        "calls": [
            {
                "argv": list(map(str, call.argv)),
                "command": call.command,
                "machine": call.machine,
                "returncode": call.returncode,
                "stderr": call.stderr[:_LONGEST_STDERR],
                "started": call.started,
                "seconds": call.seconds,
            }
            for call in fixture.calls
        ],
        "hazards": [
            {
                "hazard": finding.hazard,
                "machine": finding.machine,
                "text": finding.text,
                "at": None if finding.clock is None else (finding.clock - first) / 1e9,
            }
            for finding in findings
        ],
        "faults": [
            {
                "text": f"{fault['command']}: {fault['fault']}",
                "machine": fault["machine"],
                "at": (fault["clock"] - first) / 1e9,
            }
            for fault in faults
        ],
    }
