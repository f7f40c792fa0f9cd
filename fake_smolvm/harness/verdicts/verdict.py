"""What a fixture is judged by at its end: hazards, leaks, and what was set up for nothing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from fake_smolvm.harness import stash
from fake_smolvm.harness.known_hazards import LEAK, PROCESS, UNUSED
from fake_smolvm.harness.lives import LIVES
from fake_smolvm.harness.seen.inspection import NoAnswerError
from fake_smolvm.harness.verdicts import hazards
from fake_smolvm.harness.verdicts.life import SANDBOX, Life
from fake_smolvm.harness.verdicts.story import story_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fake_smolvm.harness.fixture import SmolvmFixture
    from fake_smolvm.harness.seen.inspection import Inspection
    from fake_smolvm.harness.verdicts.hazards import Finding


@contextmanager
def lived(
    life: Life,
    fixture: SmolvmFixture,
    complaints: Callable[[], list[str]] = list,
    inspection: Inspection | None = None,
) -> Iterator[None]:
    """Hold the fixture's last part: look over what the test left, clean up, and judge.

    `complaints` gives what else is wrong.
    """
    life.fixture = fixture
    life.note_start()
    if life.is_of_one_test:
        life.node.stash[stash.FIXTURE] = fixture
    LIVES.append(life)
    try:
        yield
    except BaseException:
        life.note_failure()
        raise
    finally:
        LIVES.remove(life)
        findings, uncleaned = _looked_over(life, fixture, inspection)
        if life.config is not None and stash.ALLOWANCES in life.config.stash and life.node:
            version = fixture.version if fixture.mode == "fake" else None
            met = {finding.hazard for finding in findings}
            life.config.stash[stash.ALLOWANCES].note(life.node, met, version)
        _tell_story(life, fixture, findings, inspection)
        _judge(life, fixture, findings, uncleaned, complaints)


def _looked_over(
    life: Life, fixture: SmolvmFixture, inspection: Inspection | None
) -> tuple[list[Finding], list[str]]:
    """Return what a test walked into or left behind, and what of it could not be cleaned up."""
    findings = fixture.close(patient=PROCESS not in life.allowed.reasons)
    if inspection is None:
        return findings, []
    if fixture.mode == "fake":
        findings += hazards.noted(inspection.paths.hazards)
    try:
        findings += hazards.orphaned(inspection.orphans())
        findings += hazards.leaks(inspection.states().items(), fixture.calls)
    except NoAnswerError:
        pass  # so will tear_down say
    return findings, inspection.tear_down()


def _tell_story(
    life: Life, fixture: SmolvmFixture, findings: list[Finding], inspection: Inspection | None
) -> None:
    nodes = [life.node] if life.is_of_one_test else []
    for node in nodes:
        node.stash[stash.TIMELINE] = fixture.timeline()
    if life.config is not None and not nodes:
        # What lives longer than a test is told with the last one.
        nodes = [node for node in life.config.stash[stash.NODES] if isinstance(node, pytest.Item)]
    for node in nodes[:1]:
        owner = node.nodeid if life.is_of_one_test else f"{life.node.nodeid} ({life.name})"
        node.stash.setdefault(stash.STORY, story_of(owner, fixture, findings, inspection))


def _judge(
    life: Life,
    fixture: SmolvmFixture,
    findings: list[Finding],
    uncleaned: list[str],
    complaints: Callable[[], list[str]],
) -> None:
    """Fail, or warn.

    Not a test that failed half-way: it cannot have cleaned up, and its own failure is what matters.
    """
    allowed = life.allowed.reasons
    fatal, minor = hazards.sorted_out(findings, allowed)
    if life.failed:
        return
    fatal += [finding for finding in minor if not _is_warned_of(life, finding.text)]
    if LEAK in allowed:
        uncleaned = [text for text in uncleaned if not _is_warned_of(life, text)]
    told = [f"the fake itself failed:\n{crash}" for crash in fixture.crashes()]
    told += fixture.errors() + complaints() + [finding.text for finding in fatal] + uncleaned
    names = [finding.hazard for finding in fatal]
    if life.passed and UNUSED not in allowed:
        unmet = fixture.unmet()
        if fixture.mode == "fake":
            unmet += _unneeded(life, findings)
        if unmet:
            names.append(UNUSED)
            told.append("\n  ".join(["set up, but nothing ever met it:", *unmet]))
    if told:
        if names:
            told.append(f"on purpose? {_how_to_allow(life, list(dict.fromkeys(names)))}")
        told.append(f"calls of smolvm:\n{fixture.timeline() or '(none)'}")
        life.fail("\n\n".join(told))


def _is_warned_of(life: Life, text: str) -> bool:
    """Warn; tell whether that was possible: in this run a warning may be an error."""
    try:
        life.warn(text)
    except hazards.SmolvmHazardWarning:
        return False
    return True


def _unneeded(life: Life, findings: list[Finding]) -> list[str]:
    """Return what a block allows for itself, and did not need; markers: see `allowances`."""
    met = {finding.hazard for finding in findings}
    needless = [name for name in life.allowed.own if name not in met and name != UNUSED]
    return [f"allows={{{name!r}: {life.allowed.reasons[name]!r}}}" for name in needless]


def _how_to_allow(life: Life, names: list[str]) -> str:
    if life.name == SANDBOX:
        return f"sandbox(allows={{{', '.join(f'{name!r}: ...' for name in names)}}})"
    if life.name == "smolvm_session":
        return f"ini smolvm_allows: {', '.join(f'`{name}: reason`' for name in names)}"
    shown = ", ".join(f'"{name}"' for name in names)
    marker = f"pytest.mark.smolvm_allows({shown}, reason=...)"
    return f"pytestmark = {marker}" if life.name == "smolvm_module" else f"@{marker}"
