"""What an artifact says of itself, in JSON."""

from __future__ import annotations

import os

from fake_smolvm.artifacts.errors import ArtifactError
from fake_smolvm.fastjson import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

LAYERS = "layers"
OVERLAY = "overlay.raw"
"""Name of the asset that holds a bare machine's disk; in ours it is a tar of the root folder."""


class Manifest:
    """What an artifact says of the machine inside: an image's configuration and its resources."""

    __slots__ = (
        "assets",
        "cmd",
        "cpus",
        "created",
        "digest",
        "entrypoint",
        "env",
        "gpu",
        "host_platform",
        "image",
        "image_size",
        "mem",
        "mode",
        "network",
        "platform",
        "smolvm_version",
        "workdir",
    )

    def __init__(self, data: Mapping[str, Any]) -> None:
        get = data.get
        self.mode: str = get("mode", "container")
        """`container` (an image's layers) or `vm` (a bare machine's disk)."""
        self.image: str = data["image"]
        self.digest: str = data["digest"]
        self.platform: str = data["platform"]
        self.entrypoint: list[str] = get("entrypoint", [])
        self.cmd: list[str] = get("cmd", [])
        self.env: list[str] = get("env", [])
        self.workdir: str | None = get("workdir")
        self.cpus: int = data["cpus"]
        self.mem: int = data["mem"]
        """In MiB."""
        self.image_size: int = get("image_size", 0)
        """In bytes, unpacked."""
        self.network: bool = get("network", False)
        self.gpu: bool = get("gpu", False)
        self.host_platform: str = data["host_platform"]
        self.created: str = data["created"]
        self.smolvm_version: str = data["smolvm_version"]
        self.assets: Mapping[str, Any] = data["assets"]

    @property
    def layers(self) -> list[Mapping[str, Any]]:
        """The image's layers, lowest first: each with its `digest`, `path` and `size`."""
        layers: list[Mapping[str, Any]] = self.assets["layers"]
        return layers

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """Read a manifest.

        Raises:
            ArtifactError: For what is not JSON, lacks a field, or has one of another type.
        """
        from fake_smolvm.rust import serde_json

        required = [name for name, (_, must_be) in _FIELDS.items() if must_be]
        try:
            found = serde_json.read_struct(data, "PackManifest", required)
        except serde_json.JsonError as error:
            raise ArtifactError(f"JSON error: {error}") from None
        for name, (kind, _) in _FIELDS.items():
            if name in found and not _is_a(kind, found[name]):
                raise ArtifactError(f"JSON error: invalid type: `{name}`, expected {kind}")
        for layer in found["assets"]["layers"]:
            for name, kind in _LAYER_FIELDS.items():
                if name not in layer:
                    raise ArtifactError(f"JSON error: missing field `{name}`")
                if not _is_a(kind, layer[name]):
                    raise ArtifactError(f"JSON error: invalid type: `{name}`, expected {kind}")
        mode = found.get("mode", "container")
        if mode not in ("container", "vm"):
            raise ArtifactError(
                f"JSON error: unknown variant `{mode}`, expected `container` or `vm`"
            )
        return cls(found)

    def to_json(self) -> bytes:
        """Write the manifest as the real one does: indented, without what is empty."""
        written = {name: getattr(self, name) for name in _FIELDS}
        for name in ("entrypoint", "cmd", "env"):
            if not written[name]:
                del written[name]
        if self.workdir is None:
            del written["workdir"]
        return dumps(written, indent=2).encode()


# In the order the real one writes them: what Rust calls the type, and whether it must be there.
_FIELDS = {
    "mode": ("a string", False),
    "image": ("a string", True),
    "digest": ("a string", True),
    "platform": ("a string", True),
    "entrypoint": ("a sequence", False),
    "cmd": ("a sequence", False),
    "env": ("a sequence", False),
    "workdir": ("option", False),
    "cpus": ("u8", True),
    "mem": ("u32", True),
    "image_size": ("u64", False),
    "network": ("a boolean", False),
    "gpu": ("a boolean", False),
    "host_platform": ("a string", True),
    "created": ("a string", True),
    "smolvm_version": ("a string", True),
    "assets": ("struct AssetInventory", True),
}
_LAYER_FIELDS = {"digest": "a string", "path": "a string", "size": "u64"}


def _is_a(kind: str, value: object) -> bool:
    match kind:
        case "a string":
            return _is_text(value)
        case "a sequence":
            return isinstance(value, list) and all(map(_is_text, value))
        case "option":
            return value is None or _is_text(value)
        case "a boolean":
            return isinstance(value, bool)
        case "struct AssetInventory":
            layers = value.get("layers") if isinstance(value, dict) else None
            return isinstance(layers, list) and all(isinstance(layer, dict) for layer in layers)
    bits = int(kind[1:])
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << bits


def _is_text(value: object) -> bool:
    """Tell whether a value is a text that a path or an argument can be made of."""
    return isinstance(value, str) and "\0" not in value


def host_platform() -> str:
    """Return the platform that an artifact packed on this host runs on."""
    system = "darwin" if os.uname().sysname == "Darwin" else "linux"
    return f"{system}/{_architecture()}"


def guest_platform() -> str:
    """Return the platform of the guests that run on this host."""
    return f"linux/{_architecture()}"


def _architecture() -> str:
    return "arm64" if os.uname().machine in ("arm64", "aarch64") else "amd64"
