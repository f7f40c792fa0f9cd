"""Snapshots of command lines: an argument a line, and what each smolvm version makes of it.

::

    smolvm
        machine
        create
        -e
        TOKEN=*** (9f86d081)
        box
      0.8.0: accepted
      1.4.0: refused: unexpected argument 'box' found

One file for each snapshot. What differs from run to run has a name: see `naming`. A value
of `-e` is not kept, but a digest of it is, so that another value fails: eight hexadecimal digits,
keyed by the test's name. Who can guess a value can check the guess: a weak secret is not safe in
them. Where a value differs from run to run, `smolvm.name_value("TOKEN", value)` gives it a name
that stands in its place.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from fake_smolvm.harness import stash
from fake_smolvm.harness.cassettes import drawn, file_names, taping
from fake_smolvm.harness.cassettes.naming import Names
from fake_smolvm.harness.on_path.secrets import MASK, digest, masked_argv
from fake_smolvm.harness.seen.masked import revealed
from fake_smolvm.harness.snapshots.meanings import verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pytest
    from syrupy.location import PyTestLocation
    from syrupy.types import SnapshotIndex


class ArgvSnapshotExtension(SingleFileSnapshotExtension):
    """How syrupy writes and finds these snapshots."""

    _write_mode = WriteMode.TEXT
    file_extension = "argv"
    versions: tuple[str, ...] = ()
    """Those that the project declares."""
    node: pytest.Item
    """The test at hand."""
    places: Mapping[str, str] = {}
    """Folders that are elsewhere in every run, and their names."""
    own_folder = ""
    """The test's own temporary folder."""

    def serialize(self, data: Any, **_: Any) -> str:
        """Write calls, or argvs (the program included), as text."""
        names = self._names()
        argvs = [list(map(revealed, getattr(line, "argv", line))) for line in data]
        for argv in argvs:
            # Not as command lines: a secret has a digest, and needs no name of its own.
            for word in argv:
                names.learn(word)
        return "\n".join(self._block(argv, names) for argv in argvs)

    def _names(self) -> Names:
        fixture = self.node.stash.get(stash.FIXTURE, None)
        return Names(
            {os.environ.get("HOME", ""): "HOME", **self.places},
            tempfile.gettempdir(),
            drawn.drawn,
            {} if fixture is None else fixture.given,
            self.own_folder,
        )

    def _block(self, argv: Sequence[str], names: Names) -> str:
        masked = masked_argv(argv)
        words = [
            _shown(names.name(word))
            if word == hidden and not word.endswith(MASK)
            else _secret(word, hidden, names, key_of(self.node))
            for word, hidden in zip(argv, masked, strict=True)
        ]
        lines = [words[0], *(f"    {word}" for word in words[1:])]
        for version in self.versions:
            lines += [f"  {version}: {line}" for line in verdict(masked[1:], version)]
        return "\n".join(lines) + "\n"

    @classmethod
    def get_snapshot_name(cls, *, test_location: PyTestLocation, index: SnapshotIndex = 0) -> str:
        """Return the name of a snapshot's file, which is no other snapshot's."""
        added = f"[{index}]" if isinstance(index, str) else f".{index}" if index else ""
        folder = Path(cls.dirname(test_location=test_location))
        return file_names.for_snapshot(
            test_location.snapshot_name,
            added,
            test_location.item,
            lambda name: file_names.is_there(folder, name),
        )

    @classmethod
    def matches_test_location(
        cls, *, test_location: PyTestLocation, snapshot_location: str
    ) -> bool:
        """Tell whether a file is one of a test's snapshots."""
        path = Path(snapshot_location)
        if str(path.parent) != cls.dirname(test_location=test_location):
            return False
        return any(
            path.stem == begin or path.stem.startswith((f"{begin}.", f"{begin}["))
            for begin in file_names.snapshots_of(test_location.snapshot_name)
        )


def key_of(node: pytest.Item) -> str:
    """Return what digests of a test's secrets are keyed by: the same on every machine."""
    return f"{node.path.name}::{taping.test_name(node)}"


def extension(request: pytest.FixtureRequest) -> type[ArgvSnapshotExtension]:
    """Return the extension, set up for this project."""
    ArgvSnapshotExtension.versions = tuple(request.config.getini("smolvm_cli_versions"))
    ArgvSnapshotExtension.node = request.node
    ArgvSnapshotExtension.places = taping.places_of_a_run(request)
    ArgvSnapshotExtension.own_folder = str(request.getfixturevalue("tmp_path"))
    return ArgvSnapshotExtension


def _secret(word: str, masked: str, names: Names, key: str) -> str:
    """Return a word that holds a secret as it is shown: with a digest, or a name of the test's."""
    kept = masked.removesuffix(MASK)
    if word == masked:
        return _shown(names.name(masked))
    for name, value in names.given.items():
        if word == f"{kept}{value}":
            return _shown(f"{names.name(kept)}<{name}>")
    return f"{_shown(names.name(masked))} ({digest(names.name(word[len(kept) :]), key)})"


def _shown(word: str) -> str:
    """Return a word as it is, or quoted where it would not be seen for what it is."""
    plain = word.isprintable() and word and word == word.strip() and not word.startswith('"')
    return word if plain else json.dumps(word)
