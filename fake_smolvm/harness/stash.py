"""What the plugin keeps of a run and of each test, and by which key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fake_smolvm.harness.fixture import SmolvmFixture
    from fake_smolvm.harness.settings import Run
    from fake_smolvm.harness.verdicts.allowances import Allowances

OURS = ("smolvm", "fake_smolvm", "smolvm_class", "smolvm_module", "smolvm_session")
"""The fixtures that give a `smolvm`."""
PROPERTY = "smolvm calls"
"""What a failed test's timeline is called in its report, and among its JUnit properties."""

RUN: pytest.StashKey[Run] = pytest.StashKey()
FIXTURE: pytest.StashKey[SmolvmFixture] = pytest.StashKey()
FAILED: pytest.StashKey[bool] = pytest.StashKey()
"""Whether this attempt at the test failed, as far as is known."""
SKIPPED: pytest.StashKey[bool] = pytest.StashKey()
"""Whether this attempt was skipped, wholly or in part."""
XFAILED: pytest.StashKey[bool] = pytest.StashKey()
"""Whether this attempt failed as expected, wholly or in part."""
PASSED: pytest.StashKey[bool] = pytest.StashKey()
"""Whether the test's own function came to its end in this attempt."""
TIMELINE: pytest.StashKey[str] = pytest.StashKey()
"""The calls of a test whose fixture is gone, as text."""
LATER: pytest.StashKey[list[Any]] = pytest.StashKey()
"""What is to be done once all fixtures of the test are gone: called with whether it passed."""
GUARDED: pytest.StashKey[bool] = pytest.StashKey()
"""Whether no other smolvm than its own may be met in a test, before and after that too."""
WRONG: pytest.StashKey[str] = pytest.StashKey()
"""What is wrong with a test's markers, where a worker of pytest-xdist cannot end the run."""
STORY: pytest.StashKey[dict[str, Any]] = pytest.StashKey()
"""What happened to `smolvm` in a test, for the HTML report."""
NODES: pytest.StashKey[list[Any]] = pytest.StashKey()
"""The test that runs, and what the fixtures that are being set up belong to, the innermost last."""
ALLOWANCES: pytest.StashKey[Allowances] = pytest.StashKey()
PARTIAL: pytest.StashKey[bool] = pytest.StashKey()
"""Whether some of the tests are left out of this run."""

OF_AN_ATTEMPT: list[pytest.StashKey[Any]]
OF_AN_ATTEMPT = [FAILED, SKIPPED, XFAILED, PASSED, FIXTURE, STORY, TIMELINE, LATER]

CONFIGS: list[pytest.Config] = []
"""The runs that are under way: more than one where a test runs pytest in its own process."""

PLUGIN = "fake_smolvm.harness.plugin"


def is_ours(item: Any, name: str) -> bool:
    """Tell whether a fixture's name means ours in a test, or one that is made of ours."""
    info = getattr(item, "_fixtureinfo", None)
    known = {} if info is None else info.name2fixturedefs
    for definition in reversed(known.get(name, ())):
        if definition.func.__module__ == PLUGIN:
            return True
        if name not in definition.argnames:
            return False
    return True


def passed(item: pytest.Item) -> bool:
    """Tell whether this attempt at a test came to its end and, as far as known, failed nowhere."""
    stash = item.stash
    return stash.get(PASSED, False) and not any(key in stash for key in (FAILED, SKIPPED, XFAILED))
