"""Plays recordings of the real smolvm against the fake and tells where the two differ."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

CASSETTES = Path(__file__).parents[2] / "cassettes"
RECORDED_HOST_BINARY = "/root/smolvm"
FAKE = Path(sys.executable).with_name("fake_smolvm")

# Of a long output the recorder kept this many characters, or its length, head and tail.
RECORDED_HEAD = 400
STEP_TIMEOUT_SECONDS = 600
"""A step that hangs where the real one did not is a failure; no other is ever this slow."""


@dataclass(frozen=True)
class Said:
    """What one command answered."""

    exit_code: int
    stdout: str
    stderr: str


class Sandbox:
    """A fresh HOME and working folder, and the fake run inside them."""

    def __init__(self, folder: Path, *, fixtures: bool = True) -> None:
        self.home = folder / "home"
        self.cwd = folder / "work"
        self.home.mkdir(parents=True)
        if fixtures:
            shutil.copytree(CASSETTES / "fixtures", self.cwd)
        else:
            self.cwd.mkdir()
        # The recordings were made in a C locale without a terminal, which the fake does not read,
        # and without colours in smolvm's log.
        self.env = {"HOME": str(self.home), "PATH": os.environ["PATH"], "NO_COLOR": "1"}

    def run(self, argv: list[str], stdin: bytes = b"") -> Said:
        """Run the fake with `argv` to its end."""
        done = subprocess.run(
            [FAKE, *argv],
            input=stdin,
            capture_output=True,
            cwd=self.cwd,
            env=self.env,
            timeout=STEP_TIMEOUT_SECONDS,
            check=False,
        )
        return self.said(done.returncode, done.stdout, done.stderr)

    def said(self, exit_code: int, stdout: bytes, stderr: bytes) -> Said:
        """Normalise an answer the way the recordings are."""
        return Said(exit_code, self.normalised(stdout), self.normalised(stderr))

    def normalised(self, output: bytes) -> str:
        """Replace what differs between any two runs by the recordings' names for it."""
        text = output.decode("utf-8", "backslashreplace")
        return _named(text.replace(str(self.home), "$HOME").replace(str(self.cwd), "$CWD"))


_CHANGING = (
    (re.compile(r'(?<="created_at": )\d+'), '"$TIME"'),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "$TIME"),
    (re.compile(r"\bPID: \d+"), "PID: $PID"),
    (re.compile(r'(?<="pid": )\d+'), '"$PID"'),
    (re.compile(r"\(PID \d+ alive"), "(PID: $PID alive"),
    (re.compile(r"\bvm-[0-9a-f]{8}\b"), "$NAME"),
    (re.compile(r"[\d.]+ [KMG]?B/s"), "$RATE"),
    (re.compile(r"(?<=\.smolvm-upload\.)[\d.]+"), "$N"),
    (re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d"), "$TIME"),
)


def _named(text: str) -> str:
    for pattern, name in _CHANGING:
        text = pattern.sub(name, text)
    return text


# Both files of sessions lack this line: their recorder left it out, as said by the host. The real
# 0.8.0 prints it on every host: vm.jsonl (e/39) has it, and a run of the binary on 2026-11-24 too.
_VCPU_WARNING = re.compile(
    r"^warning: requested \d+ vCPUs but the hypervisor supports at most 16; "
    r"the VM will run with 16 vCPUs\n"
)


def without_vcpu_warning(said: Said) -> Said:
    """Leave the one line out that the recordings of sessions do not have."""
    return replace(said, stderr=_VCPU_WARNING.sub("", said.stderr, count=1))


def differences(recorded: dict[str, Any], said: Said) -> list[str]:
    """Name the parts of `said` that are not what was recorded."""
    wrong = []
    if recorded["rc"] != said.exit_code:
        wrong.append("exit code")
    for stream in ("stdout", "stderr"):
        text: str = getattr(said, stream)
        if f"{stream}_help" in recorded:
            same = recorded[f"{stream}_help"] == help_structure(text)
        else:
            same = _same_text(recorded["argv"], recorded[stream], text)
        if not same:
            wrong.append(stream)
    return wrong


def _same_text(argv: list[str], recorded: str | dict[str, Any], text: str) -> bool:
    is_list = len(argv) > 1 and argv[1] in ("ls", "list")
    if isinstance(recorded, dict):
        if is_list:
            return len(text) == recorded["length"]
        ends = (len(text), text[: len(recorded["head"])], text[-len(recorded["tail"]) :])
        return ends == (recorded["length"], recorded["head"], recorded["tail"])
    recorded = _named(recorded)
    if recorded == text or (len(recorded) == RECORDED_HEAD and text.startswith(recorded)):
        return True
    # The real binary's list has no order: it changes from run to run.
    return is_list and _as_set(recorded) == _as_set(text)


def _as_set(listing: str) -> Any:
    if listing.startswith("["):
        return sorted(json.loads(listing), key=lambda machine: str(machine["name"]))
    # A machine's line and the indented details below it belong together.
    return sorted(re.split(r"\n(?! )", listing))


def help_structure(page: str) -> dict[str, Any]:
    """Read a help page as its usage lines and, by section, each row's left column and notes."""
    usage: list[str] = []
    sections: dict[str, list[list[Any]]] = {}
    rows: list[list[Any]] = []
    in_usage = False
    for line in page.splitlines():
        if line.startswith("Usage: "):
            usage.append(line.removeprefix("Usage: "))
            in_usage = True
        elif in_usage and line.startswith("       "):
            usage.append(line.strip())
        elif re.fullmatch(r"\S[^:]*:", line):
            rows = sections.setdefault(line[:-1], [])
        elif sections and line.startswith(" "):
            _read_row(line, rows)
        if not line:
            in_usage = False
    return {"usage": usage, "sections": sections}


def _read_row(line: str, rows: list[list[Any]]) -> None:
    indent = len(line) - len(line.lstrip())
    description_only = indent >= 10  # clap's indent of a description on a line of its own
    if description_only and rows:
        description = line
    else:
        # A lone long option stands under the others' long names, four columns further in.
        left, _, description = line.strip().partition("  ")
        rows.append([left, []])
    rows[-1][1].extend(re.findall(r"\[[a-z ]+: [^\]]*\]", description))
