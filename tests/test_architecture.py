"""What may import what: the rule in ARCHITECTURE.md, checked."""

from __future__ import annotations

import ast
import re
import sys
import tokenize
from graphlib import CycleError, TopologicalSorter
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
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


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
    assert folders == ROOMS.keys()


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


# What still ties modules into a circle, most of it for types alone; the list only shrinks.
TIES = {
    # The wrapper's methods name, in their types, the clients that are made of them.
    ("smolvm_wrapper.methods", "smolvm_wrapper.aio"),
    ("smolvm_wrapper.methods", "smolvm_wrapper.sync"),
    # A host carries a scenario, which answers for a host.
    ("fake_smolvm.host", "fake_smolvm.scenarios.scenario"),
    # The guest is to stand behind one Protocol; until then each of its parts knows the whole.
    ("fake_smolvm.machines.guest_apart", "fake_smolvm.machines.guest"),
    ("fake_smolvm.machines.guest_bash", "fake_smolvm.machines.guest"),
    ("fake_smolvm.machines.guest_commands", "fake_smolvm.machines.guest"),
    ("fake_smolvm.machines.guest_risk", "fake_smolvm.machines.guest"),
    ("fake_smolvm.machines.guest_run", "fake_smolvm.machines.guest"),
    ("fake_smolvm.machines.guest_commands", "fake_smolvm.machines.packages"),
}


def imports_of_ours() -> dict[str, set[str]]:
    """Return which modules of ours each of them imports, if only for types."""
    ours = {module_name(file): file for file in FILES}
    graph: dict[str, set[str]] = {name: set() for name in ours}
    for name, file in ours.items():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    graph[name].add(whole if whole in ours else f"{node.module}")
        graph[name] &= ours.keys() - {name}
    return graph


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = imports_of_ours()
    closed = [tie for tie in TIES if tie[1] not in graph[tie[0]]]
    assert not closed, f"tied no longer: take these out of the list: {closed}"
    for one, other in TIES:
        graph[one].discard(other)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


VARIABLE = re.compile(r"FAKE_SMOLVM_[A-Z_]+")


def test_each_variable_of_the_fake_is_named_once() -> None:
    named: dict[str, list[str]] = {}
    for file in FILES:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and id(node) not in prose:
                for name in VARIABLE.findall(str(node.value)):
                    named.setdefault(name, []).append(module_name(file))
    assert named
    assert all(places == ["fake_smolvm.variables"] for places in named.values()), named


MOST_LINES = 400

# Modules that are longer, each with the reason; the list only shrinks.
LONG = {
    "fake_smolvm.machines.artifacts": "to be cut",
    "fake_smolvm.machines.guest": "to be cut",
    "fake_smolvm.machines.guest_apart": "to be cut",
    "fake_smolvm.machines.guest_bash": "to be cut",
    "fake_smolvm.machines.guest_commands": "to be cut",
    "fake_smolvm.machines.guest_run": "to be cut",
    "fake_smolvm.machines.lifecycle": "to be cut",
    "fake_smolvm.rust.toml": "to be cut",
    "smolvm_wrapper.commands": "to be cut",
}


def test_no_module_is_longer_than_one_reads_at_once() -> None:
    long = {
        module_name(file)
        for file in FILES
        if file.read_text(encoding="utf-8").count("\n") > MOST_LINES
    }
    assert long == LONG.keys()
