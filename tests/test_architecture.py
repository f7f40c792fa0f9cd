"""What may import what: the rule in ARCHITECTURE.md, checked."""

from __future__ import annotations

import ast
import re
import sys
import tokenize
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]

TABLE_ROW = re.compile(r"\| `((?:smolvm_wrapper|fake_smolvm)/[\w/*.]*)` \|[^|]*\| ([^|]*) \|")


def rooms() -> dict[str, set[str]]:
    """Read what each room may import from the table in ARCHITECTURE.md."""
    found = {}
    for path, may in TABLE_ROW.findall((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")):
        room = path.removesuffix("*.py").strip("/").replace("/", ".")
        found[room] = {module_of(name) for name in re.findall(r"`([^`]+)`", may)}
    return found


def module_of(name: str) -> str:
    """Return what a name in the table stands for: a module of ours, or a library."""
    path = ROOT / "fake_smolvm" / name
    ours = path.is_dir() or path.with_suffix(".py").exists()
    return f"fake_smolvm.{name.replace('/', '.')}" if ours else name


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


ROOMS = rooms()


def room_of(module: str) -> str:
    """Return a module's room: the longest name that fits."""
    return max((room for room in ROOMS if f"{module}.".startswith(f"{room}.")), key=len)


FILES = [
    file for package in ("smolvm_wrapper", "fake_smolvm") for file in (ROOT / package).rglob("*.py")
]


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_a_room_imports_only_what_it_may(file: Path) -> None:
    room = room_of(module_name(file))
    allowed = ROOMS[room] | ({room} if room != "fake_smolvm.commands" else set())
    for name in imported(file):
        if name.partition(".")[0] in sys.stdlib_module_names:
            continue
        assert any(f"{name}.".startswith(f"{one}.") for one in allowed), f"{room} imports {name}"


def test_every_folder_of_code_is_a_room() -> None:
    folders = {module_name(file.parent / "__init__") for file in FILES}
    assert {room_of(folder) for folder in folders} == ROOMS.keys()


TOP = ("smolvm_wrapper", "fake_smolvm", "tests", "benchmarks", "cassettes", "docs", ".ci")
THERE = [f"/{one.name}" for one in ROOT.iterdir()] + [
    f"/{one.relative_to(ROOT).as_posix()}" for top in TOP for one in (ROOT / top).rglob("*")
]
NAMED_FILE = re.compile(r"(?<![\w./-])(?:[\w-]+/)*[\w-]+\.(?:py|md|toml|jsonl)\b")


def prose(file: Path) -> Iterator[str]:
    """Read the comments and the docstrings of a module."""
    text = file.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield str(node.value.value)


@pytest.mark.parametrize("top", ["smolvm_wrapper", "fake_smolvm", "tests", "benchmarks"])
def test_a_file_named_in_a_comment_is_there(top: str) -> None:
    named = {
        (name, file.relative_to(ROOT).as_posix())
        for file in (ROOT / top).rglob("*.py")
        for text in prose(file)
        for name in NAMED_FILE.findall(text)
    }
    assert named
    assert not [one for one in named if not any(there.endswith(f"/{one[0]}") for there in THERE)]
