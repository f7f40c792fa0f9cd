"""The pytest plugin: the fixtures `smolvm`, `fake_smolvm` and `argv_snapshot`, and their options.

Loaded in every run of every project that has this package installed, so nothing is imported here
that a run without these fixtures does not need.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from fake_smolvm.harness.lives import LIVES, lives_of
from fake_smolvm.harness.options import (
    MODES,
    mode_of,
    pytest_addoption,  # noqa: F401  a hook
    run_of,
    says_more,
)
from fake_smolvm.harness.stash import (
    ALLOWANCES,
    CONFIGS,
    FAILED,
    FIXTURE,
    GUARDED,
    LATER,
    NODES,
    OF_AN_ATTEMPT,
    OURS,
    PARTIAL,
    PASSED,
    PROPERTY,
    RUN,
    SKIPPED,
    TIMELINE,
    WRONG,
    XFAILED,
    is_ours,
    passed,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from syrupy.assertion import SnapshotAssertion

    from fake_smolvm.harness.fixture import InProcessFixture, SmolvmFixture
    from fake_smolvm.harness.verdicts.life import Life


def pytest_configure(config: pytest.Config) -> None:
    """Find out which smolvm the run is about; what cannot be had ends it here."""
    config.addinivalue_line(
        "markers",
        'smolvm(mode, cli="0.8.0", home="keep"): run this test on that smolvm '
        "(fake, real, auto, replay), of that version, and leave HOME alone",
    )
    config.addinivalue_line(
        "markers",
        'smolvm_allows(*hazards, reason): let this test walk into hazards ("H3"), leave a machine '
        'or a call behind ("leak", "process"), or set up what nothing meets ("unused")',
    )
    config.stash[NODES] = []
    mode, said_by = mode_of(config)
    if mode not in MODES:
        raise pytest.UsageError(f"{said_by}: smolvm mode {mode!r} is none of {', '.join(MODES)}")
    if mode in ("real", "auto") or says_more(config):
        from fake_smolvm.harness.settings import chosen, find_binary

        run = run_of(config)
        chosen(run)
        if run.binary is not None:
            find_binary(run)
    if config.getoption("smolvm_record") != "none":
        from fake_smolvm.harness.cassettes.drawn import watched

        # From here on, as a test module may draw a name for all its tests.
        stack = ExitStack()
        stack.enter_context(watched())
        config.add_cleanup(stack.close)
    if mode == "replay":
        from fake_smolvm.harness.cassettes.unplayed import Unplayed

        config.pluginmanager.register(Unplayed(config, run_of(config).allowed))
    if config.getoption("smolvm_report") is not None:
        from fake_smolvm.harness.verdicts import reporter

        reporter.register(config)
    CONFIGS.append(config)


@pytest.hookimpl(wrapper=True, tryfirst=True, specname="pytest_sessionfinish")
def pytest_end_of_blocks(session: pytest.Session) -> Generator[None, None, None]:
    """Say of a block that was entered, and never left, that nothing judged it."""
    yield
    for life in lives_of(session.config):
        if life.place is not None:
            pytest.exit(
                f"a {life.name} was never left: {life.place[0]}:{life.place[1]}; use `with`, "
                "cls.enterClassContext, or a fixture that yields",
                returncode=1,
            )


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave no folder behind."""
    if config in CONFIGS:
        CONFIGS.remove(config)
    if not CONFIGS and "fake_smolvm.harness.on_path.session_folder" in sys.modules:
        from fake_smolvm.harness.on_path.session_folder import remove_if_empty

        remove_if_empty()


def pytest_report_header(config: pytest.Config) -> str:
    """Say which smolvm it is."""
    mode, _ = mode_of(config)
    if RUN not in config.stash and config.getoption("smolvm_record") == "none":
        # The usual run, which may not use any fixture of this plugin at all.
        from fake_smolvm.grammars import DEFAULT_VERSION

        return f"smolvm: {mode} {DEFAULT_VERSION if mode == 'fake' else ''}".rstrip()
    from fake_smolvm.harness.settings import chosen

    description = chosen(run_of(config)).description
    if mode in ("fake", "replay") and config.getoption("smolvm_binary"):
        description += "; --smolvm-binary is for tests marked real: did you mean --smolvm=real too?"
    return f"smolvm: {description}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Refuse markers that say nothing that could be done, also of tests that will not run."""
    del session
    marked = [
        item
        for item in items
        if any(mark.name in ("smolvm", "smolvm_allows") for mark in item.iter_markers())
    ]
    if any("::" in argument for argument in config.args):
        config.stash[PARTIAL] = True
    if not marked:
        return
    from fake_smolvm.harness.markers import complaints

    wrong = list(complaints(marked, mode_of(config)[0]))
    for item, text in wrong:
        item.stash[WRONG] = text
    if wrong and not hasattr(config, "workerinput"):
        raise pytest.UsageError("\n".join(text for _, text in wrong))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Remember which tests the markers are for that allow something."""
    marked = [item for item in session.items if item.get_closest_marker("smolvm_allows")]
    if marked and not any(WRONG in item.stash for item in marked):
        from fake_smolvm.harness.verdicts.allowances import Allowances

        is_partial = session.config.stash.get(PARTIAL, False)
        session.config.stash[ALLOWANCES] = Allowances(marked, is_partial=is_partial)


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Remember that some tests are left out."""
    for item in items[:1]:
        item.config.stash[PARTIAL] = True


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin an attempt: nothing is known of it, whatever became of the one before."""
    for key in OF_AN_ATTEMPT:
        if key in item.stash:
            del item.stash[key]
    item.user_properties[:] = [one for one in item.user_properties if one[0] != PROPERTY]
    item.config.stash[NODES][:] = [item]
    if ALLOWANCES in item.config.stash:
        item.config.stash[ALLOWANCES].begun(item)
    for life in lives_of(item.config):
        life.note_start(item)
    names = set(OURS).intersection(getattr(item, "fixturenames", ()))
    if any(is_ours(item, name) for name in names):
        from fake_smolvm.harness.on_path.too_early import begin

        item.stash[GUARDED] = True
        begin(has_lives=bool(lives_of(item.config)))
    if WRONG in item.stash:
        pytest.fail(item.stash[WRONG], pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Remember whose fixture it is; if it comes before the test's smolvm, it must not start any."""
    __tracebackhide__ = True
    nodes = request.config.stash[NODES]
    guarded = nodes[:1] and GUARDED in nodes[0].stash and not lives_of(request.config)
    nodes.append(request.node)
    try:
        if not guarded or fixturedef.argname in OURS:
            return (yield)
        from fake_smolvm.harness.on_path.too_early import checked

        return (yield from checked(fixturedef.argname, request.scope))
    finally:
        nodes.pop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Take a test that somebody interrupts for a failed one: it cannot have cleaned up."""
    try:
        return (yield)
    except (KeyboardInterrupt, pytest.exit.Exception):
        item.stash[FAILED] = True
        for life in lives_of(item.config):
            life.note_failure(item)
        raise


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """End an attempt: what waits for all fixtures to be gone is done now."""
    text: str | None = "the test failed"
    try:
        yield
        text = None
    finally:
        if GUARDED in item.stash:
            from fake_smolvm.harness.on_path.too_early import end

            text = end(has_lives=bool(LIVES)) or text
        for act in item.stash.get(LATER, ()):
            act(text is None and passed(item))
    if text is None and passed(item):
        text = _needless(item)
    if text is not None:
        pytest.fail(text, pytrace=False)


def _needless(item: pytest.Item) -> str | None:
    """Return what the markers of a test that has passed said for nothing."""
    own = [mark for mark in item.own_markers if mark.name in ("smolvm", "smolvm_allows")]
    if own:
        from fake_smolvm.harness.verdicts.allowances import is_written

        own = [mark for mark in own if is_written(item, mark)]
    if own and FIXTURE not in item.stash:
        return (
            f"the marker {own[0].name} of this test did nothing: it uses none of "
            f"{', '.join(OURS)}, nor fake_smolvm.sandbox()"
        )
    if ALLOWANCES not in item.config.stash:
        return None
    text = item.config.stash[ALLOWANCES].ended(item)
    if text is None or "unused" in run_of(item.config).allowed:
        return None
    calls = item.stash.get(TIMELINE, "") or "(none)"
    how = '@pytest.mark.smolvm_allows("unused", reason=...)'
    return f"{text}\n\non purpose? {how}\n\ncalls of smolvm:\n{calls}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember how the attempt goes; show a failed test's calls of `smolvm`."""
    if call.excinfo is not None:
        _explain_scope(call.excinfo.value)
    report = yield
    _note_outcome(item, report)
    life = _life_of(item)
    if report.failed and life is not None and call.when is not None:
        timeline = life.timeline()
        if call.when == "call":
            report.sections.append((PROPERTY, timeline))
            if refused := life.fixture.refused:
                report.sections.append(("smolvm replay", refused))
            report.sections += [("smolvm guest command", it) for it in life.fixture.errors()]
        if timeline and not any(one[0] == PROPERTY for one in item.user_properties):
            # Where JUnit's XML takes it from, whatever `junit_logging` says.
            item.user_properties.append((PROPERTY, timeline))
            report.user_properties.append((PROPERTY, timeline))
    return report


def _note_outcome(item: pytest.Item, report: pytest.TestReport) -> None:
    key = PASSED
    if report.failed:
        key = FAILED
    elif report.skipped:
        key = XFAILED if hasattr(report, "wasxfail") else SKIPPED
    elif report.when != "call":
        return
    item.stash[key] = True
    if key is not PASSED and ALLOWANCES in item.config.stash:
        item.config.stash[ALLOWANCES].note_incomplete(item)
    for life in lives_of(item.config):
        if key in (FAILED, XFAILED):
            life.note_failure(item)
        elif key is SKIPPED:
            life.note_skip(item)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Show a comparison of words that hold secrets without them."""
    masked = sys.modules.get("fake_smolvm.harness.seen.masked")
    return None if masked is None else masked.explained(op, left, right)


def _life_of(item: pytest.Item) -> Life | None:
    return next((life for life in reversed(lives_of(item.config)) if life.is_used_by(item)), None)


def _explain_scope(error: BaseException) -> None:
    """Add to pytest's ScopeMismatch which fixture lives as long as is needed."""
    said = getattr(error, "msg", None)
    if not isinstance(said, str) or not said.startswith("ScopeMismatch"):
        return
    for name in OURS:
        for scope in ("class", "module", "package", "session"):
            if f"scoped fixture {name} with a {scope} scoped request" in said:
                wider = f"smolvm_{'session' if scope == 'package' else scope}"
                error.msg = (  # type: ignore[attr-defined]
                    f"{said}\n\n`{name}` does not live that long: ask for `{wider}`, which is "
                    f"the same for the whole {wider.removeprefix('smolvm_')}"
                )
                return


@pytest.fixture
def smolvm(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SmolvmFixture]:
    """A `smolvm` on PATH with a HOME of its own; `--smolvm` says which."""
    from fake_smolvm.harness.fixture_life import for_a_test

    with for_a_test(request, monkeypatch, run_of(request.config)) as fixture:
        yield fixture


@pytest.fixture(scope="class")
def smolvm_class(request: pytest.FixtureRequest) -> Iterator[SmolvmFixture]:
    """The same `smolvm` for all tests of a class."""
    from fake_smolvm.harness.fixture_life import for_many_tests

    with for_many_tests(request, run_of(request.config)) as fixture:
        yield fixture


@pytest.fixture(scope="module")
def smolvm_module(request: pytest.FixtureRequest) -> Iterator[SmolvmFixture]:
    """The same `smolvm` for all tests of a module."""
    from fake_smolvm.harness.fixture_life import for_many_tests

    with for_many_tests(request, run_of(request.config)) as fixture:
        yield fixture


@pytest.fixture(scope="session")
def smolvm_session(request: pytest.FixtureRequest) -> Iterator[SmolvmFixture]:
    """The same `smolvm` for the whole run (with pytest-xdist: for each worker)."""
    from fake_smolvm.harness.fixture_life import for_many_tests

    with for_many_tests(request, run_of(request.config)) as fixture:
        yield fixture


@pytest.fixture
def fake_smolvm(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[InProcessFixture]:
    """The fake, in this process: `smolvm` as started by the code under test is a thread.

    Beside `smolvm`, or one of its wider kin, it steps aside.
    """
    from fake_smolvm.harness.fixture_life import in_process

    with in_process(request, monkeypatch, run_of(request.config)) as fixture:
        yield fixture


@pytest.fixture
def argv_snapshot(
    request: pytest.FixtureRequest, snapshot: SnapshotAssertion
) -> Iterator[SnapshotAssertion]:
    """A snapshot of command lines: `assert argv_snapshot == smolvm.calls`."""
    from fake_smolvm.harness.cassettes.drawn import watched
    from fake_smolvm.harness.snapshots.argv_snapshot import extension

    with watched():
        yield snapshot.use_extension(extension(request))
