from __future__ import annotations

import asyncio
import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
from wrapper_clients import KINDS, make

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as one:
        yield one


@pytest.fixture
def client(kind: str, runner: asyncio.Runner) -> Callable[..., Any]:
    """Makes a client of either kind; it is taken to be for 0.8.0 unless told otherwise."""

    def build(*args: Any, **kwargs: Any) -> Any:
        return make(kind, runner, *args, **{"version": "0.8.0", **kwargs})

    return build


class Stub:
    """A program that stands in for smolvm: a Python body, and a log of how it was called."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "smolvm"
        self._log = folder / "calls"
        self.gate = folder / "gate"
        """What a body may wait for: `wait()` returns once this is there."""

    def does(self, body: str) -> Stub:
        self.path.write_text(
            f"#!{sys.executable} -IS\n"
            "import json, os, signal, sys, time\n"
            f"args = sys.argv[1:]; log = {str(self._log)!r}; gate = {str(self.gate)!r}\n"
            "def note(*words): open(log, 'a').write(json.dumps(words) + '\\n')\n"
            "def wait():\n"
            "    while not os.path.exists(gate): time.sleep(0.01)\n"
            "note(*args)\n" + textwrap.dedent(body)
        )
        self.path.chmod(0o755)
        return self

    @property
    def calls(self) -> list[list[str]]:
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [json.loads(line) for line in lines]


@pytest.fixture
def stub(tmp_path: Path) -> Stub:
    (tmp_path / "bin").mkdir()
    return Stub(tmp_path / "bin")
