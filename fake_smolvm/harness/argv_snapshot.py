"""Snapshots of command lines: an argument a line, and what each smolvm version makes of it.

::

    smolvm
        machine
        create
        box
      0.8.0: accepted
      1.4.0: refused: unexpected argument 'box' found

One file a test. Secrets are masked, HOME and pytest's temporary folders have names.
"""

from __future__ import annotations

import json
import os
import tempfile
from typing import TYPE_CHECKING, Any

import pytest
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from fake_smolvm import grammars
from fake_smolvm.harness.masked import revealed
from fake_smolvm.harness.meanings import verdict
from fake_smolvm.harness.naming import Names
from fake_smolvm.harness.secrets import masked_argv

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class ArgvSnapshotExtension(SingleFileSnapshotExtension):
    """How syrupy writes and finds these snapshots."""

    _write_mode = WriteMode.TEXT
    file_extension = "argv"
    versions: tuple[str, ...] = ()
    """Those that the project declares."""
    tests_folder = ""
    """Where pytest makes its temporary folders."""

    def serialize(self, data: Any, **_: Any) -> str:
        """Write calls, or argvs (the program included), as text."""
        names = Names(
            {os.environ.get("HOME", ""): "HOME", self.tests_folder: "TESTS"}, tempfile.gettempdir()
        )
        argvs = [masked_argv(map(revealed, getattr(line, "argv", line))) for line in data]
        for argv in argvs:
            names.learn_argv(_without_masks(argv))
        return "\n".join(_block(argv, names, self.versions) for argv in argvs)


def extension(request: pytest.FixtureRequest) -> type[ArgvSnapshotExtension]:
    """Give the extension, set up for this project.

    Raises pytest.UsageError for a declared version that nothing is known of.
    """
    declared = request.config.getini("smolvm_cli_versions")
    known = grammars.known_versions()
    unknown = [version for version in declared if version not in known]
    if unknown:
        raise pytest.UsageError(
            f"ini smolvm_cli_versions: {', '.join(unknown)} not known, only {', '.join(known)}"
        )
    factory: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
    ArgvSnapshotExtension.versions = tuple(declared)
    ArgvSnapshotExtension.tests_folder = str(factory.getbasetemp())
    return ArgvSnapshotExtension


def _block(argv: Sequence[str], names: Names, versions: Iterable[str]) -> str:
    program, *words = argv
    lines = [program, *(f"    {_shown(names.name(word))}" for word in words)]
    for version in versions:
        lines += [f"  {version}: {line}" for line in verdict(words, version)]
    return "\n".join(lines) + "\n"


def _shown(word: str) -> str:
    """Give a word as it is, or quoted where it would not be seen for what it is."""
    plain = word.isprintable() and word and word == word.strip() and not word.startswith('"')
    return word if plain else json.dumps(word)


def _without_masks(argv: Iterable[str]) -> list[str]:
    # `***` is the same for every secret already; a name for it would tell nothing more.
    return [word.removesuffix("***") for word in argv]
