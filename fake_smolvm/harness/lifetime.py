"""The life of a fixture: its place is made, and in the end looked over, torn down and judged."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fake_smolvm import DEFAULT_VERSION
from fake_smolvm.harness import hazards, plugin, recorder, taping
from fake_smolvm.harness.fixture import InProcessFixture, SmolvmFixture
from fake_smolvm.harness.inspection import Inspection
from fake_smolvm.harness.sandbox import Sandbox
from fake_smolvm.harness.settings import allowed_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_subprocess import FakeProcess

    from fake_smolvm.harness.hazards import Finding
    from fake_smolvm.harness.settings import Settings


@contextmanager
def on_path(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> Iterator[SmolvmFixture]:
    """Give the fixture `smolvm`."""
    if settings.record:
        taping.prepare(request, settings)
    sandbox = Sandbox()
    try:
        sandbox.enter(monkeypatch, real=settings.mode == "real")
        places = (
            taping.places(request, sandbox) if settings.record or settings.mode == "replay" else {}
        )
        if settings.mode == "replay":
            cassette = taping.insert(request, sandbox, places)
            seen = taping.seen_again(sandbox, cassette)
            fixture = SmolvmFixture(sandbox, "replay", cassette.version, seen)
            with _life(request, fixture, settings, lambda: taping.not_played(sandbox, cassette)):
                yield fixture
            return
        _put_on_path(sandbox, settings)
        inspection = Inspection(sandbox, settings.binary, settings.version)
        with taping.recording(sandbox, inspection, record=settings.record) as remembered:
            fixture = SmolvmFixture(sandbox, settings.mode, settings.version, remembered.inspection)
            with _life(request, fixture, settings, inspection=inspection):
                yield fixture
        if settings.record and not request.node.stash.get(plugin.FAILED, False):
            taping.record(request, sandbox, settings, places, remembered, given=fixture.given)
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
    fixture.close()
    calls = fixture.calls
    findings: list[Finding] = []
    if inspection is not None:
        if fixture.mode == "fake":
            findings += hazards.noted(inspection.paths.hazards)
        findings += hazards.orphaned(inspection.orphans())
        findings += hazards.leaks(inspection.states().items(), calls)
        inspection.tear_down()
    node.stash[plugin.STORY] = _story(node.nodeid, fixture, findings, inspection)
    fatal, minor = hazards.sorted_out(findings, allowed)
    told = [f"the fake itself failed:\n{crash}" for crash in fixture.crashes()]
    told += complaints() + [finding.text for finding in fatal]
    # A test that failed half-way cannot have cleaned up; its own failure is what matters.
    if told and not node.stash.get(plugin.FAILED, False):
        if fatal:
            names = ", ".join(f'"{name}"' for name in dict.fromkeys(f.hazard for f in fatal))
            told.append(f"on purpose? @pytest.mark.smolvm_allows({names}, reason=...)")
        told.append(f"calls of smolvm:\n{fixture.timeline()}")
        pytest.fail("\n\n".join(told), pytrace=False)
    for finding in minor:
        node.warn(hazards.SmolvmHazardWarning(finding.text))


def _put_on_path(sandbox: Sandbox, settings: Settings) -> None:
    (sandbox.folder / recorder.RECORDING_FOLDER).mkdir()
    if settings.binary is not None:
        sandbox.put_on_path("recorder", settings.binary, settings.version, record=settings.record)
    elif settings.record:
        fake = sandbox.put_on_path("shim", folder="fake")
        sandbox.put_on_path("recorder", str(fake), settings.version, record=True)
    else:
        sandbox.put_on_path("shim")


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
        path = Path(inspection.paths.state, "faults.jsonl")
        if path.exists():
            faults = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {
        "test": nodeid,
        "smolvm": f"{fixture.mode} {fixture.version}",
        "calls": [
            {
                "argv": list(call.argv),
                "command": call.command,
                "machine": call.machine,
                "returncode": call.returncode,
                "stderr": call.stderr,
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
