"""What may import what: the rule in ARCHITECTURE.md, checked."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tokenize
from graphlib import CycleError, TopologicalSorter
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fake_smolvm.install import write_executable

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


KIND = "fake_smolvm.guest.bashkit"
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


def test_nobody_but_the_guest_knows_which_kind_it_is() -> None:
    knows = {module_name(file) for file in FILES for name in imported(file) if KIND in name}
    assert all(module.startswith("fake_smolvm.guest.") for module in knows)
    assert "fake_smolvm.guest.kinds" in knows


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
    # A host carries a scenario, which answers for a host.
    ("fake_smolvm.host", "fake_smolvm.scenarios.scenario"),
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


def test_no_module_is_longer_than_one_reads_at_once() -> None:
    long = {
        module_name(file)
        for file in FILES
        if file.read_text(encoding="utf-8").count("\n") > MOST_LINES
    }
    assert not long


# --- what a start loads ---

EVERY_START = {
    "__future__", "_collections_abc", "_json", "_stat", "genericpath", "os", "os.path", "posixpath",
    "stat",
    "fake_smolvm", "fake_smolvm.clap", "fake_smolvm.clap.grammar", "fake_smolvm.clap.lazy",
    "fake_smolvm.clap.outcome", "fake_smolvm.clap.parser", "fake_smolvm.entry",
    "fake_smolvm.errors", "fake_smolvm.fastjson", "fake_smolvm.grammars", "fake_smolvm.host",
    "fake_smolvm.variables",
}  # fmt: skip
A_COMMAND = EVERY_START | {
    "_sha256", "errno", "fake_smolvm.clap.needs", "fake_smolvm.clap.validator",
    "fake_smolvm.commands", "fake_smolvm.machines", "fake_smolvm.machines.agent",
    "fake_smolvm.machines.hazards", "fake_smolvm.machines.lifecycle", "fake_smolvm.machines.paths",
    "fake_smolvm.machines.process", "fake_smolvm.machines.record",
    "fake_smolvm.machines.resources", "fake_smolvm.machines.store", "fake_smolvm.operations",
    "fake_smolvm.operations.connection", "fcntl", "itertools",
}  # fmt: skip
AN_EXEC = A_COMMAND | {
    "fake_smolvm.commands.machine_exec", "fake_smolvm.guest", "fake_smolvm.guest.bashkit",
    "fake_smolvm.guest.bashkit.guest", "fake_smolvm.guest.bashkit.inside",
    "fake_smolvm.guest.bashkit.invocation", "fake_smolvm.guest.bashkit.programs",
    "fake_smolvm.guest.bashkit.programs.table", "fake_smolvm.guest.bashkit.quirks",
    "fake_smolvm.guest.bashkit.run", "fake_smolvm.guest.files", "fake_smolvm.guest.kinds",
    "fake_smolvm.guest.protocol", "fake_smolvm.guest.root", "fake_smolvm.guest.tree",
    "fake_smolvm.machines.names", "fake_smolvm.operations.session",
}  # fmt: skip

# A machine's life, and whatever else there is to call; for what starts most, all that it loads.
STARTS: dict[str, set[str] | None] = {
    "--version": EVERY_START,
    "machine exec --nme": EVERY_START | {
        "fake_smolvm.clap.messages", "fake_smolvm.clap.needs", "fake_smolvm.clap.usage",
        "fake_smolvm.rust", "fake_smolvm.rust.strsim",
    },
    "machine --help": None,
    "machine create vm": None,
    "machine start --name vm": None,
    "machine create --net -v .:/host volumes": None,
    "machine start --name volumes": None,
    "machine ls": A_COMMAND | {
        "fake_smolvm.commands.machine_ls",
    },
    "machine exec --name vm -- echo": None,  # the first lays out the root
    "machine exec --name vm -- true": AN_EXEC | {
        "fake_smolvm.guest.bashkit.programs.streams",
    },
    "machine exec --name vm -- sh -c pwd": AN_EXEC | {
        "_bashkit_callback", "_bashkit_external_handler", "_collections", "_contextvars",
        "_functools", "_operator", "_weakrefset", "atexit", "bashkit._bashkit", "collections",
        "contextvars", "fake_smolvm.guest.bashkit.builtins", "fake_smolvm.guest.bashkit.native",
        "fake_smolvm.guest.bashkit.risk", "fake_smolvm.guest.bashkit.shell",
        "fake_smolvm.guest.bashkit.shown", "functools", "inspect", "keyword", "operator",
        "reprlib", "threading", "types",
    },
    "machine exec --name vm --timeout 5s -- env": None,
    "machine exec --name vm -- id": None,
    "machine exec --name vm -- ln -s file link": None,
    "machine exec --name volumes -- apk add curl": None,
    "machine exec --name volumes -- sh -c rm": None,
    "machine status --name vm": None,
    "machine status --name vm --json": None,
    "machine cp ./file vm:/file": None,
    "machine cp vm:/file ./file": None,
    "machine shell --name vm": None,
    "machine network-test --name vm": None,
    "machine data-dir vm": None,
    "machine stop --name vm": None,
    "machine update --cpus 2 vm": None,
    "machine resize --name vm --storage 30": None,
    "machine images --name vm": None,
    "machine prune --name vm": None,
    "pack create --from-vm vm -o pack": None,
    "pack run --sidecar pack.smolmachine -- true": None,
    "pack prune": None,
    "pack push -f pack.smolmachine localhost:1/pack": None,
    "pack pull localhost:1/pack": None,
    "pack inspect localhost:1/pack": None,
    "machine create --from pack.smolmachine packed": None,
    "machine monitor --name nobody": None,
    "machine run -- true": None,
    "machine run --net --image alpine -- head -c 1 /etc/os-release": None,
    "machine delete -f vm": None,
    "config show": None,
    "config registries path": None,
    "config registries init": None,
    "config registries show": None,
    "config registries edit": None,
    "serve openapi": None,
    "serve start": None,
    "_boot-vm config": None,
    "_cleanup-ephemeral nobody 1 1 nobody": None,
}  # fmt: skip

# Imports that are to be as cheap, of the wrapper and of the program that a pack is.
IMPORTS = (
    "from smolvm_wrapper import Smolvm",
    "from smolvm_wrapper import AsyncSmolvm",
    "from smolvm_wrapper import SmolvmRunResult, machine_exec",
    "import fake_smolvm.packed",
)

# Loaded by some version of Python only.
OF_SOME_PYTHON = {"_abc", "_sha2", "abc", "warnings"}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """What each start loads, one after the other in the same place."""
    place = tmp_path_factory.mktemp("starts")
    (place / "file").write_text("x")
    (place / "config").write_text("{}")
    tool = place / "tool"
    names = place / "names"
    write_executable(
        tool,
        "before = set(sys.modules)\nfrom fake_smolvm.entry import main\nmain()\n"
        f"print(*set(sys.modules) - before, file=open({str(names)!r}, 'w'))\n",
    )
    env = {"HOME": str(place), "PATH": "/usr/bin:/bin", "EDITOR": "true"}
    found = {}
    for line in STARTS:
        names.unlink(missing_ok=True)
        subprocess.run(
            [tool, *line.split()], cwd=place, env=env, stdin=subprocess.DEVNULL,
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip
        found[line] = set(names.read_text().split())
    for statement in IMPORTS:
        program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {statement}; print(*sys.modules)"
        done = subprocess.run(
            [sys.executable, "-IS", "-c", program], capture_output=True, text=True, check=True
        )
        found[statement] = set(done.stdout.split())
    return found


@pytest.mark.parametrize("line", [line for line, all_of_it in STARTS.items() if all_of_it])
def test_what_starts_most_loads_this_and_no_more(line: str, loaded: dict[str, set[str]]) -> None:
    expected = STARTS[line]
    assert expected
    assert loaded[line] - OF_SOME_PYTHON - expected == set()
    ours = {name for name in expected if name.startswith("fake_smolvm")}
    assert ours - loaded[line] == set(), "loaded no longer: take these out of the list"


# Do without, though no start above loads them or all have `typing` by then; the list only shrinks.
NOT_ABOVE = {
    # What only a fork loads, or a script of several words.
    "fake_smolvm.guest.bashkit.programs.shell_words",
    "fake_smolvm.guest.bashkit.programs.tools",
    # What the `smolvm` that a test has on PATH loads, with the plugin's help.
    "fake_smolvm.harness.on_path.inside",
    "fake_smolvm.harness.on_path.journal",
    "fake_smolvm.harness.on_path.secrets",
    "fake_smolvm.harness.on_path.shim",
}


def test_typing_is_done_without_only_where_a_start_is_spared_it(
    loaded: dict[str, set[str]],
) -> None:
    """That is: in what a start loads that has no `typing` then (`asyncio` has it anyway)."""
    asynchronous = "from smolvm_wrapper import AsyncSmolvm"
    spared = [line for line, names in loaded.items() if "typing" not in names]
    hot = {name for line in (*spared, asynchronous) for name in loaded[line]}
    without = {
        module_name(file)
        for file in FILES
        if "\nTYPE_CHECKING = False\n" in file.read_text(encoding="utf-8")
    }
    assert sorted(without - hot) == sorted(NOT_ABOVE)
    dear = loaded.keys() - spared - {asynchronous}
    assert dear == {"config registries show", "config registries edit"}  # they read TOML
