from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fake_smolvm import variables
from fake_smolvm.errors import SetupError
from fake_smolvm.guest.egress import (
    Network,
    ResolutionError,
    allowed_cidrs,
    network_of,
    reach,
    resolve,
)
from fake_smolvm.machines.paths import Paths
from fake_smolvm.machines.record import Record

if TYPE_CHECKING:
    from pathlib import Path

WORLD = Network({"hosts": {"api.example": ["192.0.2.7"], "www.api.example": ["192.0.2.8"]}})
LOOPBACK = ["127.0.0.0/8", "::1/128"]


def machine(**fields: object) -> Record:
    record = Record("m", 0)
    for name, value in fields.items():
        setattr(record, name, value)
    return record


@pytest.mark.parametrize(
    ("fields", "destination", "verdict", "unenforced"),
    [
        ({}, "192.0.2.7", "no network", False),
        ({"network": True}, "192.0.2.7", "allowed", False),
        ({"network": True}, "api.example", "allowed", False),
        ({"network": True}, "elsewhere.example", "unresolved", False),
        ({"allowed_cidrs": ["192.0.2.0/24"]}, "192.0.2.7", "allowed", False),
        ({"allowed_cidrs": ["10.0.0.0/8"]}, "192.0.2.7", "allowed", True),
        ({"allowed_cidrs": ["10.0.0.0/8"]}, "1.1.1.1", "allowed", False),
        ({"allowed_cidrs": LOOPBACK}, "1.1.1.1", "allowed", True),
        ({"allowed_cidrs": ["2001:db8::/32"]}, "2001:db8::5", "allowed", False),
        ({"allowed_cidrs": ["192.0.2.7/32"], "dns_filter_hosts": ["api.example"]},
         "www.api.example", "allowed", True),
        ({"network": True, "dns_filter_hosts": ["other.example"]},
         "api.example", "unresolved", False),
        ({"network": True, "source_smolmachine": "/p"}, "192.0.2.7", "allowed", False),
    ],
)  # fmt: skip
def test_who_is_reached(
    fields: dict[str, object], destination: str, verdict: str, unenforced: bool
) -> None:
    found = reach(machine(**fields), destination, WORLD)
    assert (found.verdict, found.unenforced) == (verdict, unenforced)
    assert bool(found) == (verdict == "allowed")


@pytest.mark.parametrize(
    ("name", "is_asked_for"),
    [
        ("no-such-host.example", True),
        ("a_b.example.", True),
        ("x" * 63, True),
        (".", True),
        *[
            (name, False)
            for name in ("", "..", ".a", "a..b", "a b", "a/b", "-a", "é", "x" * 64, "a." * 130)
        ],
    ],
)
def test_a_name_that_no_server_is_asked_for_is_not_known(
    tmp_path: Path, name: str, is_asked_for: bool
) -> None:
    with pytest.raises(ResolutionError) as told:
        resolve(Paths({"HOME": str(tmp_path)}), name)
    assert str(told.value).endswith(
        "Temporary failure in name resolution" if is_asked_for else "Name or service not known"
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x = [", "Invalid value"),
        ("hosts = 5", "hosts is 5, not a table"),
        ("host = {}", "a network has no 'host', only hosts, answer"),
        ("[hosts]\na = 5", "hosts: a is 5, not an address or a list of them"),
        ("[hosts]\na = ['b']", "not an address"),
        ("[[answer]]\nbody = ''", "answer 0 needs a url"),
        ("[[answer]]\nurl = 'u'\nstatus = 'ok'", "status is 'ok', not an HTTP status"),
        ("[[answer]]\nurl = 'u'\nstaus = 200", "answer 0 has no 'staus', only url, status"),
    ],
)
def test_a_network_that_makes_no_sense_is_one_sentence(
    tmp_path: Path, text: str, fault: str
) -> None:
    (tmp_path / "n.toml").write_text(text)
    with pytest.raises(SetupError) as told:
        network_of({variables.NETWORK: str(tmp_path / "n.toml")})
    assert told.value.message.startswith(f"{variables.NETWORK}: {tmp_path}/n.toml: ")
    assert fault in told.value.message


def test_a_network_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    for path, reason in (
        (tmp_path / "none", "No such file or directory (os error 2)"),
        (tmp_path, "not a file"),
    ):
        with pytest.raises(SetupError) as told:
            network_of({variables.NETWORK: str(path)})
        assert told.value.message == f"{variables.NETWORK}: {path}: {reason}"


@pytest.mark.parametrize(
    ("asked", "handed_on"),
    [
        (None, None),
        (["10.0.0.0/8"], ["10.0.0.0/8", "1.1.1.1/32"]),
        (["1.0.0.0/8"], ["1.0.0.0/8"]),
        (LOOPBACK, LOOPBACK),
        ([*LOOPBACK, "10.0.0.0/8"], [*LOOPBACK, "10.0.0.0/8", "1.1.1.1/32"]),
    ],
)
def test_the_dns_server_is_let_in(asked: list[str] | None, handed_on: list[str] | None) -> None:
    assert allowed_cidrs(machine(allowed_cidrs=asked)) == handed_on


def test_names_resolve_as_the_test_says(tmp_path: Path) -> None:
    data = tmp_path / "network.toml"
    data.write_text('[hosts]\n"API.example" = ["192.0.2.7", "::1"]\n')
    paths = Paths({"HOME": str(tmp_path), "FAKE_SMOLVM_NETWORK": str(data)})
    assert resolve(paths, "api.example") == ["192.0.2.7/32"]
    assert resolve(paths, "192.0.2.9") == ["192.0.2.9/32"]
    for name, reason in (("no.example", "failed to resolve"), ("a:443", "port suffixes")):
        with pytest.raises(ResolutionError, match=reason):
            resolve(paths, name)
