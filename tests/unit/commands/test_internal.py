from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Fake


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["serve", "start"], "fake_smolvm: no HTTP API is served"),
        (["serve", "start", "-l", "[::1]:80"], "fake_smolvm: no HTTP API is served"),
        (["serve", "start", "-l", "a/b.sock"], "fake_smolvm: no HTTP API is served"),
        (
            ["serve", "start", "-l", "1.2.3.4:99999"],
            (
                "config operation failed: parse listen address: invalid address '1.2.3.4:99999':"
                " expected a valid ADDR:PORT or a unix:// path"
            ),
        ),
        (
            ["serve", "openapi"],
            "fake_smolvm: no HTTP API is served, and there is no description of one",
        ),
        (
            ["_boot-vm", "missing"],
            "agent operation failed: read boot config: No such file or directory (os error 2)",
        ),
        (
            ["_boot-vm", "empty"],
            (
                "agent operation failed: parse boot config:"
                " EOF while parsing a value at line 1 column 0"
            ),
        ),
        (
            ["_boot-vm", "struct"],
            (
                "agent operation failed: parse boot config:"
                " missing field `rootfs_path` at line 1 column 2"
            ),
        ),
    ],
)
def test_what_is_not_for_the_user_says_so(fake: Fake, argv: list[str], said: str) -> None:
    (fake.cwd / "empty").touch()
    (fake.cwd / "struct").write_text("{}")
    voice = "" if said.startswith("fake_smolvm: ") else "Error: "
    assert fake(*argv) == (1, "", f"{voice}{said}\n")


def test_cleanup_ends_no_process_that_is_not_the_machines(fake: Fake) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        stat = Path(f"/proc/{other.pid}/stat")
        started = stat.read_text().rpartition(") ")[2].split()[19] if stat.exists() else "1"
        assert fake("_cleanup-ephemeral", "m", str(other.pid), started, "m").code == 0
        assert other.poll() is None
        refused = fake("_cleanup-ephemeral", "m", str(other.pid), "0", "m")
        assert "refusing to verify process without start time" in refused.err
        other.communicate(b"\n")


def test_cleanup_removes_what_a_dead_machine_left(fake: Fake) -> None:
    fake("machine", "create", "m")
    assert fake("_cleanup-ephemeral", "m", str(2**22 - 1), "7", "m") == (0, "", "")
    assert fake("machine", "ls").out == "No machines found\n"
