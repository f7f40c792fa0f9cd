from __future__ import annotations

import pytest

from fake_smolvm.machines.references import InvalidReferenceError, Reference, host_of, unreachable

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("text", "registry", "repository", "wanted"),
    [
        ("app", "registry.smolmachines.com", "app", "latest"),
        (" me/app:v1 ", "registry.smolmachines.com", "me/app", "v1"),
        ("a.b/app", "a.b", "app", "latest"),
        ("localhost:5000/a/b/app:x:y", "localhost:5000", "a/b/app", "x:y"),
        (f"app@{DIGEST}", "registry.smolmachines.com", "app", DIGEST),
    ],
)
def test_the_parts_of_a_reference(text: str, registry: str, repository: str, wanted: str) -> None:
    reference = Reference(text)
    assert (reference.registry, reference.repository) == (registry, repository)
    assert reference.tag_or_digest == wanted


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (" ", "empty reference"),
        ("app:", "empty tag"),
        ("a.b/", "empty name"),
        ("a.b//c", "empty repository component (check for double slashes)"),
        ("a/b/c", "first component 'a' doesn't look like a registry hostname"),
        ("a@md5:1", "unsupported digest algorithm in 'md5:1': only sha256 is supported"),
        ("a@sha256:12", "digest has 2 hex chars, expected 64"),
        ("a@sha256:" + "x" * 64, "digest contains non-hex characters"),
    ],
)
def test_what_is_no_reference(text: str, reason: str) -> None:
    with pytest.raises(InvalidReferenceError) as refused:
        Reference(text)
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    ("host", "path", "address"),
    [
        ("UP.com", "v2/a b/x", "https://up.com/v2/a%20b/x"),
        ("127.0.0.1:80", "v2/a", "http://127.0.0.1/v2/a"),
        ("[::1]:5000", "v2/../a", "http://[::1]:5000/a"),
        ("a.b:99999", "v2/a", None),
    ],
)
def test_the_address_that_would_be_asked(host: str, path: str, address: str | None) -> None:
    said = unreachable(host, path)
    ending = "builder error" if address is None else f"error sending request for url ({address})"
    assert said == f"HTTP request failed: {ending}"


def test_a_mirror_is_asked_instead() -> None:
    assert host_of("docker.io", {}) == "registry-1.docker.io"
    assert host_of("docker.io", {"docker.io": "mirror.example.com"}) == "mirror.example.com"
