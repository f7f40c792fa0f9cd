"""The file itself: its footer, and where the manifest and the assets lie in it."""

from __future__ import annotations

import os

from fake_smolvm.artifacts.errors import ArtifactError
from fake_smolvm.artifacts.manifest import Manifest
from fake_smolvm.artifacts.zstd import stored_frame
from fake_smolvm.errors import os_error_text

SUFFIX = ".smolmachine"
FOOTER_SIZE = 64

_MAGIC = b"SMOLPACK"
_VERSION = 1
_MANIFEST_LIMIT = 16 * 1024 * 1024
_CHUNK = 1024 * 1024


class Footer:
    """Where the parts of an artifact lie, as its last 64 bytes say."""

    __slots__ = (
        "assets_offset",
        "assets_size",
        "checksum",
        "manifest_offset",
        "manifest_size",
        "stub_size",
    )

    def __init__(self, numbers: tuple[int, int, int, int, int], checksum: int) -> None:
        (
            self.stub_size,
            self.assets_offset,
            self.assets_size,
            self.manifest_offset,
            self.manifest_size,
        ) = numbers
        self.checksum = checksum

    @classmethod
    def from_bytes(cls, data: bytes) -> Footer:
        """Read the 64 bytes.

        Raises:
            ArtifactError: For another magic, or another version of the format.
        """
        if data[:8] != _MAGIC:
            raise ArtifactError("invalid magic: expected SMOLPACK")
        version = int.from_bytes(data[8:12], "little")
        if version != _VERSION:
            raise ArtifactError(f"unsupported version: {version}")
        first, second, third, fourth, fifth = (
            int.from_bytes(data[at : at + 8], "little") for at in range(12, 52, 8)
        )
        checksum = int.from_bytes(data[52:56], "little")
        return cls((first, second, third, fourth, fifth), checksum)

    def to_bytes(self) -> bytes:
        """Write the 64 bytes."""
        numbers = (
            self.stub_size,
            self.assets_offset,
            self.assets_size,
            self.manifest_offset,
            self.manifest_size,
        )
        return (
            _MAGIC
            + _VERSION.to_bytes(4, "little")
            + b"".join([number.to_bytes(8, "little") for number in numbers])
            + self.checksum.to_bytes(4, "little")
            + bytes(8)
        )


def sidecar_of(program: str) -> str:
    """Return the path of the artifact that belongs to a packed program."""
    return program.rstrip("/") + SUFFIX


def read_footer(path: str) -> Footer:
    """Read where the parts of the artifact at `path` lie, and check it against the file's size.

    Raises:
        ArtifactError: For what is no artifact, or a broken one.
    """
    try:
        # Not `open`, which refuses a folder: the real one opens it, and what seeking and reading in
        # it gives is the file system's affair (0.8.0: EISDIR on ext4, EINVAL on tmpfs).
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(file).st_size
            if size < FOOTER_SIZE:
                raise ArtifactError("I/O error: sidecar file too small to contain footer")
            os.lseek(file, -FOOTER_SIZE, os.SEEK_END)
            footer = Footer.from_bytes(os.read(file, FOOTER_SIZE))
        finally:
            os.close(file)
    except OSError as error:
        raise ArtifactError(f"I/O error: {os_error_text(error)}") from None
    problem = _out_of_bounds(footer, size)
    if problem:
        raise ArtifactError(f"I/O error: {problem}")
    return footer


def _out_of_bounds(footer: Footer, size: int) -> str:
    if footer.manifest_size > _MANIFEST_LIMIT:
        return (
            f"manifest size ({footer.manifest_size} bytes)"
            f" exceeds maximum ({_MANIFEST_LIMIT} bytes)"
        )
    if footer.assets_size + footer.manifest_size + FOOTER_SIZE > size:
        return "footer sizes exceed file size (corrupt or truncated sidecar)"
    if footer.assets_offset == 0 and footer.manifest_offset != footer.assets_size:
        return (
            f"sidecar manifest_offset ({footer.manifest_offset}) does not match"
            f" assets_size ({footer.assets_size}): corrupt footer"
        )
    if footer.manifest_offset + footer.manifest_size + FOOTER_SIZE > size:
        return "manifest offset/size exceeds file bounds"
    return ""


def read_manifest(path: str) -> Manifest:
    """Read what the artifact at `path` says of itself.

    Raises:
        ArtifactError: For what is no artifact, or a broken one.
    """
    footer = read_footer(path)
    try:
        with open(path, "rb") as file:
            file.seek(footer.manifest_offset)
            written = file.read(footer.manifest_size)
    except OSError as error:
        raise ArtifactError(f"I/O error: {os_error_text(error)}") from None
    return Manifest.from_json(written)


def checksum_holds(path: str, footer: Footer) -> bool:
    """Tell whether assets and manifest are those that the footer was written for."""
    from zlib import crc32

    left = footer.assets_size + footer.manifest_size
    checksum = 0
    with open(path, "rb") as file:
        while left and (data := file.read(min(left, _CHUNK))):
            checksum = crc32(data, checksum)
            left -= len(data)
    return checksum == footer.checksum


def write_artifact(path: str, manifest: Manifest, assets: bytes, *, program: bytes = b"") -> Footer:
    """Write an artifact; after a `program`, the one-file kind.

    Raises:
        OSError: If it cannot be written.
    """
    from zlib import crc32

    packed = stored_frame(assets)
    written = manifest.to_json()
    start = len(program)
    footer = Footer(
        (start, start, len(packed), start + len(packed), len(written)),
        crc32(written, crc32(packed)),
    )
    with open(path, "wb") as file:
        file.write(program + packed + written + footer.to_bytes())
    return footer
