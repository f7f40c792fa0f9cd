"""What happened to `smolvm` in a test, as the HTML report tells it: plain data, for xdist."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fake_smolvm.harness.secrets import MASK, masked_argv, masked_text, secret_values
from fake_smolvm.harness.timeline import ending

if TYPE_CHECKING:
    from fake_smolvm.harness.calls import Calls
    from fake_smolvm.harness.fixture import SmolvmFixture
    from fake_smolvm.harness.hazards import Finding
    from fake_smolvm.harness.inspection import Inspection

SECRETS = "secrets"
"""The key of what must be masked in a failure's message: it is taken out before a story goes on."""


def secrets_of(calls: Calls) -> list[str]:
    """Return the values of `-e` that the calls handed over."""
    found = (value for call in calls for value in secret_values(call.argv))
    return [value for value in dict.fromkeys(found) if value != MASK]


def story_of(
    nodeid: str,
    fixture: SmolvmFixture,
    findings: list[Finding],
    inspection: Inspection | None,
) -> dict[str, Any]:
    """Return the story of the test `nodeid`; `inspection` is None for a replay."""
    events = [event for event in fixture._events() if event[0] == "start"]  # noqa: SLF001
    first = min((event[2] for event in events), default=0)
    calls = fixture.calls
    secrets = secrets_of(calls)
    faults = []
    if inspection is not None and fixture.mode == "fake":
        path = Path(inspection.paths.state, "faults.jsonl")
        if path.exists():
            faults = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {
        "test": nodeid,
        SECRETS: secrets,
        "smolvm": f"{fixture.mode} {fixture.version}",
        "calls": [
            {
                "argv": masked_argv(call.argv),
                "command": call.command,
                "machine": call.machine,
                "returncode": call.returncode,
                "ended": ending(call),
                "stderr": masked_text(call.stderr, secrets),
                "started": call.started,
                "seconds": call.seconds,
            }
            for call in calls
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
