"""What only the fake does not know, it says as the fake, and how a test provides it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Fake

PYTHON = ("--image", "python:3.12")


@pytest.mark.parametrize(
    ("options", "argv", "code", "words"),
    [
        ((), ["shred", "x"], 127, "smolvm.guest_command('shred', ...)"),
        ((), ["sh", "-c", "tail -f /etc/motd"], 1, "tail: invalid option"),
        ((), ["sh", "-c", "x=$(yes)"], 1, "yes: output limit"),
        ((), ["apk", "add", "cowsay"], 1, "smolvm.guest_command('apk', 'add', 'cowsay')"),
        (PYTHON, ["apt-get", "install", "cowsay"], 100, "it knows no package 'cowsay'"),
        (PYTHON, ["python3", "-c", "import numpy"], 1, "No module named 'numpy'"),
        (PYTHON, ["python3", "-c", "import os; os.system('x')"], 1, "no attribute 'system'"),
        (PYTHON, ["pip", "install", "numpy"], 127, "smolvm.guest_command('pip', ...)"),
        ((), ["wget", "http://api.example.com/"], 1, "smolvm.outside_answer("),
        ((), ["wget", "http://192.0.2.1/"], 1, "smolvm.outside_answer("),
        (PYTHON, ["curl", "http://api.example.com/"], 6, "smolvm.outside_host("),
        ((), ["nslookup", "api.example.com"], 1, "smolvm.outside_host("),
        ((), ["ping", "-c", "1", "api.example.com"], 1, "smolvm.outside_host("),
    ],
)
def test_the_fake_speaks_for_itself(
    fake: Fake, options: tuple[str, ...], argv: list[str], code: int, words: str
) -> None:
    fake("machine", "create", "box", "--net", *options)
    fake("machine", "start", "--name", "box")
    said = fake("machine", "exec", "--name", "box", "--", *argv)
    assert said.code == code
    assert any(line.startswith("fake_smolvm: ") and words in line for line in said.err.split("\n"))


@pytest.mark.parametrize(
    ("argv", "code", "err"),
    [
        (["sh", "-c", "bash"], 127, "sh: bash: not found\n"),
        (["sh", "-c", "true && bash -c 'echo a'"], 127, "sh: bash: not found\n"),
        (["sh", "-c", "cat /etc/hostname | bash"], 127, "sh: bash: not found\n"),
        (["sh", "-c", "git status"], 127, "sh: git: not found\n"),
        (["wget", "http://api.example.com/"], 1,
         "wget: can't connect to remote host (api.example.com): Network unreachable\n"),
        (["ping", "-c", "1", "nosuch.invalid"], 1, "ping: sendto: Network unreachable\n"),
    ],
)  # fmt: skip
def test_what_the_real_guest_lacks_too_is_said_as_there(
    fake: Fake, argv: list[str], code: int, err: str
) -> None:
    fake("machine", "create", "box")
    fake("machine", "start", "--name", "box")
    said = fake("machine", "exec", "--name", "box", "--", *argv)
    assert (said.code, said.err) == (code, err)


def test_without_a_network_nobody_can_say_which_images_there_are(fake: Fake) -> None:
    said = fake("machine", "run", "--image", "nope", "--", "true")
    assert said.code == 1
    assert "crane manifest failed" in said.err
    assert "fake_smolvm" not in said.err
