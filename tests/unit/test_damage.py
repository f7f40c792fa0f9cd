"""Every file that the fake reads, damaged in many ways: it is never its own traceback that says so.

Seeded and bounded; each try is a HOME of its own, so one damage cannot hide the next.
"""

from __future__ import annotations

import os
import random
import shutil
from typing import TYPE_CHECKING

import pytest
from support.fake import run_here

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TRIES = 2
"""Of each kind of damage to each file."""

VARIABLES = {
    "FAKE_SMOLVM_IMAGES": "images.json",
    "FAKE_SMOLVM_SCENARIO": "scenario.toml",
    "FAKE_SMOLVM_NETWORK": "network.toml",
    "SMOLVM_CONFIG": "config.toml",
}
IMAGES = '[{"names": ["app:1"], "identity": "debian", "env": ["A=1"], "layers": 2}]'
SCENARIO = """
[[fault]]
command = "machine stop"
machine = "other"
exit = 3
stdout = "{machine} in {folder}"
env = {FAKE_SMOLVM_KVM = "0"}

[[guest]]
command = ["git", "status"]
exit = 2
stderr = "fatal"
"""
NETWORK = """
[hosts]
"api.example.com" = ["192.0.2.7"]

[[answer]]
url = "http://api.example.com/"
status = 200
body = "ok"
"""
CONFIG = """
[machines.registries."registry.smolmachines.com"]
username = "me"
password = "secret"

[images.registries."ghcr.io"]
mirror = "mirror.example.com"
"""
SMOLFILE = 'cpus = 2\nimage = "alpine"\n[network]\nallow_hosts = ["api.example.com"]\n'

READ_BY_THE_REAL_ONE = ("config.toml", "Smolfile", "p.smolmachine")

COMMANDS = """
machine ls
machine ls --json
machine ls -v
machine status --name box
machine status --name box --json
machine exec --name box -- wget -qO- http://api.example.com/
machine exec --name box -- git status
machine stop --name box
machine update box --cpus 3
machine resize --name box --storage 30
machine start --name box
machine cp box:/etc/hostname there
machine create app --net --image app:1
machine start --name app
machine create new --from p.smolmachine
machine start --name new
machine create filed -s Smolfile
machine delete -f box
machine delete -f new
pack run --sidecar p.smolmachine -- true
pack run --sidecar p.smolmachine --info
pack push x -f p.smolmachine
pack inspect x
pack prune --all
config show
config registries show
machine run -- true
machine prune --name box
machine images --name box
"""


def smolvm(home: Path, *argv: str, variables: bool = True) -> tuple[int, str]:
    env = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    if variables:
        env |= {name: str(home / file) for name, file in VARIABLES.items()}
    ran = run_here(env, *argv, cwd=str(home))
    return ran.code, (ran.stdout + ran.stderr).decode("utf-8", "surrogateescape")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("whole")
    for name, text in {
        "images.json": IMAGES,
        "scenario.toml": SCENARIO,
        "network.toml": NETWORK,
        "config.toml": CONFIG,
        "Smolfile": SMOLFILE,
    }.items():
        (home / name).write_text(text)
    for line in (
        "machine create box -e A=1 -p 8080:80 -v .:/data --net --init true",
        "machine create other --image alpine",
        "machine create third",
        "machine start --name box",
        "machine start --name third",
        "machine stop --name third",
        "pack create --image app:1 -o p",
    ):
        code, said = smolvm(home, *line.split())
        assert code == 0, said
    return home


def overwritten(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.randbytes(chance.randrange(1, 9)) + data[at + 4 :]


def swapped_byte(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) or 1)
    return data[:at] + chance.choice(b'[]{}",:=\\0\n\x00\xff9').to_bytes() + data[at + 1 :]


def another_value(data: bytes, chance: random.Random) -> bytes:
    """Put something else where one of the file's words, numbers or lists stands."""
    import re

    found = list(re.finditer(rb'"[^"\n]*"|\d+|true|false|\[[^\]\n]*\]', data)) or [
        re.search(b"", data)
    ]
    place = chance.choice(found)
    assert place is not None
    value = chance.choice(
        [b"5", b"-1", b"1.5", b"NaN", b"nan", b"null", b"[]", b"{}", b"[5]", b'"x"', b'""',
         b"true", b'"\\u0000"', b'"\\ud800"', b'"\\udcff"', b"9" * 5000, b"[" * 3000,
         b'{"a":' * 3000, b"1e999", b'"' + b"x" * 300 + b'"', b'"../../x"', '"\u2028"'.encode(),
         b"18446744073709551616", b"1" * 19, b'{"a": 1}', b'[["a", "b"]]', b"\xff"]
    )  # fmt: skip
    return data[: place.start()] + value + data[place.end() :]


def cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def doubled(data: bytes, chance: random.Random) -> bytes:
    return data + data[chance.randrange(len(data) + 1) :]


CONTENTS: list[Callable[[bytes, random.Random], bytes]] = [
    overwritten, swapped_byte, another_value, cut, doubled
]  # fmt: skip


def to_folder(path: Path) -> None:
    path.mkdir()


def to_pipe(path: Path) -> None:
    os.mkfifo(path)


def to_circle(path: Path) -> None:
    path.symlink_to(path.name)


def to_nothing(path: Path) -> None:
    path.symlink_to("/nonexistent/there")


def to_device(path: Path) -> None:
    path.symlink_to("/dev/null")


def to_gone(path: Path) -> None:
    assert not path.exists()


PLACES = [to_folder, to_pipe, to_circle, to_nothing, to_device, to_gone]


def damaged_files(home: Path) -> list[str]:
    state = home / ".fake_smolvm"
    found = [*VARIABLES.values(), "Smolfile", "p.smolmachine"]
    small = [path for path in state.rglob("*") if path.is_file() and "root" not in path.parts]
    return found + sorted(str(path.relative_to(home)) for path in small)


def asked(whole: Path, home: Path, damage: Callable[[Path], object], what: str) -> None:
    shutil.copytree(whole, home, symlinks=True)
    damage(home)
    for line in COMMANDS.strip().splitlines():
        try:
            code, said = smolvm(home, *line.split())
        except Exception as error:
            raise AssertionError(f"{what}: {line}: {error!r}") from error
        assert code in (0, 1, 2), (what, line, code, said)
        assert "Traceback" not in said, (what, line, said)
        assert not code or said.strip(), (what, line, "fails without a word")
    shutil.rmtree(home)


@pytest.mark.parametrize("damage", CONTENTS, ids=lambda damage: damage.__name__)
def test_what_a_file_holds_is_damaged(
    whole: Path, tmp_path: Path, damage: Callable[[bytes, random.Random], bytes]
) -> None:
    chance = random.Random(damage.__name__)  # noqa: S311 - nothing secret
    for number, name in enumerate(damaged_files(whole) * TRIES):
        data = damage((whole / name).read_bytes(), chance)
        asked(
            whole,
            tmp_path / str(number),
            lambda home, name=name, data=data: (home / name).write_bytes(data),
            f"{name} {data[:3000]!r}",
        )


@pytest.mark.parametrize("damage", PLACES, ids=lambda damage: damage.__name__)
def test_what_stands_in_the_place_of_a_file(
    whole: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    for number, name in enumerate(damaged_files(whole)):
        if damage is to_pipe and name in READ_BY_THE_REAL_ONE:
            continue  # It would wait for somebody to write, and so does the fake.

        def put(home: Path, name: str = name) -> None:
            (home / name).unlink()
            damage(home / name)

        asked(whole, tmp_path / str(number), put, f"{name} {damage.__name__}")
