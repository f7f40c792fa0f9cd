from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fake_smolvm.errors import CommandError
from fake_smolvm.machines import smolfile
from fake_smolvm.machines.record import Record

if TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = """
image = "alpine"
entrypoint = ["/bin/serve"]
cmd = ["--port", "80"]
env = [" A=1 "]
workdir = "/srv"
cpus = 2
memory = 1024
gpu = true
gpu_vram = 16
storage = 12
overlay = 4
ports = ["1:1"]
volumes = ["./top:/t"]
init = ["top"]
[dev]
volumes = ["./dev:/d"]
env = ["A=2"]
init = ["dev"]
workdir = "/dev"
ports = ["8080:80"]
[network]
allow_hosts = ["example.com"]
allow_cidrs = ["10.0.0.0/8", "1.1.1.1"]
[health]
exec = ["curl", "-f"]
interval = "10s"
timeout = "2m"
retries = 4
startup_grace = "1h"
[restart]
policy = "OnFailure"
max_retries = 3
max_backoff = "30"
[auth]
ssh_agent = true
[service]
port = 80
[artifact]
cpus = 8
"""


def merged(tmp_path: Path, text: str, record: Record) -> tuple[list[str], list[str]]:
    (tmp_path / "Smolfile").write_text(text)
    return smolfile.load("Smolfile", str(tmp_path)).merge_into(record, ["./cli:/c"], [" A=3"])


def test_all_fields_reach_the_record(tmp_path: Path) -> None:
    record = Record("m1", 0)
    volumes, env = merged(tmp_path, EVERYTHING, record)
    assert volumes == ["./dev:/d", "./cli:/c"]
    assert env == ["A=1", "A=2", "A=3"]
    assert record.to_row() == {
        "name": "m1",
        "created_at": 0,
        "image": "alpine",
        "entrypoint": ["/bin/serve"],
        "cmd": ["--port", "80"],
        "workdir": "/dev",
        "cpus": 2,
        "mem": 1024,
        "gpu": True,
        "gpu_vram_mib": 16,
        "storage_gb": 12,
        "overlay_gb": 4,
        "ports": [(8080, 80)],
        "init": ["dev"],
        "network": True,
        "allowed_cidrs": ["10.0.0.0/8", "1.1.1.1/32"],
        "dns_filter_hosts": ["example.com"],
        "health_cmd": ["curl", "-f"],
        "health_interval_secs": 10,
        "health_timeout_secs": 120,
        "health_retries": 4,
        "health_startup_grace_secs": 3600,
        "restart_policy": "on-failure",
        "restart_max_retries": 3,
        "restart_max_backoff_secs": 30,
        "ssh_agent": True,
    }


def test_the_command_line_wins(tmp_path: Path) -> None:
    record = Record("m1", 0)
    record.image, record.cpus, record.mem, record.workdir = "ubuntu", 3, 512, "/cli"
    record.storage_gb, record.ports, record.init = 50, [(9, 9)], ["cli"]
    merged(tmp_path, EVERYTHING, record)
    assert (record.image, record.cpus, record.mem) == ("ubuntu", 3, 512)
    assert (record.workdir, record.storage_gb) == ("/cli", 50)
    assert (record.ports, record.init) == ([(8080, 80), (9, 9)], ["dev", "cli"])


# Each as the real 0.8.0 words it.
MISTAKES = {
    "cpus = [\n": (1, 10, "cpus = [", "^", "invalid array\nexpected `]`"),
    'image = "x\n': (1, 11, 'image = "x', "^", "invalid basic string"),
    "cpus = tru": (1, 8, "cpus = tru", "^", "invalid string\nexpected `\"`, `'`"),
    "[dev": (1, 5, "[dev", "^", "invalid table header\nexpected `.`, `]`"),
    "a = 1 b = 2": (1, 7, "a = 1 b = 2", "^", "expected newline, `#`"),
    "cpus = 1\ncpus = 2\n": (2, 1, "cpus = 2", "^", "duplicate key `cpus` in document root"),
    "cpus = 99999999999999999999": (
        1,
        8,
        "cpus = 99999999999999999999",
        "^",
        "number too large to fit in target type",
    ),
    "cpus = 300": (1, 8, "cpus = 300", "^^^", "invalid value: integer `300`, expected u8"),
    "net = 'é'": (1, 7, "net = 'é'", "^^^^", 'invalid type: string "é", expected a boolean'),
    "env = ['A=1', 2]": (
        1,
        15,
        "env = ['A=1', 2]",
        "^",
        "invalid type: integer `2`, expected a string",
    ),
    "[network]\nallow = []": (
        2,
        1,
        "allow = []",
        "^^^^^",
        "unknown field `allow`, expected `allow_hosts` or `allow_cidrs`",
    ),
    "auth = []": (
        1,
        8,
        "auth = []",
        "^^",
        "invalid length 0, expected struct AuthConfig with 1 element",
    ),
}


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        (f"cpus = {'9' * 5000}", 8, "number too large to fit in target type"),
        (f"cpus = -{'9' * 5000}", 8, "number too small to fit in target type"),
        (f"cpus = 0x{'f' * 5000}", 8, "number too large to fit in target type"),
        (f"cpus = {'[' * 5000}", 87, "recursion limit exceeded"),
    ],
    ids=["digits", "negative", "hexadecimal", "nested"],
)
def test_more_than_python_reads_is_a_mistake_as_any_other(
    tmp_path: Path, text: str, where: int, message: str
) -> None:
    with pytest.raises(CommandError) as caught:
        merged(tmp_path, text, Record("m1", 0))
    assert f"TOML parse error at line 1, column {where}\n" in caught.value.message
    assert caught.value.message.endswith(f"^\n{message}\n")


def test_a_duration_of_more_digits_than_python_reads_is_none(tmp_path: Path) -> None:
    record = Record("m1", 0)
    merged(tmp_path, f'[health]\ninterval = "{"9" * 5000}s"\ntimeout = "{"0" * 5000}7s"', record)
    assert (record.health_interval_secs, record.health_timeout_secs) == (None, 7)


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_worded_as_the_real_one_words_it(tmp_path: Path, text: str) -> None:
    line, column, shown, marks, message = MISTAKES[text]
    with pytest.raises(CommandError) as caught:
        merged(tmp_path, text, Record("m1", 0))
    assert caught.value.message == (
        "config operation failed: load smolfile: failed to parse Smolfile: "
        f"TOML parse error at line {line}, column {column}\n  |\n{line} | {shown}\n"
        f"  | {' ' * (column - 1)}{marks}\n{message}\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('ports = ["x:y"]', "smolfile ports: invalid host port: x"),
        (
            '[restart]\npolicy = "sometimes"',
            "smolfile [restart] policy: invalid restart policy: sometimes",
        ),
        (
            '[network]\nallow_cidrs = ["x"]',
            (
                "smolfile [network] allow_cidrs: invalid CIDR 'x': "
                "expected format like 10.0.0.0/8 or 1.1.1.1"
            ),
        ),
    ],
)
def test_values_that_say_nothing_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CommandError) as caught:
        merged(tmp_path, text, Record("m1", 0))
    assert caught.value.message == f"config operation failed: {message}"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"failed to read nope: No such file .* \(os error 2\)"):
        smolfile.load("nope", str(tmp_path))
    (tmp_path / "latin").write_bytes(b'image = "\xe9"')
    with pytest.raises(CommandError, match="stream did not contain valid UTF-8"):
        smolfile.load("latin", str(tmp_path))
