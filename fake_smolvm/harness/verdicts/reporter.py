"""Collects what the tests of a run did, and writes the HTML report in the end, however it ends.

Registered on the config of a run that asks for a report, so that a run inside a test has its own.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from fake_smolvm.harness.on_path.secrets import MASK, masked_text
from fake_smolvm.harness.stash import FIXTURE, OURS, STORY
from fake_smolvm.harness.verdicts.report import BAD, Attempt, Entry, Run, page
from fake_smolvm.harness.verdicts.story import SECRETS, secrets_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

OPTION = "--smolvm-report"

NO_END = "no end"
CRASH = "???"
"""The phase in which pytest-xdist reports that a worker died."""
REPEATED = "rerun"
"""The outcome that pytest-rerunfailures gives an attempt which is not the last."""
LONGEST_MESSAGE = 20_000
"""Characters of a failure's message that are shown."""
LONGEST_GIST = 300
"""Characters of a message's first line that are shown apart from it."""
_HEAD_BYTES = 1000

_PHASES = {"call": "the test", CRASH: "the process that ran it"}

_SECRETS: pytest.StashKey[list[str]] = pytest.StashKey()
_REPORTS: pytest.StashKey[list[Any]] = pytest.StashKey()
_SECRET_IN_TEXT = re.compile(
    r"""(?<![\w-])(?:-\w{0,2}?e["']?[\s,=]*|--(?:secret-)?env["']?[\s,=]+)[bfru]{0,2}"""
    r"""(?:(?P<around>["'])\w+=(?P<a>(?:(?!(?P=around)).)+)(?P=around)"""
    r"""|\w+=(?P<quote>["'])(?P<b>(?:(?!(?P=quote)).)+)(?P=quote)|\w+=(?P<c>[^\s"']+))"""
)
"""A value of `-e` as a shell and as Python write it, in tracebacks."""


def register(config: pytest.Config) -> None:
    """Add to the run the report that `--smolvm-report` asks for.

    Raises pytest.UsageError if it is clear before the run that it cannot be written.
    """
    config.pluginmanager.register(Carrier(), "smolvm-report-carrier")
    # With pytest-xdist, the workers' tests are told of by the process that started them.
    if not hasattr(config, "workerinput"):
        path = _checked(config.getoption("smolvm_report"), config.invocation_params.dir)
        config.pluginmanager.register(Reporter(path), "smolvm-report")


class Carrier:
    """Hands on, with pytest's own report of each phase of a test, what the page says of it."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add the stories of the fixtures that ended, and the message without secrets."""
        report: Any = yield
        if call.when == "setup":
            item.stash[_SECRETS], item.stash[_REPORTS] = [], []
        secrets = item.stash[_SECRETS]
        fixture = item.stash.get(FIXTURE, None)
        if _has_failed(report) and call.when == "call" and fixture is not None:
            secrets += secrets_of(fixture.calls)
        stories: list[Any] = []
        if call.when == "teardown":
            stories, last_secrets = _taken_from(item)
            secrets += last_secrets
        # A test that asks for one has a part in the report, even if it was skipped.
        uses = fixture is not None or any(name in OURS for name in item.fixturenames)  # type: ignore[attr-defined]
        # An attribute of a report is what pytest-xdist carries from its workers.
        report.smolvm = _told(report, secrets, stories, uses=uses)
        # pytest-rerunfailures shows no teardown of an attempt that it repeats.
        for earlier in item.stash[_REPORTS]:
            earlier.smolvm["stories"] = report.smolvm["stories"]
        item.stash[_REPORTS].append(report)
        return report  # type: ignore[no-any-return]


class Reporter:
    """Holds what is known of the run, and writes the page."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._tests: dict[tuple[str, str], _Collected] = {}
        self._item: pytest.Item | None = None
        self._notes: list[str] = []
        self._problem = ""

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Know of a test that begins, should it never end."""
        self._tests.setdefault((nodeid, ""), _Collected())

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Remember the test that runs in this process."""
        self._item = item

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Add what became of a phase of a test."""
        worker = report.node.gateway.id if hasattr(report, "node") else ""
        started = self._tests.pop((report.nodeid, ""), None) if worker else None
        key = (report.nodeid, worker)
        collected = self._tests.setdefault(key, started or _Collected())
        collected.add(report)
        if worker and report.when == CRASH and report.outcome == REPEATED:
            # Another worker takes it up.
            self._tests[report.nodeid, ""] = self._tests.pop(key)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Add what cannot be collected."""
        if report.failed:
            self._tests.setdefault((report.nodeid, ""), _Collected()).add(report)

    def pytest_internalerror(self, excrepr: object) -> None:
        """Note an error of pytest or of a plugin."""
        self._notes.append(f"The run ended in an internal error:\n{masked(str(excrepr))}")

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note that somebody ended the run."""
        self._notes.append(f"The run was interrupted: {excinfo.exconly(tryshort=True)}")

    # Innermost: after the last teardown, and before the terminal's summary.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Write the page; a page that cannot be written fails the run."""
        try:
            return (yield)
        finally:
            try:
                _write(self._path, page(self._run(session)))
            except Exception as error:  # noqa: BLE001  whatever it is, the failures are still shown
                why = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
                self._problem = f"{OPTION}: {self._path} cannot be written: {why}"
                if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
                    session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say where the page is, or why there is none."""
        if self._problem:
            terminalreporter.write_line(self._problem, red=True)
        else:
            terminalreporter.write_sep("-", f"smolvm report: {self._path}")

    def _run(self, session: pytest.Session) -> Run:
        left = _plain(_taken_from(self._item)[0]) if self._item else []
        for (nodeid, _), collected in self._tests.items():
            collected.finish(left if self._item and self._item.nodeid == nodeid else [])
        notes = list(self._notes)
        if session.config.option.collectonly:
            notes.append(f"Nothing was run, with --collect-only: {session.testscollected} tests.")
        notes += [f"The run ended early: {why}" for why in _early(session)]
        workers = Counter(nodeid for nodeid, _ in self._tests)
        shown = [
            Entry(f"{nodeid} [{worker}]" if workers[nodeid] > 1 else nodeid, collected.attempts)
            for (nodeid, worker), collected in self._tests.items()
            if collected.is_shown
        ]
        others = (test for test in self._tests.values() if not test.is_shown)
        now = dt.datetime.now(dt.UTC)
        return Run(
            shown,
            Counter(test.attempts[-1].outcome for test in others),
            notes,
            f"Written {now:%Y-%m-%d %H:%M:%S} UTC, by pytest {pytest.__version__}.",
        )


class _Collected:
    """What is known so far of one test."""

    def __init__(self) -> None:
        self._uses = self._open = False
        self.attempts: list[Attempt] = []

    @property
    def is_shown(self) -> bool:
        """Whether it used smolvm or failed."""
        return self._uses or self.attempts[-1].outcome in BAD

    def add(self, report: Any) -> None:
        """Add a phase of an attempt; a setup begins the next attempt."""
        when = getattr(report, "when", "collection")
        if not self.attempts or when == "setup":
            self.attempts.append(Attempt(NO_END))
        self._open = when in ("setup", "call")
        told = getattr(report, "smolvm", None) or _told(report)
        self._uses |= told["uses"]
        attempt = self.attempts[-1]
        attempt.stories = told["stories"] or attempt.stories
        attempt.reason = attempt.reason or told["gist"]
        attempt.messages += [(_PHASES.get(when, when), told["message"])] if told["message"] else []
        attempt.outcome = _outcome(report, when, attempt.outcome)

    def finish(self, stories: list[Any]) -> None:
        """Say so if nobody reported the end; `stories` are those that nobody handed on."""
        if not self.attempts:
            self.attempts.append(Attempt(NO_END))
        attempt = self.attempts[-1]
        attempt.stories = attempt.stories or stories
        if self._open and attempt.outcome not in BAD:
            attempt.outcome = NO_END
        if attempt.outcome == NO_END:
            attempt.reason = "was still running when the run ended"


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text with `***` for secrets: the ones given, and values of `-e` that it shows."""
    found = (match["a"] or match["b"] or match["c"] for match in _SECRET_IN_TEXT.finditer(text))
    return masked_text(text, {*secrets, *found} - {"", MASK})


def _has_failed(report: Any) -> bool:
    return report.outcome in ("failed", REPEATED)


def _outcome(report: Any, when: str, before: str) -> str:
    if _has_failed(report):
        return "failed" if before == "failed" or when in ("call", CRASH) else "error"
    if report.skipped:
        return "xfailed" if hasattr(report, "wasxfail") else "skipped"
    if when == "call":
        return "xpassed" if hasattr(report, "wasxfail") else "passed"
    return before


def _told(
    report: Any, secrets: Iterable[str] = (), stories: Iterable[Any] = (), *, uses: bool = False
) -> dict[str, Any]:
    """Return what the page says of a phase: plain data that every process can be sent."""
    message = gist = ""
    if _has_failed(report):
        message = _shortened(masked(str(report.longrepr), secrets))
        crash = getattr(report.longrepr, "reprcrash", None)
        gist = masked(crash.message, secrets) if crash else message
    elif report.skipped:
        gist = masked(getattr(report, "wasxfail", "") or report.longrepr[2], secrets)
    first = next((line.strip() for line in gist.splitlines() if line.strip()), "")
    gist = first if len(first) <= LONGEST_GIST else f"{first[:LONGEST_GIST]}…"
    return _plain({"uses": uses, "stories": stories, "message": message, "gist": gist})  # type: ignore[no-any-return]


def _shortened(message: str) -> str:
    left_out = len(message) - LONGEST_MESSAGE
    if left_out <= 0:
        return message
    half = LONGEST_MESSAGE // 2
    return f"{message[:half]}\n[{left_out} characters are left out here]\n{message[-half:]}"


def _plain(value: Any) -> Any:
    """Return data whose every text can be encoded: a guest's or an argv's bytes may be no UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def _taken_from(item: pytest.Item) -> tuple[list[Any], list[str]]:
    """Take what the test's fixtures tell, also those of a wider scope that have just ended.

    Returns their stories, and the secrets in them.
    """
    nodes = [node for node in item.listchain() if STORY in node.stash]
    stories = [node.stash[STORY] for node in nodes]
    for node in nodes:
        del node.stash[STORY]
    return stories, [secret for story in stories for secret in story.pop(SECRETS)]


def _early(session: pytest.Session) -> list[str]:
    return [why for why in (session.shouldfail, session.shouldstop) if isinstance(why, str)]


def _checked(named: str, folder: Path) -> str:
    """Return where the page will be.

    Raises pytest.UsageError if it cannot be there.
    """
    path = os.path.join(folder, os.path.expanduser(named))
    try:
        wrong = _what_is_wrong(named, path)
    except (OSError, ValueError) as error:
        wrong = f"cannot be written: {getattr(error, 'strerror', None) or error}"
    if wrong:
        raise pytest.UsageError(f"{OPTION}={named}: {wrong}")
    return path


def _what_is_wrong(named: str, path: str) -> str:
    if not named:
        return "name the file that the report is to be"
    if os.path.isdir(path) or named.endswith(os.sep):
        return f"is a folder: name a file, such as {os.path.join(named, 'report.html')}"
    try:
        if os.path.isfile(path) and not _is_a_report(path):
            return "is there already, and no report: name another file, or remove it"
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        # Anything else cannot be a file's name.
        pass
    folder = os.path.dirname(path)
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        return f"cannot be written: {folder} is no folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"cannot be written: {folder} may not be written by this user"
    return ""


def _is_a_report(path: str) -> bool:
    """Tell whether a file may be replaced: one of an earlier run, or an empty one."""
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    return not head or b"<title>smolvm" in head


def _write(path: str, text: str) -> None:
    """Write the page, whole or not at all, and the folders above it."""
    data = text.encode("utf-8", "backslashreplace")
    if os.path.exists(path) and not os.path.isfile(path):
        # A pipe or a device is to be written to, not replaced.
        with open(path, "wb") as file:
            file.write(data)
        return
    path = os.path.realpath(path)
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    unfinished = os.path.join(folder, f".smolvm-report-{os.getpid()}")
    try:
        with open(unfinished, "wb") as file:
            file.write(data)
        os.replace(unfinished, path)
    except BaseException:
        if os.path.exists(unfinished):
            os.unlink(unfinished)
        raise
