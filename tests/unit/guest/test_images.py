from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from fake_smolvm import variables
from fake_smolvm.errors import SetupError
from fake_smolvm.guest import images

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("reference", "identity"),
    [
        ("alpine", "alpine"),
        ("docker.io/library/alpine:3.20", "alpine"),
        ("python:3.12-slim", "python"),
        ("ubuntu:24.04", "ubuntu"),
    ],
)
def test_known_images_are_provided(reference: str, identity: str) -> None:
    image = images.find({}, reference)
    assert image is not None
    assert image.identity == identity
    assert len(image.layer_digests()) == image.layers


@pytest.mark.parametrize(
    "reference", ["nope", "alpine:v999", "ghcr.io/me/alpine", "alpine@sha256:0"]
)
def test_nothing_else_is_made_up(reference: str) -> None:
    assert images.find({}, reference) is None
    assert f"fetching manifest {reference}" in images.pull_failure(reference)


def test_the_user_adds_images_and_takes_some_away(tmp_path: Path) -> None:
    chosen = tmp_path / "images.json"
    mine = {"names": ["me/app:1.*"], "identity": "debian", "cmd": ["/app"], "layers": 2}
    none = {"names": ["python*"], "identity": None}
    chosen.write_text(json.dumps([mine, none]))
    env = {variables.IMAGES: str(chosen)}
    image = images.find(env, "me/app:1.2")
    assert image is not None
    assert (image.identity, image.cmd, image.layers) == ("debian", ["/app"], 2)
    assert images.find(env, "me/app:2") is None
    assert images.find(env, "python:3.12") is None
    assert images.find(env, "alpine") is not None


APP = '"names": ["app"], "identity": "alpine"'


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not a JSON document"),
        (b"[{", "property name"),
        (b"\xff", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" + b"9" * 5000 + b"]", "4300 digits"),
        (b"{}", "not a list of images"),
        (b"[5]", "image 0 is 5, not a table"),
        (b'[{"names": []}]', "image 0 needs an identity"),
        (b'[{"names": "app", "identity": null}]', "names is 'app', not a list of texts"),
        (b'[{"names": ["app"], "identity": "arch"}]', "identity is 'arch', not null or one of"),
        (f'[{{{APP}, "usr": 1}}]'.encode(), "has no 'usr', only names, identity"),
        (f'[{{{APP}, "user": "me"}}]'.encode(), "user is 'me', not a whole number"),
        (f'[{{{APP}, "layers": 0}}]'.encode(), "a layer at least"),
        (f'[{{{APP}, "size": NaN}}]'.encode(), "size is nan"),
        (f'[{{{APP}, "env": ["SECRET"]}}]'.encode(), "env holds a text that is not KEY=VALUE$"),
    ],
)
def test_a_wrong_file_is_one_sentence_not_an_empty_list(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    chosen = tmp_path / "images.json"
    chosen.write_bytes(content)
    with pytest.raises(SetupError, match=complaint) as told:
        images.find({variables.IMAGES: str(chosen)}, "alpine")
    assert told.value.message.startswith(f"{variables.IMAGES}: {chosen}: ")
