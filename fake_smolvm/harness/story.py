"""What happened to `smolvm` in a test, as the HTML report tells it: plain data, for xdist."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fake_smolvm.harness.fixture import SmolvmFixture
    from fake_smolvm.harness.hazards import Finding
    from fake_smolvm.harness.inspection import Inspection


def story_of(
    nodeid: str,
    fixture: SmolvmFixture,
    findings: list[Finding],
    inspection: Inspection | None,
) -> dict[str, Any]:
    """Return the story of the test `nodeid`; `inspection` is None for a replay."""
    events = [event for event in fixture._events() if event[0] == "start"]  # noqa: SLF001
    first = min((event[2] for event in events), default=0)
    faults = []
    if inspection is not None and fixture.mode == "fake":
        path = Path(inspection.paths.state, "faults.jsonl")
        if path.exists():
            faults = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {
        "test": nodeid,
        "smolvm": f"{fixture.mode} {fixture.version}",
        "calls": [
            {
                "argv": list(call.argv),
                "command": call.command,
                "machine": call.machine,
                "returncode": call.returncode,
                "stderr": call.stderr,
                "started": call.started,
                "seconds": call.seconds,
            }
            for call in fixture.calls
        ],
        "hazards": [
            {
                "hazard": finding.hazard,
                "machine": finding.machine,
                "text": finding.text,
                "at": None if finding.clock is None else (finding.clock - first) / 1e9,
            }
            for finding in findings
        ],
        "faults": [
            {
                "text": f"{fault['command']}: {fault['fault']}",
                "machine": fault["machine"],
                "at": (fault["clock"] - first) / 1e9,
            }
            for fault in faults
        ],
    }
