from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import pytest
from support.fake import run_here

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
        env = {"HOME": str(self.home), "PATH": "/usr/bin:/bin", **self.env}
        ran = run_here(env, *argv, cwd=str(self.cwd), stdin=stdin, scenario=scenario)
        out, err = (
            text.decode().replace(str(self.home), "$HOME").replace(str(self.cwd), "$CWD")
            for text in (ran.stdout, ran.stderr)
        )
        return Said(ran.code, out, err)


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    return Fake(tmp_path / "home", tmp_path / "work")
