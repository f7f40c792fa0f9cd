"""The pytest plugin: the fixtures `smolvm`, `fake_smolvm` and `argv_snapshot`, and their options.

Loaded in every run of every project that has this package installed, so nothing is imported here
that a run without these fixtures does not need.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from fake_smolvm import DEFAULT_VERSION

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from pytest_subprocess import FakeProcess
    from syrupy.assertion import SnapshotAssertion

    from fake_smolvm.harness.fixture import InProcessFixture, SmolvmFixture
    from fake_smolvm.harness.settings import Settings

MODES = ("fake", "real", "auto", "replay")
MODE_VARIABLE = "PYTEST_SMOLVM"

SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()
FIXTURE: pytest.StashKey[SmolvmFixture] = pytest.StashKey()
FAILED: pytest.StashKey[bool] = pytest.StashKey()
STORY: pytest.StashKey[dict[str, Any]] = pytest.StashKey()
"""What happened to `smolvm` in a test, for the HTML report."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("smolvm", "smolvm: fake, real or replayed")
    group.addoption(
        "--smolvm",
        choices=MODES,
        help="what the fixture `smolvm` puts on PATH: the fake (default), the real binary, the "
        "real one where there is one (auto), or a recording of it (replay); also as marker "
        f"smolvm(mode), ${MODE_VARIABLE} and ini `smolvm`, in this order after the marker",
    )
    group.addoption(
        "--smolvm-binary",
        metavar="PATH",
        help="the real smolvm; else $SMOLVM_BINARY, else the first on PATH",
    )
    group.addoption(
        "--smolvm-record",
        choices=("none", "rewrite"),
        default="none",
        help="rewrite: record every test that passes, in place of its cassette",
    )
    group.addoption(
        "--smolvm-report", metavar="FILE", help="write a page (HTML) with each test's timeline"
    )
    parser.addini("smolvm", f"default of --smolvm: {', '.join(MODES)}", default="fake")
    parser.addini(
        "smolvm_cli_versions",
        "smolvm versions whose command line argv_snapshot checks every argv against",
        type="args",
        default=[],
    )
    parser.addini(
        "smolvm_allows",
        "what the whole suite may walk into, one a line: `H3: reason`, `leak: reason`",
        type="linelist",
        default=[],
    )


def pytest_configure(config: pytest.Config) -> None:
    """Find out which smolvm the run is about; what cannot be had ends it here."""
    config.addinivalue_line(
        "markers", "smolvm(mode): run this test on that smolvm (fake, real, auto, replay)"
    )
    config.addinivalue_line(
        "markers",
        'smolvm_allows(*hazards, reason): let this test walk into hazards ("H3"), or "leak"',
    )
    mode = _mode(config)
    if mode not in MODES:
        raise pytest.UsageError(f"smolvm mode {mode!r} is none of {', '.join(MODES)}")
    if mode in ("real", "auto") or config.getini("smolvm_allows"):
        _settings(config)


def pytest_report_header(config: pytest.Config) -> str:
    """Say which smolvm it is."""
    if SETTINGS not in config.stash and config.getoption("smolvm_record") == "none":
        # The usual run, which may not use any fixture of this plugin at all.
        mode = _mode(config)
        return f"smolvm: {mode} {DEFAULT_VERSION if mode == 'fake' else ''}".rstrip()
    return f"smolvm: {_settings(config).description}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show a failed test's calls of `smolvm`, and keep them for the HTML report."""
    report = yield
    if FIXTURE in item.stash:
        if report.failed:
            item.stash[FAILED] = True
        if report.failed and call.when == "call":
            fixture = item.stash[FIXTURE]
            report.sections.append(("smolvm calls", fixture.timeline()))
            report.sections += [("smolvm guest command", error) for error in fixture.errors()]
        if call.when == "teardown" and STORY in item.stash:
            failed = item.stash.get(FAILED, False)
            # An attribute of a report is what pytest-xdist carries from its workers.
            story: dict[str, Any] = item.stash[STORY]
            report.smolvm = {**story, "failed": failed}  # type: ignore[attr-defined]
    return report


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Show a comparison of words that hold secrets without them."""
    masked = sys.modules.get("fake_smolvm.harness.masked")
    return None if masked is None else masked.explained(op, left, right)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect what the HTML report is made of."""
    if _stories is not None and hasattr(report, "smolvm"):
        _stories.append(report.smolvm)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin to collect, if there will be a report; with pytest-xdist, not in its workers."""
    global _stories  # noqa: PLW0603
    wanted = session.config.getoption("smolvm_report") and not hasattr(
        session.config, "workerinput"
    )
    _stories = [] if wanted else None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the HTML report."""
    if _stories is not None:
        from fake_smolvm.harness.report import write

        write(session.config.getoption("smolvm_report"), _stories)


_stories: list[dict[str, Any]] | None = None


def _mode(config: pytest.Config) -> str:
    mode = config.getoption("smolvm") or os.environ.get(MODE_VARIABLE) or config.getini("smolvm")
    return str(mode)


def _settings(config: pytest.Config) -> Settings:
    if SETTINGS not in config.stash:
        from fake_smolvm.harness.settings import settings

        config.stash[SETTINGS] = settings(config, _mode(config))
    return config.stash[SETTINGS]


@pytest.fixture
def smolvm(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SmolvmFixture]:
    """A `smolvm` on PATH with a HOME of its own; `--smolvm` says which."""
    from dataclasses import replace

    from fake_smolvm.harness.lifetime import on_path
    from fake_smolvm.harness.settings import settings

    chosen = _settings(request.config)
    marker = request.node.get_closest_marker("smolvm")
    if marker is not None:
        other = settings(request.config, *marker.args, **marker.kwargs)
        # What a test says of itself is not what the run is to record.
        chosen = replace(other, record=chosen.record and other.mode == chosen.mode)
    with on_path(request, monkeypatch, chosen) as fixture:
        yield fixture


@pytest.fixture
def fake_smolvm(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, fp: FakeProcess
) -> Iterator[InProcessFixture]:
    """The fake, in this process: `smolvm` as started by the code under test is a thread."""
    from fake_smolvm.harness.lifetime import in_process

    with in_process(request, monkeypatch, fp, _settings(request.config)) as fixture:
        yield fixture


@pytest.fixture
def argv_snapshot(request: pytest.FixtureRequest, snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """A snapshot of command lines: `assert argv_snapshot == smolvm.calls`."""
    from fake_smolvm.harness.argv_snapshot import extension

    return snapshot.use_extension(extension(request))
