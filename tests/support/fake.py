"""One way to run the fake, in this process or in one of its own, and to read what it noted."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING, NamedTuple

from fake_smolvm.entry import run
from fake_smolvm.host import Host

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fake_smolvm.scenarios import Scenario

# The fake as a process, with nothing installed.
SMOLVM = (
    sys.executable,
    "-c",
    "import sys; from fake_smolvm.entry import main; sys.exit(main())",
)


class Ran(NamedTuple):
    code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> tuple[int, str, str]:
        return self.code, self.stdout.decode(), self.stderr.decode()


def run_here(
    env: Mapping[str, str],
    *argv: str,
    cwd: str = "/",
    stdin: bytes = b"",
    scenario: Scenario | None = None,
) -> Ran:
    out, err = io.BytesIO(), io.BytesIO()
    host = Host(env=env, cwd=cwd, stdin=io.BytesIO(stdin), stdout=out, stderr=err, in_process=True)
    host.scenario = scenario
    return Ran(run(argv, host), out.getvalue(), err.getvalue())


def hazards(home: Path) -> list[tuple[str, str]]:
    """Return which hazards were noted in a home, each with its machine."""
    journal = home / ".fake_smolvm" / "hazards.jsonl"
    lines = journal.read_text().splitlines() if journal.exists() else []
    return [(noted["hazard"], noted["machine"]) for noted in map(json.loads, lines)]
