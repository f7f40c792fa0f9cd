"""What the recordings of sessions leave open; those are replayed in tests/replay."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.fake import hazards

if TYPE_CHECKING:
    from conftest import Fake


def test_a_whole_life_in_process(fake: Fake) -> None:
    assert fake("machine", "create", "m1").code == 0
    started = fake("machine", "start", "--name", "m1")
    assert (started.code, started.err) == (0, "Starting machine 'm1'...\n")
    pid = started.out.removeprefix("Machine 'm1' running (PID: ").removesuffix(")\n")
    assert fake("machine", "start", "--name", "m1").out == (
        f"Machine 'm1' already running (PID: {pid})\n"
    )
    update = fake("machine", "update", "m1", "--mem", "512")
    assert (update.code, update.err) == (
        1,
        "Error: invalid vm state: expected stopped, got Running\n",
    )
    assert fake("machine", "stop", "--name", "m1").out.endswith("Stopped machine: m1\n")
    assert fake("machine", "delete", "m1", stdin=b" Yes \n").out == (
        "Cleaning up data directory for vm: m1\nDeleted machine: m1\n"
    )
    assert hazards(fake.home) == []


def test_nothing_outside_the_place_of_its_own_is_touched(fake: Fake) -> None:
    fake("machine", "create", "m1")
    fake("machine", "start", "--name", "m1")
    assert [entry.name for entry in fake.home.iterdir()] == [".fake_smolvm"]
    assert (fake.home / ".fake_smolvm").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("env", "root"),
    [
        ({}, "$HOME/.cache"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg"),
        ({"XDG_CACHE_HOME": "relative"}, "$HOME/.cache"),
        ({"FAKE_SMOLVM_HOME": "/elsewhere"}, "/elsewhere/.cache"),
    ],
)
def test_the_data_directory_that_the_real_one_would_have(
    fake: Fake, env: dict[str, str], root: str
) -> None:
    fake.env.update(env)
    assert fake("machine", "data-dir", "m1").out == f"{root}/smolvm/vms/ca0df2c95aa144c1\n"


@pytest.mark.parametrize("verb", ["status", "stop"])
def test_looking_for_an_unknown_machine_leaves_data_behind(fake: Fake, verb: str) -> None:
    fake("machine", verb, "--name", "m1")
    fake("machine", "create", "m1")
    assert "Cleaning up data directory" in fake("machine", "delete", "-f", "m1").out


@pytest.mark.parametrize(
    ("commands", "noted"),
    [
        ([["create", "m1", "--allow-cidr", "10.0.0.0/8"]], ("H2", "m1")),
        ([["create", "m1"], ["start", "--name", "m1"], ["delete", "-f", "m1"]], ("H3", "m1")),
        ([["stop", "--name", "typo"]], ("H5", "typo")),
        ([["create", "m1"], ["create", "m2"], ["ls"]], ("H13", "")),
    ],
)
def test_hazards_are_noted(fake: Fake, commands: list[list[str]], noted: tuple[str, str]) -> None:
    for command in commands:
        assert fake("machine", *command).code == 0
    assert hazards(fake.home) == [noted]


def test_a_port_of_a_running_machine_is_taken(fake: Fake) -> None:
    fake("machine", "create", "m1", "-p", "8080:80")
    fake("machine", "create", "m2", "-p", "8080:81")
    fake("machine", "start", "--name", "m1")
    assert fake("machine", "start", "--name", "m2").err == (
        "Error: config operation failed: start machine: host port 8080 is already in use by "
        "running machine 'm1'\n"
    )
    fake("machine", "stop", "--name", "m1")
    assert fake("machine", "start", "--name", "m2").code == 0


def test_a_volume_that_is_gone_keeps_a_machine_from_starting(fake: Fake) -> None:
    (fake.cwd / "src").mkdir()
    fake("machine", "create", "m1", "-v", "src:/src")
    (fake.cwd / "src").rmdir()
    assert fake("machine", "start", "--name", "m1").err == (
        "Starting machine 'm1' with 1 mount(s)...\n"
        "Error: agent operation failed: start machine: agent operation failed: wait for ready: "
        "agent did not become ready within 30 seconds\n"
    )
    assert "created" in fake("machine", "ls").out


def test_disks_only_grow(fake: Fake) -> None:
    fake("machine", "create", "m1", "--storage", "5")
    # 0.8.0 makes the disk with its default size when it first looks for it.
    assert fake("machine", "resize", "--name", "m1", "--storage", "10").err == (
        "Error: storage operation failed: expand storage disk: storage operation failed: expand "
        "disk: new size (10 GiB) must be larger than current size (20 GiB). Shrinking is not "
        "supported.\n"
    )
    assert fake("machine", "resize", "--name", "m1", "--storage", "25").out == (
        "Resized machine 'm1':\n  storage: 5 GiB → 25 GiB\nFilesystem will expand on next boot.\n"
    )
    assert fake("machine", "update", "m1", "--storage", "24").code == 1


def test_images_and_prune(fake: Fake) -> None:
    fake("machine", "create", "m1", "--net", "--image", "alpine")
    images = fake("machine", "images", "--name", "m1")
    assert images.err == "Starting machine 'm1' to query storage...\n"
    assert images.out == (
        "Storage Usage:\n  Total:  19.6 GB\n  Used:   64.0 KB\n  Layers: 0\n\nNo cached images.\n"
    )
    assert fake("machine", "start", "--name", "m1").code == 0
    listed = json.loads(fake("machine", "images", "--name", "m1", "--json").out)
    assert [image["reference"] for image in listed["images"]] == ["alpine"]
    assert fake("machine", "prune", "--name", "m1", "--all").code == 1
    fake("machine", "stop", "--name", "m1")
    assert fake("machine", "prune", "--name", "m1", "--all").out.startswith(
        "Removing all cached images...\nRemoved 1 images, freed "
    )
    assert fake("machine", "prune", "--name", "m1", "--all", "--dry-run").out == (
        "No cached images to remove.\n"
    )


def test_nothing_of_a_deleted_machine_is_in_the_next_one(fake: Fake) -> None:
    machines = fake.home / ".fake_smolvm" / "vms"
    for _ in range(2):
        fake("machine", "create", "m1")
        fake("machine", "start", "--name", "m1")
        assert fake("machine", "exec", "--name", "m1", "--", "true").code == 0
        root = next(machines.glob("*/root"))
        for folder in ("root", "tmp", "opt"):
            assert list((root / folder).iterdir()) == []
        assert (root / "opt").stat().st_mode & 0o777 == 0o755
        assert not (root / "mine").is_symlink()
        (root / "root" / "file").write_text("old")
        (root / "tmp" / "folder").mkdir()
        (root / "opt").chmod(0o700)
        (root / "mine").symlink_to("/etc")
        fake("machine", "delete", "-f", "m1")
        assert list(machines.iterdir()) == []
