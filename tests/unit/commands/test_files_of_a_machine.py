"""A machine's files: there once it runs, gone once it is deleted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Fake

DEEPER = """
mkdir -p /root/a; i=0
while [ $i -lt 1100 ]; do mkdir /root/b; mv /root/a /root/b/; mv /root/b /root/a; i=$((i+1)); done
"""


@pytest.mark.parametrize(
    ("options", "words"),
    [([], "Alpine Linux"), (["--net", "--image", "python:3.12"], "Debian GNU/Linux")],
)
def test_files_are_there_right_after_the_start(fake: Fake, options: list[str], words: str) -> None:
    volume = fake.home / "volume"
    volume.mkdir()
    (volume / "shared").write_text("shared")
    fake("machine", "create", "box", *options, "-v", f"{volume}:/mnt/v")
    fake("machine", "start", "--name", "box")
    assert fake("machine", "cp", "box:/etc/os-release", "got").code == 0
    assert words in (fake.cwd / "got").read_text()
    assert fake("machine", "cp", "box:/mnt/v/shared", "got").code == 0
    assert (fake.cwd / "got").read_text() == "shared"


def test_what_is_sent_right_after_the_start_is_kept(fake: Fake) -> None:
    (fake.cwd / "mine").write_text("mine\n")
    fake("machine", "create", "box")
    fake("machine", "start", "--name", "box")
    assert fake("machine", "cp", "mine", "box:/etc/motd").code == 0
    said = fake("machine", "exec", "--name", "box", "--", "cat", "/etc/motd", "/etc/hostname")
    assert said.out == "mine\nlocalhost\n"


def test_a_machine_with_folders_a_thousand_deep_is_deleted(fake: Fake) -> None:
    fake("machine", "create", "box")
    fake("machine", "start", "--name", "box")
    assert fake("machine", "exec", "--name", "box", "--", "sh", "-c", DEEPER).code == 0
    fake("machine", "stop", "--name", "box")
    assert fake("machine", "delete", "-f", "box").out.endswith("Deleted machine: box\n")
    assert fake("machine", "ls").out == "No machines found\n"
    assert os.listdir(fake.home / ".fake_smolvm/vms") == []
