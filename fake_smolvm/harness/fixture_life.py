"""How a fixture comes to be: its place is made, something called smolvm put there, and judged."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest

from fake_smolvm.harness import markers, stash, words
from fake_smolvm.harness.cassettes import raw_events, taping
from fake_smolvm.harness.fixture import InProcessFixture, SmolvmFixture, SteppedAside
from fake_smolvm.harness.lives import lives_of
from fake_smolvm.harness.on_path.sandbox import Sandbox
from fake_smolvm.harness.options import run_of
from fake_smolvm.harness.seen.inspection import Inspection
from fake_smolvm.harness.settings import HOMES, Run, Wish, chosen, run_outside_pytest
from fake_smolvm.harness.verdicts.life import SANDBOX, Life
from fake_smolvm.harness.verdicts.verdict import lived

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Literal

    from fake_smolvm.harness.cassettes.cassette import Cassette
    from fake_smolvm.harness.markers import Allowed
    from fake_smolvm.harness.settings import Settings

_NEVER_CALLED = (
    "`fake_smolvm` answers in this test already, so {} would never be called: ask for `smolvm` as "
    "an argument of the test (or by usefixtures), then `fake_smolvm` steps aside"
)
_ENTERED_BY = ("contextlib.py", "case.py")
"""Files of the standard library that may stand between a block and who wrote it."""


@contextmanager
def for_a_test(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, run: Run
) -> Iterator[SmolvmFixture]:
    """Provide the fixture `smolvm`: that of the class, module or session if the test has one."""
    node = request.node
    wide = _wider(request)
    if wide is not None:
        _check_wish(node, wide)
        node.stash[stash.FIXTURE] = wide.fixture
        yield wide.fixture
        return
    if _in_process_answers(request.config):
        pytest.fail(_NEVER_CALLED.format("`smolvm`"), pytrace=False)
    settings, allowed = _asked_for(node, run)
    life = Life(markers.ON_PATH, node, request.config, allowed)
    with on_path(request, monkeypatch, settings, life) as fixture:
        yield fixture


@contextmanager
def for_many_tests(request: pytest.FixtureRequest, run: Run) -> Iterator[SmolvmFixture]:
    """Provide `smolvm_class`, `smolvm_module` or `smolvm_session`."""
    wide = _wider(request)
    if wide is not None:
        yield wide.fixture
        return
    name = str(request.fixturename)
    settings, allowed = _asked_for(request.node, run)
    wrong = _needs_a_cassette(settings, f"`{name}`")
    if wrong is not None:
        pytest.fail(wrong, pytrace=False)
    life = Life(name, request.node, request.config, allowed)
    with pytest.MonkeyPatch.context() as patches, on_path(None, patches, settings, life) as fixture:
        yield fixture


@contextmanager
def sandbox(
    mode: str | None = None,
    *,
    cli: str | None = None,
    home: str | None = None,
    binary: str | None = None,
    allows: Mapping[str, str] | None = None,
) -> Iterator[SmolvmFixture]:
    """Put a `smolvm` on PATH, with a HOME of its own, for as long as the block runs.

    For what fixtures do not reach: `cls.enterClassContext(sandbox())` in unittest's `setUpClass`,
    and scripts. In a run of pytest all that is not given is what `--smolvm`, the ini file and the
    markers of the test (or class, or module) say; elsewhere it is the fake.

    Args:
        mode: `fake`, `real` (an error if there is none) or `auto`.
        cli: The version that the fake is, and a real smolvm must be.
        home: `sandbox`, or `keep` to leave HOME alone; smolvm itself always gets one of its own.
        binary: The real smolvm, if it is not `$SMOLVM_BINARY` or the first on PATH.
        allows: What may happen, and why: `{"H3": "to show the trap"}`.

    Raises:
        ValueError: There is no such mode, version, home or hazard, or no such smolvm.
        RuntimeError: The test has `fake_smolvm`, which would answer in its place.
        SandboxError: At the end, if nothing else was raised: a machine is left, a trap of smolvm
            was walked into, or something that was set up was never met.
    """
    life, settings = _of_a_block(Wish(mode, cli, home), binary, allows or {})
    with pytest.MonkeyPatch.context() as patches, on_path(None, patches, settings, life) as fixture:
        if isinstance(life.node, pytest.Item):
            life.node.stash[stash.FIXTURE] = fixture
        yield fixture


@contextmanager
def on_path(
    request: pytest.FixtureRequest | None,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    life: Life,
) -> Iterator[SmolvmFixture]:
    """Put a `smolvm` on PATH; `request` is that of a single test, whose cassette it may use."""
    if request is not None and settings.record:
        taping.prepare(request, settings)
    sandbox = Sandbox()
    is_over = True
    try:
        sandbox.enter(monkeypatch, real=settings.mode == "real", keep_home=settings.home == "keep")
        places: dict[str, str] = {}
        if request is not None and (settings.record or settings.mode == "replay"):
            places = taping.places(request, sandbox)
        if request is not None and settings.mode == "replay":
            cassette = taping.insert(request, sandbox, places)
            _check_version(settings, cassette)
            seen = taping.seen_again(sandbox, cassette)
            fixture = SmolvmFixture(sandbox, "replay", cassette.version, seen)
            with lived(life, fixture, lambda: taping.not_played(sandbox, cassette)):
                yield fixture
            return
        _put_on_path(sandbox, settings)
        inspection = Inspection(sandbox, settings.binary, settings.version)
        with taping.recording(sandbox, inspection, record=settings.record) as remembered:
            fixture = SmolvmFixture(sandbox, settings.mode, settings.version, remembered.inspection)
            with lived(life, fixture, lambda: _nothing_recorded(life, settings), inspection):
                yield fixture
        if request is not None and settings.record and stash.passed(life.node):
            # Not yet: the fixtures that are still to be torn down may fail.
            is_over = False
            later = life.node.stash.setdefault(stash.LATER, [])
            write = partial(
                taping.record, request, sandbox, settings, places, remembered, given=fixture.given
            )
            later.append(lambda passed: _end_recording(sandbox, passed and write))
    finally:
        sandbox.leave()
        if is_over:
            sandbox.remove()


@contextmanager
def in_process(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, run: Run
) -> Iterator[InProcessFixture]:
    """Provide the fixture `fake_smolvm`; where another smolvm is on PATH, only what says so."""
    other = _other_smolvm(request)
    if other is not None:
        yield cast("InProcessFixture", SteppedAside(other))
        return
    wish = markers.wish_of(request.node)
    wrong = markers.not_in_process(wish)
    try:
        from fake_smolvm.harness.in_process import front
    except ImportError as error:
        wrong = str(error)
    if wrong is not None:
        pytest.fail(wrong, pytrace=False)
    settings, allowed = _asked_for(request.node, run, in_process=True)
    life = Life(markers.IN_PROCESS, request.node, request.config, allowed)
    sandbox = Sandbox()
    try:
        sandbox.enter(monkeypatch, keep_home=settings.home == "keep")
        # Also what a shell, or a program in another language, started by the code under test finds.
        sandbox.put_on_path("on_path.shim", version=settings.version)
        inspection = Inspection(sandbox, None, settings.version)
        fixture = InProcessFixture(sandbox, settings.version, inspection)
        # Only now: it would keep others from starting programs, also where this steps aside.
        fp = request.getfixturevalue("fp")
        with monkeypatch.context() as patches:
            front.install(fixture, fp, patches)
            with lived(life, fixture, list, inspection):
                yield fixture
    finally:
        sandbox.leave()
        sandbox.remove()


def _wider(request: pytest.FixtureRequest) -> Life | None:
    """Return what is there already for more than one test, and what this test has to do with."""
    name = str(request.fixturename)
    wider = list(markers.WIDE)
    wider = wider[wider.index(name) + 1 :] if name in wider else wider
    found = next((one for one in wider if _asks_for(request, one)), None)
    if found is not None:
        request.getfixturevalue(found)
    for life in reversed(lives_of(request.config)):
        if life.name == SANDBOX or (found is not None and life.name in markers.WIDE):
            return life
    return None


def _asks_for(request: pytest.FixtureRequest, name: str) -> bool:
    """Tell whether the test that runs has a fixture of ours."""
    item = request.config.stash[stash.NODES][0]
    return name in request.fixturenames and stash.is_ours(item, name)


def _in_process_answers(config: pytest.Config) -> bool:
    return any(life.name == markers.IN_PROCESS for life in lives_of(config))


def _other_smolvm(request: pytest.FixtureRequest) -> str | None:
    """Return what else gives this test a `smolvm`, on PATH."""
    for name in (markers.ON_PATH, *markers.WIDE):
        if _asks_for(request, name):
            return name
    has_block = any(life.name == SANDBOX for life in lives_of(request.config))
    return SANDBOX if has_block else None


def _check_wish(node: pytest.Item, wide: Life) -> None:
    """Fail a test whose own markers come too late."""
    wish = markers.wish_of(node)
    fixture = wide.fixture
    is_it = (
        wish.mode in (None, "auto", fixture.mode)
        and wish.cli in (None, fixture.version)
        and not (wide.name == SANDBOX and any(m.name == "smolvm_allows" for m in node.own_markers))
    )
    if not is_it:
        pytest.fail(
            f"the markers of this test come too late: its smolvm ({fixture.mode} "
            f"{fixture.version}) is that of {wide.name}, which lives longer; say it there",
            pytrace=False,
        )


def _asked_for(node: Any, run: Run, *, in_process: bool = False) -> tuple[Settings, Allowed]:
    """Return what a test's markers and the run say; what is wrong with them fails it."""
    try:
        wish = markers.wish_of(node)
        if in_process:
            wish = wish._replace(mode="fake")
        return chosen(run, wish), markers.allowed_in(node, run.allowed)
    except (markers.MarkerError, pytest.UsageError) as error:
        wrong = str(error)
    pytest.fail(wrong, pytrace=False)


def _of_a_block(wish: Wish, binary: str | None, allows: Mapping[str, str]) -> tuple[Life, Settings]:
    """Return the life of a block, and what is to run in it.

    Raises:
        ValueError: Something that was given is no such thing, or cannot be had.
        RuntimeError: What was started in it would never get there.
    """
    _check_given(wish, allows)
    if not isinstance(binary, str | os.PathLike | None):
        raise ValueError(f"binary is the path of a smolvm, not {binary!r}")  # noqa: TRY004
    config = stash.CONFIGS[-1] if stash.CONFIGS else None
    if config is not None and _in_process_answers(config):
        raise RuntimeError(_NEVER_CALLED.format(SANDBOX))
    nodes = [] if config is None else config.stash[stash.NODES]
    node = nodes[-1] if nodes else None
    try:
        run = run_outside_pytest() if config is None else run_of(config)
        suite = run.allowed
        if node is not None:
            said = markers.wish_of(node)
            wish = Wish(*[mine or other for mine, other in zip(wish, said, strict=True)])
            suite = markers.allowed_in(node, suite).reasons
        if binary is not None:
            run = replace(run, binary=(os.fspath(binary), "binary"))
        settings = chosen(run, wish)
    except pytest.UsageError as error:
        raise ValueError(str(error)) from None
    wrong = _needs_a_cassette(settings, SANDBOX)
    if binary is not None and settings.mode != "real":
        wrong = "binary is a real smolvm, so say mode='real'"
    if wrong is not None:
        raise ValueError(wrong)
    allowed = markers.Allowed({**suite, **allows}, tuple(allows))
    return Life(SANDBOX, node, config, allowed, _caller()), settings


def _check_given(wish: Wish, allows: Mapping[str, str]) -> None:
    """Raise ValueError for a word that is none."""
    for key, word, valid in (("mode", wish.mode, ("fake", "real", "auto")),
                             ("home", wish.home, HOMES)):  # fmt: skip
        if word is not None and word not in valid:
            raise ValueError(words.unknown(key, word, valid))
    if not isinstance(allows, Mapping):
        raise ValueError(  # noqa: TRY004
            f"allows names what may happen, and why: {{'leak': '...'}}, not {allows!r}"
        )
    for name, reason in allows.items():
        words.checked_allowance(name)
        if not words.checked_text("a reason", reason).strip():
            raise ValueError(f"allows: {name!r} needs a reason")


def _caller() -> tuple[str, int]:
    """Return the file and line that opened the block."""
    frame = sys._getframe(1)  # noqa: SLF001
    skipped = (__file__, *_ENTERED_BY)
    while frame.f_back is not None and frame.f_code.co_filename.endswith(skipped):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def _needs_a_cassette(settings: Settings, what: str) -> str | None:
    """Return why what lives longer than a test cannot be had; None if it can."""
    if not settings.record and settings.mode != "replay":
        return None
    does = "recorded" if settings.record else "replayed"
    return (
        f"{what} may live longer than one test, and cannot be {does}: a cassette is that of one "
        'test. Ask for `smolvm` in each test, or mark what is to run on the fake: smolvm("fake")'
    )


def _check_version(settings: Settings, cassette: Cassette) -> None:
    if settings.cli not in (None, cassette.version):
        pytest.fail(
            f"smolvm {settings.cli} is asked for (--smolvm-cli, ini smolvm_cli or a marker's "
            f"cli=), but the cassette was recorded on {cassette.version}",
            pytrace=False,
        )


def _nothing_recorded(life: Life, settings: Settings) -> list[str]:
    if not settings.record or not life.passed or life.fixture.calls:
        return []
    why = (
        "nothing to record: this test never started smolvm, so no cassette is written, and "
        '--smolvm=replay would have none; if it needs none, mark it smolvm("fake")'
    )
    return [why]


def _end_recording(sandbox: Sandbox, write: Callable[[], None] | Literal[False]) -> None:
    """Write the cassette of a test, if it is certain by now that it passed."""
    try:
        if write:
            write()
    finally:
        sandbox.remove()


def _put_on_path(sandbox: Sandbox, settings: Settings) -> None:
    (sandbox.folder / raw_events.RECORDING_FOLDER).mkdir()
    if settings.binary is not None:
        sandbox.put_on_path(
            "cassettes.recorder", settings.binary, settings.version, record=settings.record
        )
    elif settings.record:
        fake = sandbox.put_on_path(
            "on_path.shim", folder="fake", version=settings.version, noted=False
        )
        sandbox.put_on_path("cassettes.recorder", str(fake), settings.version, record=True)
    else:
        sandbox.put_on_path("on_path.shim", version=settings.version)
