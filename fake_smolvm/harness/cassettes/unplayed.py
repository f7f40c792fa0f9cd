"""Cassettes that no test plays: said at the end of a replay, which they fail.

One is left behind where a test was removed, renamed, or calls `smolvm` no more. Of a module of
which only some tests were named (by their node ids), nothing is said of the others; of a test
that was deselected, skipped or failed, neither.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from fake_smolvm.harness.cassettes import taping
from fake_smolvm.harness.cassettes.cassette import Cassette, CassetteError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

ALLOWANCE = "unused"
"""The word of ini `smolvm_allows` that allows them."""
_OUTPUT = "smolvm_cassettes"
"""What pytest-xdist carries from its workers by this name: cassettes, and whose they are."""


class Unplayed:
    """A plugin of one replay run."""

    def __init__(self, config: pytest.Config, allowed: dict[str, str]) -> None:
        self._config = config
        self._allowed = ALLOWANCE in allowed
        self._owners: dict[str, str | None] = {}
        self._passed: set[str] = set()
        self._played: set[str] = set()
        self._left: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Find the cassettes there are, before tests are deselected."""
        by_module: dict[Path, list[pytest.Item]] = {}
        for item in items:
            by_module.setdefault(item.path, []).append(item)
        in_part = self._modules_in_part()
        for module, tests in by_module.items():
            owners = {str(taping.found(test)): test.nodeid for test in tests}
            for path in map(str, sorted(taping.cassette_folder(module).glob("*.toml"))):
                if path in owners or module not in in_part:
                    self._owners[path] = owners.get(path)
        for parent in {module.parent for module in by_module}:
            for path in _of_gone_modules(parent):
                self._owners[path] = None
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[_OUTPUT] = self._owners

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker of pytest-xdist has found."""
        self._owners |= getattr(node, "workeroutput", {}).get(_OUTPUT, {})

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Have a report tell whether its test played a cassette."""
        report = yield
        report.smolvm_played = item.stash.get(taping.PLAYED, False)  # type: ignore[attr-defined]
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note who has passed, and who has played."""
        if getattr(report, "smolvm_played", False):
            self._played.add(report.nodeid)
        if report.when == "call" and report.passed:
            self._passed.add(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail the run if there are any."""
        if hasattr(self._config, "workerinput") or self._config.option.collectonly:
            return
        silent = self._passed - self._played
        self._left = sorted(
            path for path, owner in self._owners.items() if owner is None or owner in silent
        )
        if self._left and not self._allowed and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say which."""
        if not self._left or self._allowed:
            return
        terminalreporter.section("smolvm: cassettes that no test plays", red=True)
        for path in self._left:
            terminalreporter.line(os.path.relpath(path, self._config.invocation_params.dir))
        terminalreporter.line(
            "remove them, or allow them in the ini file: `unused: reason` in smolvm_allows"
        )

    def _modules_in_part(self) -> set[Path]:
        named = [arg.partition("::") for arg in self._config.args]
        here = self._config.invocation_params.dir
        return {(here / file).resolve() for file, separator, _ in named if separator}


def _of_gone_modules(parent: Path) -> list[str]:
    """Return the cassettes beside tests whose module is gone."""
    gone = []
    for path in sorted((parent / taping.CASSETTES).glob("*/*.toml")):
        module = path.parent.name
        if not (parent / f"{module}.py").exists() and not (parent / module).exists():
            try:
                Cassette.read(path)
            except CassetteError:
                continue  # a file of somebody else's
            gone.append(str(path))
    return gone
