"""The traps of smolvm that a test walked into, and the machines that it left behind."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fake_smolvm.harness.known_hazards import LEAK, fails, known

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from fake_smolvm.harness.seen.calls import Calls

ORPHAN = "H3"
"""What a process is that a real machine left behind."""


class SmolvmHazardWarning(UserWarning):
    """The code under test walked into a trap of smolvm that is not fatal by default."""


@dataclass(frozen=True)
class Finding:
    """One hazard that happened, or one machine that was left behind."""

    hazard: str
    """`H4`, `leak` or `process`."""
    command: str
    machine: str
    text: str
    """Whole and readable."""
    clock: int | None = None
    """Nanoseconds of the monotonic clock."""


def noted(journal: str) -> list[Finding]:
    """Return the hazards that commands of the fake noted, each occurrence once."""
    return list(dict.fromkeys(_finding(event) for event in json_lines(journal)))


def json_lines(path: str | Path) -> list[dict[str, Any]]:
    """Return the objects in a file, one a line; a line cut short by a kill is left out."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    found = []
    for line in text.split("\n"):
        with contextlib.suppress(ValueError, RecursionError):
            found.append(json.loads(line))
    return [one for one in found if isinstance(one, dict)]


def leaks(left: Iterable[tuple[str, str]], calls: Calls) -> list[Finding]:
    """Return a finding for every machine, by name and state, that is still there."""
    return [_leak(name, state, calls) for name, state in left]


def orphaned(processes: Iterable[int]) -> list[Finding]:
    """Return a finding for every process of a machine that a real smolvm no longer knows."""
    return [
        _finding(
            {
                "hazard": ORPHAN,
                "command": "machine delete",
                "machine": "",
                "consequence": f"process {process} of a machine is left behind, running",
            }
        )
        for process in processes
    ]


def sorted_out(
    findings: Iterable[Finding], allowed: Mapping[str, str]
) -> tuple[list[Finding], list[Finding]]:
    """Divide findings into those that fail the test and those that only warn."""
    fatal: list[Finding] = []
    minor: list[Finding] = []
    for finding in findings:
        if finding.hazard not in allowed:
            (fatal if fails(finding.hazard) else minor).append(finding)
    return fatal, minor


def _finding(event: Mapping[str, Any]) -> Finding:
    number, machine = event["hazard"], event["machine"]
    about = known().get(number, {})
    whom = f" (machine {machine})" if machine else ""
    since, until = about.get("since") or "0.8.0 or before", about.get("until") or "now"
    text = (
        f"{number}: {about.get('title', 'a hazard')}\n"
        f"  called:  {event['command']}{whom}\n"
        f"  here:    {event['consequence']}\n"
        f"  0.8.0:   {about.get('real', '')}\n"
        f"  since {since}, until {until}\n"
        f"  instead: {about.get('instead', '')}"
    )
    return Finding(number, event["command"], machine, text, event.get("clock"))


def _leak(name: str, state: str, calls: Calls) -> Finding:
    made = [
        call
        for call in calls
        if call.command in ("machine create", "machine run", "machine start")
        and call.machine == name
    ] or [
        call
        for call in calls.filter("machine")
        if call.command in ("machine create", "machine run") and call.machine is None
    ]
    how = "\n".join(f"           {call}" for call in made[:1]) or "           (no call seen)"
    text = (
        f"leak: machine {name!r} is still there, {state}; made by\n{how}\n"
        f"  instead: smolvm machine stop --name {name}; smolvm machine delete -f {name}"
    )
    return Finding(LEAK, made[0].command if made else "", name, text)
