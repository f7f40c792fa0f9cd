from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fake_smolvm.machines.egress import Network, ResolutionError, allowed_cidrs, reach, resolve
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
