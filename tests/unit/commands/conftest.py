from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import pytest

from fake_smolvm.entry import run
from fake_smolvm.host import Host

if TYPE_CHECKING:
    from pathlib import Path

    from fake_smolvm.scenarios.scenario import Scenario


class Said(NamedTuple):
    code: int
    out: str
    err: str


@dataclass
class Fake:
    """The fake over a HOME and a working folder of its own, in this process."""

    home: Path
    cwd: Path
    env: dict[str, str] = field(default_factory=dict)

    def __call__(self, *argv: str, stdin: bytes = b"", scenario: Scenario | None = None) -> Said:
        out, err = io.BytesIO(), io.BytesIO()
        host = Host(
            env={"HOME": str(self.home), "PATH": "/usr/bin:/bin", **self.env},
            cwd=str(self.cwd),
            stdin=io.BytesIO(stdin),
            stdout=out,
            stderr=err,
            in_process=True,
        )
        host.scenario = scenario
        code = run(argv, host)
        shown = [
            stream.getvalue()
            .decode()
            .replace(str(self.home), "$HOME")
            .replace(str(self.cwd), "$CWD")
            for stream in (out, err)
        ]
        return Said(code, *shown)


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    return Fake(tmp_path / "home", tmp_path / "work")
