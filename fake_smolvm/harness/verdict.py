"""What a fixture is judged by at its end: hazards, leaks, and what was set up for nothing."""

from __future__ import annotations

import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from fake_smolvm.harness import hazards, markers, plugin
from fake_smolvm.harness.inspection import NoAnswerError
from fake_smolvm.harness.reading import number
from fake_smolvm.harness.story import story_of
from fake_smolvm.harness.words import UNUSED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fake_smolvm.harness.fixture import SmolvmFixture
    from fake_smolvm.harness.hazards import Finding
    from fake_smolvm.harness.inspection import Inspection
    from fake_smolvm.harness.markers import Allowed

SANDBOX = "fake_smolvm.sandbox()"
"""What a life is called that is a block of code, not a fixture."""


class SandboxError(AssertionError):
    """What was done in a `sandbox()` walked into a trap of smolvm, or left a machine behind."""


class Life:
    """One fixture that is alive: whose it is, what may happen, and what became of its tests."""

    fixture: SmolvmFixture

    def __init__(
        self,
        name: str,
        node: Any,
        config: pytest.Config | None,
        allowed: Allowed,
        place: tuple[str, int] | None = None,
    ) -> None:
        """Begin.

        Args:
            name: What gives it: a fixture, or `SANDBOX`.
            node: The test, class, module or session that it is for; None outside pytest.
            config: Whose run it is; None outside pytest.
            allowed: What may happen.
            place: The file and line where a warning is shown, if not at `node`.
        """
        self.name = name
        self.node = node
        self.config = config
        self.allowed = allowed
        self.place = place
        self._failed = self._skipped = False
        self._test_began = 0

    @property
    def is_of_one_test(self) -> bool:
        """Whether it lives as long as one test, and no other sees it."""
        return self.name in (markers.ON_PATH, markers.IN_PROCESS)

    def is_used_by(self, item: pytest.Item) -> bool:
        """Tell whether a test has to do with it."""
        if self.is_of_one_test:
            return self.node is item
        return self.name == SANDBOX or self.name in getattr(item, "fixturenames", ())

    def note_start(self) -> None:
        """Remember that a test begins: its timeline is what is called from now on."""
        self._test_began = time.monotonic_ns()

    def note_failure(self, item: pytest.Item | None = None) -> None:
        """Remember that a test failed, expected or not."""
        self._failed |= item is None or self.is_used_by(item)

    def note_skip(self, item: pytest.Item) -> None:
        """Remember that a test was skipped."""
        self._skipped |= self.is_used_by(item)

    def timeline(self) -> str:
        """Return the calls of the test that runs, as lines of text."""
        return self.fixture.timeline(since=self._test_began)

    @property
    def failed(self) -> bool:
        """Whether there is a failure that matters more than what is left behind."""
        if self.is_of_one_test:
            stash = self.node.stash
            return bool(stash.get(plugin.FAILED, False) or stash.get(plugin.XFAILED, False))
        return self._failed

    @property
    def passed(self) -> bool:
        """Whether all came to its end, so that what nothing met yet will never be met."""
        if self.is_of_one_test:
            return plugin.passed(self.node)
        return not (self._failed or self._skipped or self._is_partial())

    def _is_partial(self) -> bool:
        """Tell whether some of the tests that it is for may be left out, or run elsewhere."""
        if self.config is None or isinstance(self.node, pytest.Item):
            return False
        return self.config.stash.get(plugin.PARTIAL, False) or hasattr(self.config, "workerinput")

    def fail(self, text: str) -> None:
        """Raise what the one who asked for the fixture expects."""
        if self.name == SANDBOX:
            raise SandboxError(text)
        pytest.fail(text, pytrace=False)

    def warn(self, text: str) -> None:
        """Warn, where the test is."""
        warning = hazards.SmolvmHazardWarning(text)
        if self.place is None:
            self.node.warn(warning)
        else:
            warnings.warn_explicit(warning, None, *self.place)


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
        life.node.stash[plugin.FIXTURE] = fixture
    plugin.LIVES.append(life)
    try:
        yield
    except BaseException:
        life.note_failure()
        raise
    finally:
        plugin.LIVES.remove(life)
        findings, uncleaned = _looked_over(fixture, inspection)
        _tell_story(life, fixture, findings, inspection)
        _judge(life, fixture, findings, uncleaned, complaints)


def _looked_over(
    fixture: SmolvmFixture, inspection: Inspection | None
) -> tuple[list[Finding], list[str]]:
    """Return what a test walked into or left behind, and what of it could not be cleaned up."""
    fixture.close()
    if inspection is None:
        return [], []
    findings: list[Finding] = []
    if fixture.mode == "fake":
        findings += hazards.noted(inspection.paths.hazards)
    try:
        findings += hazards.orphaned(inspection.orphans())
        findings += hazards.leaks(inspection.states().items(), fixture.calls)
    except NoAnswerError as error:
        return findings, [f"what was left behind could not be seen: {error}"]
    return findings, inspection.tear_down()


def _tell_story(
    life: Life, fixture: SmolvmFixture, findings: list[Finding], inspection: Inspection | None
) -> None:
    nodes = [life.node] if life.is_of_one_test else []
    if life.config is not None and not nodes:
        # What lives longer than a test is told with the last one.
        nodes = [node for node in life.config.stash[plugin.NODES] if isinstance(node, pytest.Item)]
    for node in nodes[:1]:
        owner = node.nodeid if life.is_of_one_test else f"{life.node.nodeid} ({life.name})"
        node.stash.setdefault(plugin.STORY, story_of(owner, fixture, findings, inspection))


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
    if hazards.LEAK in allowed:
        uncleaned = [text for text in uncleaned if not _is_warned_of(life, text)]
    told = [f"the fake itself failed:\n{crash}" for crash in fixture.crashes()]
    told += complaints() + [finding.text for finding in fatal] + uncleaned
    names = [finding.hazard for finding in fatal]
    if life.passed and UNUSED not in allowed:
        unmet = fixture.unmet() + _unneeded(life, fixture, findings)
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


def _unneeded(life: Life, fixture: SmolvmFixture, findings: list[Finding]) -> list[str]:
    """Return what the test says that it walks into, and did not.

    Only what it says itself, and what could have been seen: on the fake, of a version that has it.
    """
    if fixture.mode != "fake":
        return []
    met = {finding.hazard for finding in findings}
    return [
        f"the allowance of {name!r} ({life.allowed.reasons[name]})"
        for name in life.allowed.own
        if name != UNUSED and name not in met and _is_in(name, fixture.version)
    ]


def _is_in(hazard: str, version: str) -> bool:
    about = hazards.known().get(hazard, {})
    since, until = about.get("since"), (about.get("until") or "").partition(" ")[0]
    return (not since or number(since) <= number(version)) and (
        not until or number(version) < number(until)
    )


def _how_to_allow(life: Life, names: list[str]) -> str:
    if life.name == SANDBOX:
        return f"sandbox(allows={{{', '.join(f'{name!r}: ...' for name in names)}}})"
    if life.name == "smolvm_session":
        return f"ini smolvm_allows: {', '.join(f'`{name}: reason`' for name in names)}"
    shown = ", ".join(f'"{name}"' for name in names)
    marker = f"pytest.mark.smolvm_allows({shown}, reason=...)"
    return f"pytestmark = {marker}" if life.name == "smolvm_module" else f"@{marker}"
