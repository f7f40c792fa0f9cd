from __future__ import annotations

import importlib
import pkgutil
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest
from pytest_rerunfailures import ServerStatusDB, StatusDB

import fake_smolvm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fake_smolvm.harness.fixture import SmolvmFixture

# pytester forgets every module that is first imported in one of its runs: half of a package that
# is there already would then be another one than the other half.
for module in pkgutil.walk_packages(fake_smolvm.__path__, "fake_smolvm."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)

STAND_IN = """\
#!/bin/sh
# Stands in for a real smolvm: says what one would, as far as these tests ask.
case "$*" in
  --version) echo "smolvm {version}";;
  "machine ls --json") cat "$HOME/ls" 2>/dev/null || echo "[]";;
  "machine create "*) echo "Created machine: box in $HOME";;
  "machine start --name orphan")
    sh -c 'sleep 60; : "$0"' "smolvm _boot-vm $HOME/vms/1/boot-config.json" >/dev/null 2>&1 &
    echo $! > "$HOME/orphan";;
  "machine start --name "*)
    echo "Starting machine '$4'..." >&2
    echo "Machine '$4' running (PID: $$)";;
  "machine status --name "*) printf '{{"pid": %s, "created_at": 1763950000}}\\n' "$PPID";;
  "machine exec --name "*" -i -- cat") cat;;
  "machine exec --name "*" -- bytes") printf 'a\\377\\033z';;
  "machine exec --name "*" -- both") echo out; sleep .2; echo err >&2; sleep .2; echo out; exit 3;;
  "machine exec --name "*" -- die") kill -SEGV $$;;
  "machine exec --name "*" -- sleep") echo so far; exec sleep 60;;
  "machine exec --name "*) echo "$TOKEN and hunter22 <HOME>";;
  "machine cp box:/missing "*) rm -f "$4"; exit 1;;
  "machine cp box:"*) printf 'content\\n' > "$4";;
  "machine delete -f "*) rm -f "$HOME/ls"; echo "Deleted machine: $4"; : > "$HOME/deleted-$4";;
  "machine stop --name "*) ;;
  *) echo "error: unrecognized '$*'" >&2; exit 2;;
esac
"""


class ServerOnceAsked(StatusDB):
    """The server by which pytest-rerunfailures hears of its workers, opened when there are some."""

    @cached_property
    def server(self) -> ServerStatusDB:
        return ServerStatusDB()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # pytest looks for its own names on whatever it meets
            raise AttributeError(name)
        return getattr(self.server, name)


@pytest.fixture(autouse=True)
def no_server_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no run in a test leave a server behind: pytest-rerunfailures never closes it."""
    monkeypatch.setattr("pytest_rerunfailures.ServerStatusDB", ServerOnceAsked)


@pytest.fixture(params=["smolvm", "fake_smolvm"])
def either(request: pytest.FixtureRequest) -> SmolvmFixture:
    """The fake on PATH, and the fake in this process: both must do."""
    fixture: SmolvmFixture = request.getfixturevalue(request.param)
    return fixture


@pytest.fixture
def make_stand_in(tmp_path: Path) -> Callable[[str], Path]:
    """Make a program that passes for a real smolvm of a version."""

    def make(version: str) -> Path:
        path = tmp_path / "real" / "smolvm"
        path.parent.mkdir()
        path.write_text(STAND_IN.format(version=version), encoding="utf-8")
        path.chmod(0o755)
        return path

    return make


@pytest.fixture
def stand_in(make_stand_in: Callable[[str], Path]) -> Path:
    """A program that passes for the real smolvm 0.8.0."""
    return make_stand_in("0.8.0")
