"""What happened to `smolvm` in a test, as the HTML report tells it: plain data, for xdist."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fake_smolvm.harness.on_path.secrets import secret_values
from fake_smolvm.harness.seen.masked import revealed
from fake_smolvm.harness.seen.timeline import ending
from fake_smolvm.harness.verdicts.hazards import json_lines

if TYPE_CHECKING:
    from fake_smolvm.harness.fixture import SmolvmFixture
    from fake_smolvm.harness.seen.calls import Calls
    from fake_smolvm.harness.seen.inspection import Inspection
    from fake_smolvm.harness.verdicts.hazards import Finding

LONGEST_STDERR = 2000
"""Characters of a call's stderr that are shown."""
SECRETS = "secrets"
"""The key of what must be masked in a failure's message: it is taken out before a story goes on."""


def secrets_of(calls: Calls) -> list[str]:
    """Return the values of `-e` that the calls handed over."""
    argvs = ([revealed(word) for word in call.argv] for call in calls)
    return list(dict.fromkeys(value for argv in argvs for value in secret_values(argv)))


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
    faults = []
    if inspection is not None and fixture.mode == "fake":
        faults = json_lines(Path(inspection.paths.state, "faults.jsonl"))
    return {
        "test": nodeid,
        SECRETS: secrets_of(calls),
        "smolvm": f"{fixture.mode} {fixture.version}",
        "calls": [
            {
                "argv": list(map(str, call.argv)),
                "command": call.command,
                "machine": call.machine,
                "returncode": call.returncode,
                "ended": ending(call),
                "stderr": call.stderr[:LONGEST_STDERR],
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
