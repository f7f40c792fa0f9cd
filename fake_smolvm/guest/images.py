"""The container images that the fake provides, in place of a registry.

They are data: `images.json` beside this file, and before it the file that `$FAKE_SMOLVM_IMAGES`
names, both a JSON list of::

    {"names": ["app:1.*", ...], "identity": "alpine", "entrypoint": [...], "cmd": [...],
     "env": ["K=V", ...], "workdir": "/srv", "user": 0, "layers": 1, "size": bytes}

The first entry that has a name like the image's is the image. A `*` in a name stands for anything.
All but `names` and `identity` may be left out. `identity` is what the guest looks like (one of
`identities`); null means that no such image is to be had. So `[{"names": ["*"], "identity": null}]`
is a host that reaches no registry.
"""

from __future__ import annotations

import os

from fake_smolvm import variables
from fake_smolvm.errors import LimitError, SetupError
from fake_smolvm.machines import given

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any


_FOLDER = os.path.dirname(__file__)
_PROVIDED = os.path.join(_FOLDER, "images.json")
_IDENTITIES = os.path.join(_FOLDER, "identities")
_NO_IDENTITY = "scripts"
"""Name of the file among the identities that is none."""

_FIELDS = {
    "names": given.TEXTS,
    "identity": given.TEXT_OR_NULL,
    "entrypoint": given.TEXTS,
    "cmd": given.TEXTS,
    "env": given.TEXTS,
    "workdir": given.TEXT_OR_NULL,
    "user": given.NUMBER,
    "layers": given.NUMBER,
    "size": given.NUMBER,
}
_DOCKER_HUB = "index.docker.io"
_DEFAULT_LAYER_SIZE = 8_388_608


class Image:
    """One image: how its guest looks, and its configuration."""

    __slots__ = (
        "cmd",
        "entrypoint",
        "env",
        "identity",
        "layers",
        "reference",
        "size",
        "user",
        "workdir",
    )

    def __init__(self, reference: str, data: Mapping[str, Any]) -> None:
        self.reference = reference
        self.identity: str = data["identity"]
        self.entrypoint: list[str] = data.get("entrypoint", [])
        self.cmd: list[str] = data.get("cmd", [])
        self.env: list[str] = data.get("env", [])
        """Each `KEY=VALUE`."""
        self.workdir: str | None = data.get("workdir")
        self.user: int = data.get("user", 0)
        """The user ID that commands run as."""
        self.layers: int = data.get("layers", 1)
        self.size: int = data.get("size", _DEFAULT_LAYER_SIZE)
        """In bytes, unpacked."""

    @property
    def digest(self) -> str:
        """A digest that is always the same for the same reference."""
        return digest_of(self.reference)

    def layer_digests(self) -> list[str]:
        """One digest a layer, lowest first."""
        return [digest_of(f"{self.reference} layer {number}") for number in range(self.layers)]


def digest_of(text: str) -> str:
    """Give the digest of a text, as registries write one."""
    import hashlib

    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()}"


def find(env: Mapping[str, str], reference: str) -> Image | None:
    """Give an image, or None if it is not provided.

    Raises SetupError if the file that `$FAKE_SMOLVM_IMAGES` names is no such list.
    """
    name = _full_name(reference)
    for data in _entries(env):
        if any(_fits(name, pattern) for pattern in data["names"]):
            return None if data["identity"] is None else Image(reference, data)
    return None


def check_known(env: Mapping[str, str], reference: str) -> None:
    """Raise LimitError for an image that nobody says anything of, neither here nor in the test.

    Whether a registry has it, only the registry knows.
    """
    name = _full_name(reference)
    if not any(_fits(name, pattern) for data in _entries(env) for pattern in data["names"]):
        raise LimitError(
            f"it has no image {reference!r}, and asks no registry; provide it in the "
            f"JSON file that ${variables.IMAGES} names: "
            f'[{{"names": ["{reference}"], "identity": "alpine"}}], or with "identity": null '
            "as one that is not to be had"
        )


def pull_failure(reference: str) -> str:
    """Say why an image cannot be pulled where no registry can be reached (0.8.0, vm.jsonl)."""
    from time import gmtime, strftime, time

    host, slash, _ = reference.partition("/")
    if not slash or not ("." in host or ":" in host) or host == "docker.io":
        host = _DOCKER_HUB
    name = host.partition(":")[0]
    reason = (
        f"dial tcp: lookup {name} on 8.8.8.8:53:"
        " dial udp 8.8.8.8:53: connect: network is unreachable"
    )
    now = strftime("%Y/%m/%d %H:%M:%S", gmtime(time()))
    retries = f"{now} retrying {reason}\n" * 3
    return (
        f"crane manifest failed: {retries}"
        f'Error: fetching manifest {reference}: Get "https://{host}/v2/": {reason}\n'
    )


def check(env: Mapping[str, str]) -> None:
    """Raise SetupError if the file that `$FAKE_SMOLVM_IMAGES` names is no list of images."""
    next(_entries(env))


def _entries(env: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    chosen = env.get(variables.IMAGES)
    if chosen:
        try:
            entries = given.read_json(chosen)
            _check(entries, chosen)
        except ValueError as error:
            raise SetupError(f"{variables.IMAGES}: {error}") from None
        yield from entries
    yield from given.read_json(_PROVIDED)


def _check(entries: object, path: str) -> None:
    """Raise ValueError for what is no list of images."""
    if not isinstance(entries, list):
        raise ValueError(f"{path}: not a list of images")  # noqa: TRY004 - of a file
    for number, entry in enumerate(entries):
        what = f"{path}: image {number}"
        given.check(entry, _FIELDS, what, required=["names", "identity"])
        identity = entry["identity"]
        if identity is not None and identity not in identities():
            raise ValueError(
                f"{what}: identity is {identity!r}, not null or one of {', '.join(identities())}"
            )
        if entry.get("layers") == 0:
            raise ValueError(f"{what}: an image has a layer at least")
        for variable in entry.get("env", ()):
            if "=" not in variable[1:]:
                raise ValueError(f"{what}: env holds a text that is not KEY=VALUE")


def identities() -> list[str]:
    """Give what a guest can look like, by name."""
    names = {file.removesuffix(".json") for file in os.listdir(_IDENTITIES)}
    return sorted(names - {_NO_IDENTITY})


def _full_name(reference: str) -> str:
    """Write out the tag that is meant, and leave out the registry that is the default."""
    for prefix in (f"{_DOCKER_HUB}/", "docker.io/", "library/"):
        reference = reference.removeprefix(prefix)
    return reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"


def _fits(name: str, pattern: str) -> bool:
    first, *others = pattern.split("*")
    if not others:
        return name in (pattern, f"{pattern}:latest")
    *middle, last = others
    if not name.startswith(first) or not name[len(first) :].endswith(last):
        return False
    at, end = len(first), len(name) - len(last)
    for part in middle:
        at = name.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True
