from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from support.fake import hazards

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Fake


def record(fake: Fake, name: str) -> dict[str, object]:
    shown: dict[str, object] = json.loads(fake("machine", "status", "--name", name, "--json").out)
    return shown


@pytest.fixture
def packed(fake: Fake) -> Path:
    """Pack an image; give the program."""
    said = fake("pack", "create", "--image", "alpine:3.20", "-o", "app", "--cpus", "2")
    assert said.code == 0, said.err
    return fake.cwd / "app"


def test_a_machine_made_of_a_packed_image_lives(fake: Fake, packed: Path) -> None:
    made = fake("machine", "create", "--from", f"{packed.name}.smolmachine", "-e", "A=b", "m")
    assert made.out.startswith(
        "Extracting .smolmachine assets...\nCreated machine: m\n  CPUs: 2, Memory: 8192 MiB\n"
    )
    assert record(fake, "m")["image"] == "alpine:3.20"
    assert fake("machine", "start", "--name", "m").code == 0
    assert fake("machine", "exec", "--name", "m", "--", "sh", "-c", "echo $A").out == "b\n"


@pytest.mark.parametrize(("given", "cpus"), [([], 2), (["--cpus", "4"], 2), (["--cpus", "3"], 3)])
def test_the_default_counts_as_not_given(
    fake: Fake, packed: Path, given: list[str], cpus: int
) -> None:
    fake("machine", "create", "--from", f"{packed}.smolmachine", *given, "m")
    assert record(fake, "m")["cpus"] == cpus


@pytest.mark.parametrize(
    ("given", "network"),
    [(["--allow-cidr", "10.0.0.0/8"], False), (["--net", "--allow-host", "a.b"], True)],
)
def test_what_create_from_drops_is_a_hazard(
    fake: Fake, packed: Path, given: list[str], *, network: bool
) -> None:
    fake("machine", "create", "--from", f"{packed}.smolmachine", *given, "m")
    assert record(fake, "m")["network"] is network
    assert [hazard for hazard, _ in hazards(fake.home)] == ["H1"]


def test_the_artifact_must_be_in_place_at_every_start(fake: Fake, packed: Path) -> None:
    sidecar = packed.with_name("app.smolmachine")
    fake("machine", "create", "--from", sidecar.name, "m")
    sidecar.unlink()
    assert fake("machine", "start", "--name", "m").err.endswith(
        "Error: agent operation failed: start machine:"
        " source .smolmachine not found: $CWD/app.smolmachine\n"
        "The file may have been moved or deleted.\n"
    )


def test_a_pack_of_a_bare_machine_runs_but_makes_no_machine_that_starts(fake: Fake) -> None:
    fake("machine", "create", "m")
    refused = fake("pack", "create", "--from-vm", "m", "-o", "app")
    assert "The VM may not have been started yet.\n" in refused.err
    fake("machine", "start", "--name", "m")
    refused = fake("pack", "create", "--from-vm", "m", "-o", "app")
    assert "VM 'm' is running. Stop it first with: smolvm machine stop --name m\n" in refused.err
    fake("machine", "exec", "--name", "m", "--", "sh", "-c", "echo kept > /root/f")
    fake("machine", "stop", "--name", "m")
    said = fake("pack", "create", "--from-vm", "m", "-o", "app")
    assert said.out.startswith("Packing VM 'm' snapshot...\nCollecting runtime libraries...\n")
    assert said.out.endswith(
        "Packed: app (stub: 25566KB, total: 37274KB)\n"
        "Assets: app.smolmachine (11706KB compressed)\n"
        "\nRun with: app\n"
        "Note: Keep the .smolmachine file alongside the binary\nOptions: --help for usage\n"
    )
    ran = fake("pack", "run", "--sidecar", "app.smolmachine", "--", "cat", "/root/f")
    assert (ran.code, ran.out) == (0, "kept\n")
    assert fake("machine", "create", "--from", "app.smolmachine", "n").code == 0
    assert "H18" in dict(hazards(fake.home))
    refused = fake("machine", "start", "--name", "n")
    assert refused.err.endswith("no layer directories found in /packed_layers\n")
    assert record(fake, "n")["state"] == "created"


def test_an_image_that_is_not_to_be_had_fails_as_without_a_registry(fake: Fake) -> None:
    images = fake.home / "images.json"
    images.write_text('[{"names": ["nope"], "identity": null}]')
    fake.env["FAKE_SMOLVM_IMAGES"] = str(images)
    refused = fake("pack", "create", "--image", "nope", "-o", "app")
    assert (refused.code, refused.out) == (1, "Starting agent VM...\n")
    assert "Error: agent operation failed: pull image: crane manifest failed: " in refused.err
    assert not list(fake.cwd.iterdir())


def test_an_image_that_nobody_speaks_of_is_the_fakes_own_limit(fake: Fake) -> None:
    refused = fake("pack", "create", "--image", "nope", "-o", "app")
    assert refused.code == 1
    assert "fake_smolvm: it has no image 'nope'" in refused.err
    assert "FAKE_SMOLVM_IMAGES" in refused.err


@pytest.mark.parametrize("one_file", [False, True])
def test_a_packed_program_runs_by_itself(fake: Fake, *, one_file: bool) -> None:
    fake("pack", "create", "--image", "alpine", "-o", "my app", *["--single-file"] * one_file)
    assert (fake.cwd / "my app.smolmachine").exists() is not one_file

    def program(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [fake.cwd / "my app", *argv],
            env={"HOME": str(fake.home), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )

    ran = program("run", "-e", "A=b", "-w", "/mnt", "--", "sh", "-c", "echo $A; pwd; exit 7")
    assert (ran.returncode, ran.stdout) == (7, "b\n/mnt\n")
    assert program("--version").stdout == "my app 0.8.0\n"
    assert program("info").stdout.startswith("Mode:       container\nImage:      alpine\n")
    assert program("status").stdout == "Status: not running\n"
    assert program("exec", "--", "true").returncode == 1
    assert program("start").stdout.startswith("Starting daemon...\nDaemon started (PID: ")
    program("exec", "--", "sh", "-c", "echo kept > /f")
    assert program("start").stdout.startswith("Daemon already running (PID: ")
    assert program("exec", "--", "cat", "/f").stdout == "kept\n"
    assert program("stop").stdout == "Daemon stopped\n"
    assert program("status").stdout == "Status: not running\n"


def test_prune_removes_what_was_unpacked_first(fake: Fake) -> None:
    for name in ("a", "b"):
        fake("pack", "create", "--image", "alpine", "-o", name)
        fake("pack", "run", "--sidecar", f"{name}.smolmachine", "--", "true")
    assert fake("pack", "prune").out == "No cached entries to remove.\n"
    shown = fake("pack", "prune", "--keep", "1", "--dry-run").out
    assert shown.startswith("  would remove: $HOME/.cache/smolvm-pack/")
    assert "Would remove 1 cached entries (" in shown
    assert fake("pack", "prune", "--all").out.startswith("Removed 2 cached entries, freed ")


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (["push", "app", "-f", "missing"], "push: file not found: missing"),
        (["push", "app", "-f", "."], "registry push: IO error: Is a directory (os error 21)"),
        (["inspect", "a/b/c"], "parse reference: invalid reference 'a/b/c': first component 'a'"),
        (["pull", "app"], "registry pull: HTTP request failed: error sending request for url"),
    ],
)
def test_no_registry_answers(fake: Fake, argv: list[str], problem: str) -> None:
    refused = fake("pack", *argv)
    assert refused.code == 1
    assert f"Error: agent operation failed: {problem}" in refused.err
