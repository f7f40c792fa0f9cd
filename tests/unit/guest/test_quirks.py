"""What bashkit takes otherwise than a guest's shell, and what is done about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fake_smolvm.guest import root as guest_root
from fake_smolvm.guest.bashkit import quirks

if TYPE_CHECKING:
    from pathlib import Path


class Inside:
    """As much of a guest as is asked of it."""

    def __init__(self, root: Path | None = None) -> None:
        self.identity = guest_root.load("alpine")
        self.root = str(root)


@pytest.mark.parametrize(
    ("script", "run"),
    [
        ("echo hello", "echo hello"),
        # Process 1 is a guest's init, and bashkit's shell itself.
        ("kill 1; echo on", "true; echo on"),
        ("kill -9 1", "true"),
        ("kill 12; kill 1.5", "kill 12; kill 1.5"),
        # It knows commands that the guest has not, and not where the others are.
        ("command -v jq || echo none", "__command_v jq || echo none"),
        ("command ls", "command ls"),
        ("type curl; echo", "__type curl; echo"),
        ("ls --type f", "ls --type f"),
        # Its `dd` keeps all in memory.
        ("dd if=/dev/zero of=f bs=1M count=64", "__dd if=/dev/zero of=f bs=1M count=64"),
        ("dd if=a of=b", "dd if=a of=b"),
    ],
)
def test_what_it_means_otherwise_is_rewritten(script: str, run: str) -> None:
    assert quirks.rewritten(script) == run


@pytest.mark.parametrize(
    ("script", "run"),
    [
        ("bash -c 'echo x'", "__no_bash -c 'echo x'"),
        ("true && bash x.sh", "true && __no_bash x.sh"),
        ("if bash; then :; fi", "if __no_bash; then :; fi"),
        ("echo bash", "echo bash"),
        ("cat /etc/bash.bashrc", "cat /etc/bash.bashrc"),
    ],
)
def test_where_there_is_no_bash_it_is_none(script: str, run: str) -> None:
    assert quirks.without_bash(script) == run


@pytest.mark.parametrize(
    ("argv", "run"),
    [
        (["sh", "-c", "sleep 60"], ["sleep", "60"]),
        (["sh", "-c", "yes"], ["yes"]),
        (["sh", "-c", "cat > /root/file"], ["dd", "of=/root/file", "status=none"]),
        (["sh", "-c", "yes | head -3"], ["sh", "-c", "yes | head -3"]),
        (["sh", "-c", "sleep $N"], ["sh", "-c", "sleep $N"]),
        (["sh", "-c", "ls"], ["sh", "-c", "ls"]),
        (["sh", "script"], ["sh", "script"]),
    ],
)
def test_one_endless_command_takes_no_shell(argv: list[str], run: list[str]) -> None:
    inside: Any = Inside()
    assert quirks.without_shell(argv, inside) == run


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (["cat"], True),
        (["/bin/sort", "-n"], True),
        (["sh", "-c", "read x"], False),
        (["cat", "file"], False),
        (["ls"], False),
    ],
)
def test_who_wants_stdin_first_of_all(argv: list[str], wanted: bool) -> None:
    assert quirks.wants_stdin(argv) is wanted


@pytest.mark.parametrize(
    ("script", "left"),
    [
        ("sleep 9 >/dev/null 2>&1 &", ["sleep 9"]),
        ("nohup server --port 80 > log 2>&1 & echo up", ["server --port 80"]),
        ("sleep 1 &", []),
        ("ls > a && ls > b", []),
        ("make 2>&1", []),
    ],
)
def test_children_that_hold_no_output_are_left_behind(script: str, left: list[str]) -> None:
    assert quirks.children(script) == left
    assert quirks.leaves_children(script) is bool(left)


@pytest.mark.parametrize(
    ("script", "largest"),
    [
        ("head -c 100 /dev/urandom", 100),
        ("head -c 8M /dev/zero", 8 << 20),
        ("dd if=/dev/zero bs=1k count=10", 10 << 10),
        ("cat /dev/zero", 0),
    ],
)
def test_devices_are_files_as_long_as_is_asked_for(
    tmp_path: Path, script: str, largest: int
) -> None:
    assert quirks.largest_number(script) == largest
    root = tmp_path / "root"
    inside: Any = Inside(root)
    folder = quirks.devices(inside, script)
    assert folder == str(tmp_path / "dev")
    (device,) = (tmp_path / "dev").iterdir()
    assert device.stat().st_size == max(largest, 1 << 16)


def test_a_script_without_devices_makes_none(tmp_path: Path) -> None:
    inside: Any = Inside(tmp_path / "root")
    assert quirks.devices(inside, "head -c 100 /etc/passwd") is None
    assert not (tmp_path / "dev").exists()
