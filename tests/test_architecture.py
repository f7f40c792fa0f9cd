"""What may import what: the rule in ARCHITECTURE.md, checked."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]

# A module's room is the longest name that fits. It may import itself, the standard library, these.
MAY_IMPORT = {
    "smolvm_wrapper": set(),
    "fake_smolvm": {"fake_smolvm"},
    "fake_smolvm.rust": set(),
    "fake_smolvm.clap": {"fake_smolvm.rust"},
    "fake_smolvm.grammars": {"fake_smolvm.clap", "fake_smolvm.fastjson", "fake_smolvm.rust"},
    "fake_smolvm.machines": {
        "fake_smolvm.errors",
        "fake_smolvm.fastjson",
        "fake_smolvm.grammars.value_parsers",
        "fake_smolvm.rust",
        "_sha2",  # Python's own, from 3.12 on;
        "_sha256",  # until then
        "bashkit",
        # For types alone: what a guest is given of its caller.
        "fake_smolvm.host",
        "fake_smolvm.scenarios",
    },
    "fake_smolvm.commands": {
        "fake_smolvm.clap",
        "fake_smolvm.errors",
        "fake_smolvm.fastjson",
        "fake_smolvm.host",
        "fake_smolvm.machines",
        "fake_smolvm.rust",
    },
    "fake_smolvm.scenarios": {
        "fake_smolvm.clap",
        "fake_smolvm.errors",
        "fake_smolvm.fastjson",
        "fake_smolvm.grammars",
        "fake_smolvm.host",
        "fake_smolvm.machines",
    },
    "fake_smolvm.harness": {"fake_smolvm", "pytest", "_pytest", "pytest_subprocess", "syrupy"},
}


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            yield f"{node.module}"


def room_of(module: str) -> str:
    return max((room for room in MAY_IMPORT if f"{module}.".startswith(f"{room}.")), key=len)


FILES = [
    file for package in ("smolvm_wrapper", "fake_smolvm") for file in (ROOT / package).rglob("*.py")
]


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_a_room_imports_only_what_it_may(file: Path) -> None:
    room = room_of(module_name(file))
    allowed = MAY_IMPORT[room] | {room}
    for name in imported(file):
        if name.partition(".")[0] in sys.stdlib_module_names:
            continue
        assert any(f"{name}.".startswith(f"{one}.") for one in allowed), f"{room} imports {name}"
