"""A fixture that is alive: whose it is, what may happen, and what became of its tests."""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from fake_smolvm.harness import markers, stash
from fake_smolvm.harness.verdicts import hazards

if TYPE_CHECKING:
    from fake_smolvm.harness.fixture import SmolvmFixture
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
        self._failed: set[str] = set()
        self._skipped: set[str] = set()
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

    def note_start(self, item: pytest.Item | None = None) -> None:
        """Remember that an attempt at a test begins: what became of an earlier one is over."""
        self._test_began = time.monotonic_ns()
        if item is not None:
            self._failed.discard(item.nodeid)
            self._skipped.discard(item.nodeid)
            self.fixture.stay()

    def note_failure(self, item: pytest.Item | None = None) -> None:
        """Remember that a test failed, expected or not, or the block itself."""
        if item is None or self.is_used_by(item):
            self._failed.add("" if item is None else item.nodeid)

    def note_skip(self, item: pytest.Item) -> None:
        """Remember that a test was skipped."""
        if self.is_used_by(item):
            self._skipped.add(item.nodeid)

    def timeline(self) -> str:
        """Return the calls of the test that runs, as lines of text."""
        return self.fixture.timeline(since=self._test_began)

    @property
    def failed(self) -> bool:
        """Whether there is a failure that matters more than what is left behind."""
        if self.is_of_one_test:
            kept = self.node.stash
            return bool(kept.get(stash.FAILED, False) or kept.get(stash.XFAILED, False))
        return bool(self._failed)

    @property
    def passed(self) -> bool:
        """Whether all came to its end, so that what nothing met yet will never be met."""
        if self.is_of_one_test:
            return stash.passed(self.node)
        return not (self._failed or self._skipped or self._is_partial())

    def _is_partial(self) -> bool:
        """Tell whether some of the tests that it is for may be left out, or run elsewhere."""
        if self.config is None or isinstance(self.node, pytest.Item):
            return False
        return self.config.stash.get(stash.PARTIAL, False) or hasattr(self.config, "workerinput")

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
