"""Cassettes of tests: where each one is, how it is put in, and how it is made in the end."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fake_smolvm.harness import recorder, replayer
from fake_smolvm.harness.cassette import Cassette, CassetteError, map_text
from fake_smolvm.harness.naming import Names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fake_smolvm.harness.sandbox import Sandbox
    from fake_smolvm.harness.settings import Settings

CASSETTES = "cassettes"
_UNFIT_FOR_A_FILE_NAME = re.compile(r"[^\w.=,+-]+")


def cassette_path(node: pytest.Item) -> Path:
    """Give where a test's cassette is: `cassettes/<module>/<test>.toml` beside the test's file."""
    name = node.nodeid.partition("::")[2] or node.name
    file = _UNFIT_FOR_A_FILE_NAME.sub("-", name.replace("::", ".")).strip("-")
    return node.path.parent / CASSETTES / node.path.stem / f"{file}.toml"


def insert(request: pytest.FixtureRequest, sandbox: Sandbox, places: Mapping[str, str]) -> Cassette:
    """Put a test's cassette behind `smolvm`; fail the test if it cannot be played."""
    path = cassette_path(request.node)
    wrong = ""
    try:
        cassette = Cassette.load(path)
    except CassetteError as error:
        wrong = str(error)
    if wrong:
        pytest.fail(wrong, pytrace=False)
    (sandbox.folder / replayer.PLAYED_FOLDER).mkdir()
    known = {name: place for place, name in places.items()}
    (sandbox.folder / replayer.BINDINGS).write_text(repr(known), encoding="utf-8")
    sandbox.put_on_path("replayer", str(path))
    return cassette


def not_played(sandbox: Sandbox, cassette: Cassette) -> list[str]:
    """Return what the replay of a test lacked or refused, in words."""
    complaints = []
    refused = sandbox.folder / replayer.NOT_RECORDED
    if refused.exists():
        complaints.append(refused.read_text(encoding="utf-8"))
    left = replayer.unplayed(sandbox.folder, cassette)
    if left:
        lines = [f"  {' '.join(['smolvm', *call.argv])}" for call in left]
        complaints.append("\n".join(["recorded, but never called:", *lines]))
    return complaints


def record(
    request: pytest.FixtureRequest,
    sandbox: Sandbox,
    settings: Settings,
    places: Mapping[str, str],
) -> None:
    """Write the cassette of a test that has passed."""
    raw = recorder.compiled(sandbox.folder)
    names = Names(places, tempfile.gettempdir())
    for call in raw:
        names.learn_argv(call.argv)
        for part in call.output:
            names.learn_output(part.text)
    binary = Path(settings.binary) if settings.binary else sandbox.folder / "fake" / "smolvm"
    now = dt.datetime.now(dt.UTC)
    Cassette(
        test=request.node.nodeid,
        source="real" if settings.binary else "fake",
        version=settings.version,
        sha256=hashlib.sha256(binary.read_bytes()).hexdigest(),
        recorded=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        calls=[map_text(call, names.name) for call in raw],
    ).dump(cassette_path(request.node))


def places(request: pytest.FixtureRequest, sandbox: Sandbox) -> dict[str, str]:
    """Give the folders that are elsewhere in every run, and their names in cassettes."""
    factory: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
    return {str(sandbox.home): "HOME", str(factory.getbasetemp()): "TESTS"}
