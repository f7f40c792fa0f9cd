"""What smolvm's words are taken to mean: real words of 0.8.0 (cassettes), 1.4.0 and 1.32.2."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from smolvm_wrapper import (
    CommandBuilder,
    HypervisorUnavailableError,
    MachineExistsError,
    MachineNotFoundError,
    MachineNotRunningError,
    MachineRunningError,
    SmolvmError,
    UsageError,
)
from smolvm_wrapper.command import Finished
from smolvm_wrapper.diagnosis import failure

if TYPE_CHECKING:
    from collections.abc import Iterator

CASSETTES = Path(__file__).parents[3] / "cassettes" / "0.8.0"
HINT = "Start it with 'smolvm machine start --name m1'; if a start is already in progress, retry"
KVM = (
    "kvm not available: KVM not available. Ensure KVM kernel module is loaded.\nTry: sudo modprobe"
)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("vm not found: nope", MachineNotFoundError),
        ("agent operation failed: connect: machine 'default' not found", MachineNotFoundError),
        ("config operation failed: update: machine 'a\nb' not found", MachineNotFoundError),
        ("config operation failed: machine status: machine 'x' not found", MachineNotFoundError),
        ("agent operation failed: pack from VM: VM 'nope' not found", MachineNotFoundError),
        ("config operation failed: create machine: machine 'm' already exists", MachineExistsError),
        (
            "config operation failed: create machine: machine 'm' already exists or is being",
            MachineExistsError,
        ),
        (
            "config operation failed: machine run -d --name: a machine named 'm' already exists.",
            MachineExistsError,
        ),
        (
            "agent operation failed: connect: machine 'm1' is not running. Use 'smolvm machine",
            MachineNotRunningError,
        ),
        (
            f"agent operation failed: connect: machine 'm1' is not running. {HINT}",
            MachineNotRunningError,
        ),
        ("invalid vm state: expected stopped, got Running", MachineRunningError),
        ("agent operation failed: resize: VM 'm1' is running. Stop it first", MachineRunningError),
        (
            "agent operation failed: prune: cannot prune --all while machine 'm1' is running. Stop",
            MachineRunningError,
        ),
        (f"agent operation failed: start machine: {KVM}", HypervisorUnavailableError),
        (
            f"agent operation failed: start machine: agent operation failed: start VM: {KVM}",
            HypervisorUnavailableError,
        ),
        ("kvm permission denied: Cannot access /dev/kvm", HypervisorUnavailableError),
        ("hypervisor not available: none", HypervisorUnavailableError),
        # These look alike and are not.
        ("mount source not found: /vm not found: x", SmolvmError),
        ("agent operation failed: find sidecar: sidecar file not found: nope", SmolvmError),
        ("config operation failed: create from .smolmachine: file not found: machine", SmolvmError),
        ("agent operation failed: connect to agent: No such file or directory", SmolvmError),
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_kind_of_failure(message: str, kind: type[SmolvmError], form: str) -> None:
    argv: tuple[str, ...] = ("smolvm", "machine", "start")
    stderr = f"Starting machine 'x'...\nError: {message}\n"
    if form == "json":
        argv = ("smolvm", "--error-format", "json", "machine", "start")
        said = json.dumps({"error": {"code": "SMOLVM_ERROR", "message": message}})
        stderr = f"Starting machine 'x'...\n{said}\n"
    assert type(failure(Finished(argv, 1, "", stderr))) is kind


def test_json_code_tells_where_the_message_does_not() -> None:
    said = json.dumps({"error": {"code": "KVM_UNAVAILABLE", "message": "no luck"}})
    done = Finished(("smolvm", "--error-format", "json", "machine"), 1, "", said)
    assert isinstance(failure(done), HypervisorUnavailableError)


def test_killed_client() -> None:
    assert "killed by signal 9" in str(failure(Finished(("smolvm",), -9, "", "")))


def recorded() -> Iterator[dict[str, Any]]:
    """Every recorded call whose output is there in full."""
    for name, key in (("argv", None), ("sessions", "session"), ("vm", "steps")):
        for line in (CASSETTES / f"{name}.jsonl").read_text().splitlines():
            record = json.loads(line)
            for step in record[key] if key else [record]:
                texts = (step.get("stdout", {}), step.get("stderr", {}))
                if not step.get("host") and all(isinstance(text, str) for text in texts):
                    yield step


def finished(step: dict[str, Any]) -> Finished:
    return Finished(("smolvm", *step["argv"]), step["rc"], step["stdout"], step["stderr"])


def test_every_recorded_usage_error_is_one() -> None:
    steps = [step for step in recorded() if step["rc"] == 2 and "-- help" not in step["argv"]]
    others = [
        step["argv"]
        for step in steps
        if not isinstance(failure(finished(step)), UsageError)
        and "For more information" in step["stderr"]
    ]
    assert len(steps) > 1000
    assert others == []


def test_every_recorded_failure_that_names_its_kind_is_of_that_kind() -> None:
    """An independent, coarser reading of the same words agrees."""
    coarse = {
        MachineNotFoundError: r"\AError: (vm not found: |.*\b(machine|VM) '[^']*' not found)",
        MachineExistsError: r"\AError: .* '[^']*' already exists",
        MachineNotRunningError: r"\AError: .*\bis not running",
        MachineRunningError: r"\AError: .*(is running\. Stop it|got Running)",
    }
    seen = dict.fromkeys(coarse, 0)
    for step in recorded():
        if step["rc"] != 1:
            continue
        for kind, pattern in coarse.items():
            if re.match(pattern, step["stderr"]):
                seen[kind] += 1
                assert type(failure(finished(step))) is kind, step
    assert min(seen.values()) >= 4, seen


OWN = "agent operation failed: vm exec: failed to spawn command: No such file or directory"
USAGE = "error: unexpected argument '-x' found\n\nUsage: smolvm machine exec\n\n"
HELP = "For more information, try '--help'.\n"


@pytest.mark.parametrize(
    ("returncode", "stdout", "stderr", "speaker"),
    [
        (0, "", "Error: vm not found: vm\n", "guest"),
        (42, "", "Error: vm not found: vm\n", "guest"),
        (1, "", "", "guest"),
        (1, "", "cat: can't open 'x'\n", "guest"),
        (1, "", f"Error: {OWN}\n", "smolvm"),
        (1, "", "Error: vm not found: vm\n", "smolvm"),
        (1, "", "Error: io operation failed: connection closed\n", "smolvm"),
        (1, "", "Error: Cannot find module 'x'\n", "ambiguous"),
        (1, "", f"warning\nError: {OWN}\n", "ambiguous"),
        (1, "output", f"Error: {OWN}\n", "guest"),
        (2, "", USAGE + HELP, "smolvm"),
        (2, "", "error: invalid value '0s' for '--timeout <DURATION>': no\n\n" + HELP, "smolvm"),
        (2, "", "error: bad\n\nUsage: ripgrep\n\n" + HELP, "ambiguous"),
        (2, "", "ls: x: No such file or directory\n", "guest"),
        (124, "", "", "guest"),
        (-9, "", "", "smolvm"),
    ],
)
def test_who_spoke(returncode: int, stdout: str, stderr: str, speaker: str) -> None:
    command = CommandBuilder("0.8.0").machine_exec("vm", ["x"])
    assert command.read(Finished(command.argv, returncode, stdout, stderr)).speaker == speaker


@pytest.mark.parametrize(
    ("version", "timeout", "returncode", "speaker"),
    [
        ("0.8.0", None, 255, "ambiguous"),
        ("0.8.1", None, 255, "guest"),
        ("0.8.1", None, 137, "guest"),
        ("0.8.0", 5, 124, "ambiguous"),
        ("1.4.0", 5, 124, "ambiguous"),
    ],
)
def test_who_spoke_depends(version: str, timeout: Any, returncode: int, speaker: str) -> None:
    command = CommandBuilder(version).machine_exec("vm", ["x"], timeout=timeout)
    assert command.read(Finished(command.argv, returncode, "", "")).speaker == speaker


def test_with_json_errors_text_is_the_guests() -> None:
    command = CommandBuilder("1.32.2").machine_exec("vm", ["x"])
    said = {"error": {"code": "NOT_FOUND", "message": "vm not found: vm"}}
    for stderr, speaker in ((f"Error: {OWN}\n", "guest"), (json.dumps(said) + "\n", "smolvm")):
        assert command.read(Finished(command.argv, 1, "", stderr)).speaker == speaker


def test_output_that_was_passed_on_says_nothing() -> None:
    command = CommandBuilder("0.8.0").stream("vm", ["x"])
    died = "error: io operation failed: connection closed\n"
    assert command.read(Finished(command.argv, 1, "first\n", died)).speaker == "smolvm"


def test_every_recorded_exec_is_told_apart() -> None:
    """What 0.8.0 says itself, it says alone; no recorded guest imitates it."""
    counts: dict[str, int] = {}
    for step in recorded():
        if step["argv"][:2] == ["machine", "exec"] and step["rc"] in (1, 2):
            streamed = not {"--stream", "-i", "-t"}.isdisjoint(step["argv"])
            builder = CommandBuilder("0.8.0")
            command = (builder.stream if streamed else builder.machine_exec)("vm", ["x"])
            speaker = command.read(finished(step)).speaker
            own = step["stderr"].lower().startswith("error: ")
            assert speaker in (("smolvm", "ambiguous") if own else ("guest",)), step
            assert own <= (speaker == "smolvm" or step["rc"] == 2), step
            counts[speaker] = counts.get(speaker, 0) + 1
    assert counts["smolvm"] > 400
    assert counts["guest"] >= 4
