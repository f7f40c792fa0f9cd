"""The `.smolmachine` file: reading a real one or ours, and writing ours in the same shape.

A file is ``[assets: a tar in a zstd frame][manifest: JSON][footer: 64 bytes]``. Ours is a true one
(the real 0.8.0 reads its manifest and unpacks it) but small: the frame's blocks are stored, not
compressed, and the layers hold what the fake's guests hold, not an operating system. Of a real
file the manifest is used; its compressed layers cannot be read here and count as empty.

Nothing a file says is trusted: sizes are checked against the file's own, no member of an archive is
written outside the folder it is unpacked into, and what is unpacked is at most `GROWTH_LIMIT` more
than the file has: a frame may say "a thousand zeros" in four bytes, and a sparse file far more.
"""

from __future__ import annotations

import os
from errno import EDQUOT, EFBIG, ENAMETOOLONG, ENOSPC

from fake_smolvm.errors import CommandError, LimitError
from fake_smolvm.fastjson import dumps, loads
from fake_smolvm.guest.root import make_folder
from fake_smolvm.machines.paths import os_error_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from tarfile import TarFile, TarInfo
    from typing import Any, BinaryIO

    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.record import Record

SUFFIX = ".smolmachine"
FOOTER_SIZE = 64
LAYERS = "layers"
OVERLAY = "overlay.raw"
"""Name of the asset that holds a bare machine's disk; in ours it is a tar of the root folder."""

GROWTH_LIMIT = 128 * 1024 * 1024
"""Bytes that an artifact may unpack to beyond its own size."""

_MAGIC = b"SMOLPACK"
_VERSION = 1
_MANIFEST_LIMIT = 16 * 1024 * 1024
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_BLOCK_LIMIT = 128 * 1024
_ZSTD_WINDOW_LIMIT = 128 * 1024 * 1024
_TAR_BLOCK = 512
_DEEPEST = 500
"""Folders that a member of an archive may lie in, one inside the other."""
_ZSTD_HEADER_LIMIT = 18
_STORED, _REPEATED, _COMPRESSED = 0, 1, 2
_LIBS_MAGIC = b"SMOLLIBS"
_CHUNK = 1024 * 1024
_CACHE = "smolvm-pack"
_EXTRACTED = ".smolvm-extracted"


class ArtifactError(Exception):
    """A file is no artifact, or a broken one; the text is the real one's, without its context."""


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

        Raises ArtifactError for another magic or another version of the format.
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

        Raises ArtifactError for what is not JSON, lacks a field, or has one of another type.
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
    """Give the platform that an artifact packed on this host runs on."""
    system = "darwin" if os.uname().sysname == "Darwin" else "linux"
    return f"{system}/{_architecture()}"


def guest_platform() -> str:
    """Give the platform of the guests that run on this host."""
    return f"linux/{_architecture()}"


def _architecture() -> str:
    return "arm64" if os.uname().machine in ("arm64", "aarch64") else "amd64"


def sidecar_of(program: str) -> str:
    """Give the path of the artifact that belongs to a packed program."""
    return program.rstrip("/") + SUFFIX


def read_footer(path: str) -> Footer:
    """Read where the parts of the artifact at `path` lie, and check it against the file's size.

    Raises ArtifactError.
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

    Raises ArtifactError.
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


def write(path: str, manifest: Manifest, assets: bytes, *, program: bytes = b"") -> Footer:
    """Write an artifact; after a `program`, the one-file kind.

    Raises OSError.
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


def program() -> bytes:
    """Give what starts a packed program: a shell script that hands over to `fake_smolvm.packed`.

    What is appended to it is never read as a script: the hand-over has no return.
    """
    import sys

    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code = (
        f"import sys; sys.path.append({here!r}); "
        "from fake_smolvm.packed import main; sys.exit(main())"
    )
    words = " ".join([_quoted(word) for word in (sys.executable, "-I", "-c", code)])
    return f'#!/bin/sh\n# A packed machine, made by fake_smolvm.\nexec {words} "$0" "$@"\n'.encode(
        "utf-8", "surrogateescape"
    )


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def with_libs(program: bytes) -> bytes:
    """Append the runtime libraries, of which there are none, as a packed program has them."""
    libs = stored_frame(b"")
    where = len(program).to_bytes(8, "little") + len(libs).to_bytes(8, "little")
    return program + libs + _LIBS_MAGIC + _VERSION.to_bytes(4, "little") + where + bytes(4)


class RealSizes:
    """How large the parts of a real artifact are, in bytes, before a guest's own files."""

    __slots__ = ("assets", "program")

    def __init__(self, version: str) -> None:
        """Look a smolvm version up; an unknown one is taken to be as large as the last known."""
        with open(os.path.join(os.path.dirname(__file__), "releases.json"), "rb") as file:
            releases = loads(file.read().decode())
        sizes = releases.get(version) or list(releases.values())[-1]
        self.program: int = sizes["program_bytes"]
        self.assets: int = sizes["assets_bytes"]


def stored_frame(data: bytes) -> bytes:
    """Put `data` into a zstd frame of stored blocks."""
    # A window of one block, so that a frame of any size can be read block by block.
    parts = [_ZSTD_MAGIC, b"\xc0\x38", len(data).to_bytes(8, "little")]
    for start in range(0, len(data) or 1, _ZSTD_BLOCK_LIMIT):
        block = data[start : start + _ZSTD_BLOCK_LIMIT]
        last = start + _ZSTD_BLOCK_LIMIT >= len(data)
        parts.append((last | _STORED << 1 | len(block) << 3).to_bytes(3, "little"))
        parts.append(block)
    return b"".join(parts)


def _unframed(file: BinaryIO, size: int, unpacked: str) -> BinaryIO | None:
    """Unpack the frame of `size` bytes that `file` stands at into a file called `unpacked`.

    Returns that file, open and without its name; None if the frame's blocks are compressed.

    Raises ArtifactError, with zstd's words, if it is no whole frame, and LimitError if it is one
    that grows beyond all measure.
    """
    start = file.tell()
    declared, window = _read_frame_header(file, size)
    blocks = file.tell()
    total = stored = 0
    for kind, length in _blocks(file, start + size):
        if kind == _COMPRESSED:
            return None
        if kind not in (_STORED, _REPEATED) or length > _ZSTD_BLOCK_LIMIT:
            raise ArtifactError("Data corruption detected")
        total += length
        stored += length if kind == _STORED else 1
        if declared is not None and total > declared:
            raise ArtifactError("Destination buffer is too small")
    if declared not in (None, total):
        raise ArtifactError("Data corruption detected")
    if window > _ZSTD_WINDOW_LIMIT:
        raise ArtifactError("Frame requires too much memory for decoding")
    if total > stored + GROWTH_LIMIT:
        raise _too_large(total)
    tar = open(unpacked, "w+b")  # noqa: SIM115 - the caller closes it
    try:
        os.unlink(unpacked)
        file.seek(blocks)
        for kind, length in _blocks(file, start + size):
            file.seek(-length if kind == _STORED else -1, os.SEEK_CUR)
            tar.write(file.read(length) if kind == _STORED else file.read(1) * length)
        tar.seek(0)
    except BaseException:
        tar.close()
        raise
    return tar


def _too_large(size: int) -> LimitError:
    return LimitError(
        f"an artifact that unpacks to {size} bytes, over {GROWTH_LIMIT} more than it has: refused"
    )


def _read_frame_header(file: BinaryIO, size: int) -> tuple[int | None, int]:
    """Read up to the first block; give the size of the contents, if told, and of the window."""
    header = file.read(min(size, _ZSTD_HEADER_LIMIT))
    if header[:4] != _ZSTD_MAGIC[: len(header)]:
        raise ArtifactError("Unknown frame descriptor")
    if len(header) < 5:  # noqa: PLR2004 - magic and descriptor
        raise ArtifactError("incomplete frame")
    descriptor = header[4]
    if descriptor & 8:
        raise ArtifactError("Unsupported frame parameter")
    one_segment = descriptor >> 5 & 1
    size_flag = descriptor >> 6
    at = 5 + (not one_segment) + (0, 1, 2, 4)[descriptor & 3]
    length = (one_segment, 2, 4, 8)[size_flag]
    if at + length > len(header):
        raise ArtifactError("incomplete frame")
    declared = None
    if length:
        # A size in two bytes is counted from 256 on.
        declared = int.from_bytes(header[at : at + length], "little") + (256 * (length == 2))  # noqa: PLR2004
    exponent, mantissa = header[5] >> 3, header[5] & 7
    window = declared or 0 if one_segment else (1 << 10 + exponent) * (8 + mantissa) // 8
    file.seek(at + length - len(header), os.SEEK_CUR)
    return declared, window


def _blocks(file: BinaryIO, end: int) -> Iterator[tuple[int, int]]:
    """Give each block's kind and length; the file then stands behind it.

    Raises ArtifactError for blocks that do not end before `end`.
    """
    last = False
    while not last:
        header = int.from_bytes(file.read(3), "little")
        last, kind, length = bool(header & 1), header >> 1 & 3, header >> 3
        there = file.seek(1 if kind == _REPEATED else length, os.SEEK_CUR)
        if there > end and kind <= _COMPRESSED:
            raise ArtifactError("incomplete frame")
        yield kind, length


class Cache:
    """The unpacked assets of artifacts, one folder for each checksum."""

    __slots__ = ("folder", "shown_folder")

    def __init__(self, paths: Paths) -> None:
        self.folder = os.path.join(paths.state, _CACHE)
        """Where they really lie."""
        self.shown_folder = os.path.join(paths.shown_cache_dir(), _CACHE)
        """Where 0.8.0 would have put, and says it put, them."""

    def entry(self, footer: Footer) -> str:
        """Give the folder of one artifact's assets; it need not exist."""
        return os.path.join(self.folder, f"{footer.checksum:08x}")

    def holds(self, footer: Footer) -> bool:
        """Tell whether an artifact's assets are all there."""
        return os.path.exists(os.path.join(self.entry(footer), _EXTRACTED))

    def add(
        self, path: str, footer: Footer, *, force: bool = False, inside_program: bool = False
    ) -> bool:
        """Unpack the assets of the artifact at `path`; `force` does so again if they are there.

        `inside_program`: they stand where the footer says, not at the start of the file.
        Processes that do so at the same time wait for each other. Returns whether it did unpack.
        Raises ArtifactError, and leaves nothing half done, if they cannot be unpacked.
        """
        if self.holds(footer) and not force:
            return False
        from fcntl import LOCK_EX, flock
        from shutil import rmtree

        entry = self.entry(footer)
        os.makedirs(self.folder, exist_ok=True)
        lock = os.open(f"{entry}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            flock(lock, LOCK_EX)
            if self.holds(footer) and not force:
                return False
            rmtree(entry, ignore_errors=True)
            try:
                os.mkdir(entry)
                self._unpack(path, footer, inside_program=inside_program)
                with open(os.path.join(entry, _EXTRACTED), "xb"):
                    pass
            except BaseException as error:
                rmtree(entry, ignore_errors=True)
                if isinstance(error, OSError):
                    raise ArtifactError(os_error_text(error)) from None
                raise
        finally:
            os.close(lock)
        return True

    def _unpack(self, path: str, footer: Footer, *, inside_program: bool) -> None:
        entry = self.entry(footer)
        shown = os.path.join(self.shown_folder, os.path.basename(entry))
        with open(path, "rb") as file:
            file.seek(footer.assets_offset if inside_program else 0)
            tar = _unframed(file, footer.assets_size, f"{entry}.tar")
        if tar is not None:
            with tar:
                _unpack(tar, entry, shown)
        layers = os.path.join(entry, LAYERS)
        if os.path.isdir(layers) and not os.path.islink(layers):
            for name in os.listdir(layers):
                _unpack_layer(layers, name, os.path.join(shown, LAYERS))


def _unpack_layer(layers: str, name: str, shown: str) -> None:
    path = os.path.join(layers, name)
    folder, extension = os.path.splitext(path)
    if extension == ".tar" and _is_own_file(path) and not os.path.lexists(folder):
        os.mkdir(folder)
        with open(path, "rb") as file:
            _unpack(file, folder, os.path.join(shown, os.path.basename(folder)))


def _is_own_file(path: str) -> bool:
    """Tell whether there is a file, and not a link to one that may be the host's."""
    return os.path.isfile(path) and not os.path.islink(path)


def pack(members: list[tuple[str, str | bytes]]) -> bytes:
    """Make a tar of (name, content): bytes, or the path of a file or folder."""
    import tarfile
    from io import BytesIO

    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in members:
            if isinstance(content, str):
                tar.add(content, arcname=name, filter=_without_devices)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, BytesIO(content))
    return packed.getvalue()


def _without_devices(info: TarInfo) -> TarInfo | None:
    return None if info.isdev() else info


def unpack(tar: bytes, folder: str) -> None:
    """Unpack a tar into `folder`, never outside it; nothing at all is an empty one.

    Links are made as they are but never followed; devices are left out.

    Raises ArtifactError for a broken tar and for a member that would lie, or point, outside, and
    LimitError for one that unpacks to far more than it is.
    """
    from io import BytesIO

    _unpack(BytesIO(tar), folder, folder)


def _unpack(tar: BinaryIO, folder: str, shown: str) -> None:
    """Unpack a tar; `shown` is what the folder is called in a message."""
    import tarfile

    size = tar.seek(0, os.SEEK_END)
    if not size:
        return
    tar.seek(0)
    try:
        # `tarfile` takes a damaged header in the middle for the end, and may go round in circles.
        with tarfile.open(fileobj=tar, mode="r:") as members:
            left = size + GROWTH_LIMIT
            for member in members:
                left -= member.size if member.isreg() else 0
                if member.size < 0:
                    raise ArtifactError("archive header checksum mismatch")
                if left < 0:
                    raise _too_large(size + GROWTH_LIMIT - left)
                _unpack_told(members, member, os.path.realpath(folder), shown)
            tar.seek(members.offset)
            if tar.read(_TAR_BLOCK).strip(b"\0"):
                raise ArtifactError("archive header checksum mismatch")
    except (tarfile.TarError, ValueError, LookupError, OverflowError, RecursionError) as error:
        is_checksum = "checksum" in str(error)
        raise ArtifactError(
            "archive header checksum mismatch" if is_checksum else "failed to read entire block"
        ) from None


def _unpack_told(members: TarFile, member: TarInfo, folder: str, shown: str) -> None:
    """Unpack a member; a system error, or a file cut short, is told as the real one tells it."""
    import tarfile

    try:
        _unpack_member(members, member, folder)
    except (OSError, tarfile.TarError) as error:
        if isinstance(error, OSError) and error.errno in (ENOSPC, EDQUOT, EFBIG):
            raise
        raise ArtifactError(
            f"failed to unpack '{member.name}': failed to unpack `{shown}/{member.name}`"
        ) from None


def _unpack_member(members: TarFile, member: TarInfo, folder: str) -> None:
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        return
    _check_member(member, folder)
    if member.name.count("/") > _DEEPEST:
        raise OSError(ENAMETOOLONG, "")
    path = os.path.normpath(os.path.join(folder, member.name))
    if path == folder:
        return
    _make_folders(folder, os.path.dirname(path))
    if member.isdir():
        _make_folders(folder, path)
        os.chmod(path, member.mode & 0o777 | 0o700)
        return
    _remove(path)
    if member.issym():
        os.symlink(member.linkname, path)
    elif member.islnk():
        linked = os.path.normpath(os.path.join(folder, member.linkname))
        if os.path.isfile(linked) and not _passes_a_link(folder, linked):
            os.link(linked, path)
    else:
        content = members.extractfile(member)
        with open(path, "xb") as file:
            while content is not None and (data := content.read(_CHUNK)):
                file.write(data)
        os.chmod(path, member.mode & 0o777)


def _check_member(member: TarInfo, folder: str) -> None:
    name, target = member.name, member.linkname
    escapes = "escapes destination directory"
    if member.issym():
        base = "" if target.startswith("/") else os.path.dirname(name)
        if not _is_within(folder, os.path.join(folder, base, target.lstrip("/"))):
            raise ArtifactError(f"tar symlink '{name}' -> '{target}' {escapes}")
    elif member.islnk() and not _is_within(folder, os.path.join(folder, target)):
        raise ArtifactError(f"tar hardlink '{name}' {escapes}")
    if not _is_within(folder, os.path.join(folder, name)):
        raise ArtifactError(f"tar entry '{name}' {escapes}")


def _is_within(folder: str, path: str) -> bool:
    return f"{os.path.normpath(path)}/".startswith(f"{folder}/")


def _passes_a_link(folder: str, path: str) -> bool:
    while path != folder:
        if os.path.islink(path):
            return True
        path = os.path.dirname(path)
    return False


def _make_folders(top: str, folder: str) -> None:
    """Make `folder`, below `top`; a link or file in the way, planted by a member, goes."""
    at = top
    for part in os.path.relpath(folder, top).split("/"):
        at = os.path.normpath(os.path.join(at, part))
        if os.path.islink(at) or not os.path.isdir(at):
            _remove(at)
            os.mkdir(at)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        from shutil import rmtree

        rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


def fill_root(entry: str, manifest: Manifest, root: str) -> None:
    """Lay the layers of an unpacked artifact, or its bare machine's disk, into a guest's root.

    Raises CommandError for a layer that cannot be unpacked.
    """
    os.makedirs(root, exist_ok=True)
    try:
        for asset in (*(layer["path"] for layer in manifest.layers), OVERLAY):
            path = os.path.join(entry, asset)
            if _is_within(entry, path) and not _passes_a_link(entry, path) and _is_own_file(path):
                with open(path, "rb") as file:
                    _unpack(file, root, root)
    except ArtifactError as error:
        raise CommandError(f"agent operation failed: extract sidecar: {error}") from None
    if manifest.workdir is not None:
        # It is in the image; here the layers that hold it may be unreadable.
        make_folder(root, manifest.workdir)


def prepare_start(paths: Paths, record: Record) -> str:
    """Make the machine's artifact ready for its start, and its root on its first start.

    Returns why no container will run in it, empty if one will (0.8.0, vm.jsonl part f2: a pack of
    a bare machine has no layers). Raises CommandError for an artifact that is gone or broken.
    """
    path = record.source_smolmachine
    if path is None:
        return ""
    if not os.path.exists(path):
        raise CommandError(
            f"agent operation failed: start machine: source .smolmachine not found: {path}\n"
            "The file may have been moved or deleted."
        )
    try:
        context = "read sidecar footer"
        footer = read_footer(path)
        context = "extract sidecar"
        cache = Cache(paths)
        cache.add(path, footer)
        manifest = read_manifest(path)
    except ArtifactError as error:
        raise CommandError(f"agent operation failed: {context}: {error}") from None
    unpacked = os.path.join(paths.make_machine_dir(record.name), "unpacked")
    if not os.path.exists(unpacked):
        fill_root(cache.entry(footer), manifest, paths.guest_root(record.name))
        with open(unpacked, "xb"):
            pass
    return "" if manifest.layers else "no layer directories found in /packed_layers"
