from __future__ import annotations

import io
import json
import os
import tarfile
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest

from fake_smolvm.artifacts.cache import Cache
from fake_smolvm.artifacts.errors import GROWTH_LIMIT, ArtifactError
from fake_smolvm.artifacts.format import (
    Footer,
    checksum_holds,
    read_footer,
    read_manifest,
    write_artifact,
)
from fake_smolvm.artifacts.manifest import Manifest
from fake_smolvm.artifacts.root import fill_root
from fake_smolvm.artifacts.tar import make_tar, unpack
from fake_smolvm.artifacts.zstd import stored_frame
from fake_smolvm.errors import LimitError
from fake_smolvm.machines.paths import Paths

if TYPE_CHECKING:
    from pathlib import Path

LAYER = "layers/aaaaaaaaaaaa.tar"


def manifest(**fields: Any) -> Manifest:
    layer = {"digest": "sha256:" + "a" * 64, "path": LAYER, "size": 0}
    agent = {"path": "agent-rootfs.tar", "size": 0}
    return Manifest(
        {
            "image": "alpine",
            "digest": "none",
            "platform": "linux/amd64",
            "cpus": 2,
            "mem": 512,
            "host_platform": "linux/amd64",
            "created": "2026-11-24T01:11:58Z",
            "smolvm_version": "0.8.0",
            "assets": {"libraries": [], "agent_rootfs": agent, "layers": [layer]},
            **fields,
        }
    )


def written(path: Path, layer: bytes) -> str:
    write_artifact(str(path), manifest(), make_tar([(LAYER, layer)]))
    return str(path)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths({"HOME": str(tmp_path / "home")})
    found.make_state()
    return found


def test_what_was_written_is_read_back(tmp_path: Path, paths: Paths) -> None:
    source = tmp_path / "source"
    (source / "etc").mkdir(parents=True)
    (source / "etc/motd").write_text("hello")
    (source / "run.sh").write_text("exit 0")
    (source / "run.sh").chmod(0o755)
    (source / "link").symlink_to("etc/motd")
    members = [(name, str(source / name)) for name in sorted(os.listdir(source))]
    path = written(tmp_path / "a.smolmachine", make_tar(members))

    footer = read_footer(path)
    assert checksum_holds(path, footer)
    found = read_manifest(path)
    assert (found.image, found.cpus, found.mem, found.mode) == ("alpine", 2, 512, "container")
    cache = Cache(paths)
    assert cache.add(path, footer)
    assert not cache.add(path, footer), "unpacked a second time"
    fill_root(cache.entry(footer), found, str(tmp_path / "root"))
    assert (tmp_path / "root/link").read_text() == "hello"
    assert os.access(tmp_path / "root/run.sh", os.X_OK)


def broken(data: bytes, how: str) -> bytes:
    manifest_at = Footer.from_bytes(data[-64:]).manifest_offset
    match how:
        case "empty":
            return b""
        case "another magic":
            return data[:-64] + b"x" * 64
        case "another version":
            return data[:-56] + (2).to_bytes(4, "little") + data[-52:]
        case "head cut off":
            return data[10:]
        case "not JSON":
            return data[:manifest_at] + b"[" + data[manifest_at + 1 :]
    raise AssertionError(how)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("empty", "I/O error: sidecar file too small to contain footer"),
        ("another magic", "invalid magic: expected SMOLPACK"),
        ("another version", "unsupported version: 2"),
        ("head cut off", "I/O error: footer sizes exceed file size (corrupt or truncated sidecar)"),
        ("not JSON", "JSON error: "),
    ],
)
def test_a_broken_file_is_refused_in_the_real_ones_words(
    tmp_path: Path, how: str, says: str
) -> None:
    path = tmp_path / "a.smolmachine"
    written(path, b"")
    path.write_bytes(broken(path.read_bytes(), how))
    with pytest.raises(ArtifactError) as refused:
        read_manifest(str(path))
    assert str(refused.value).startswith(says)


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ((0, 0, 0, 0, 1 << 25), "manifest size (33554432 bytes) exceeds maximum (16777216 bytes)"),
        ((0, 0, 1 << 63, 1 << 63, 0), "footer sizes exceed file size"),
        ((0, 0, 5, 4, 0), "sidecar manifest_offset (4) does not match assets_size (5)"),
        ((0, 7, 5, 99, 2), "manifest offset/size exceeds file bounds"),
    ],
)
def test_the_sizes_in_a_file_are_not_trusted(
    tmp_path: Path, numbers: tuple[int, int, int, int, int], says: str
) -> None:
    path = tmp_path / "a.smolmachine"
    path.write_bytes(bytes(10) + Footer(numbers, 0).to_bytes())
    with pytest.raises(ArtifactError, match="I/O error: ") as refused:
        read_footer(str(path))
    assert says in str(refused.value)


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    return info


def tar(*members: tarfile.TarInfo) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for info in members:
            archive.addfile(info)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([member("../up")], "tar entry '../up' escapes"),
        ([member("/abs")], "tar entry '/abs' escapes"),
        ([member("a/../../up")], "tar entry 'a/../../up' escapes"),
        ([member("l", tarfile.SYMTYPE, "../../up")], "tar symlink 'l' -> '../../up' escapes"),
        ([member("h", tarfile.LNKTYPE, "../up")], "tar hardlink 'h' escapes"),
    ],
)
def test_no_member_of_a_layer_gets_outside(
    tmp_path: Path, paths: Paths, members: list[tarfile.TarInfo], says: str
) -> None:
    path = written(tmp_path / "a.smolmachine", tar(*members))
    cache = Cache(paths)
    footer = read_footer(path)
    with pytest.raises(ArtifactError) as refused:
        cache.add(path, footer)
    assert says in str(refused.value)
    assert not cache.holds(footer)
    assert not os.path.exists(cache.entry(footer)), "something half done is left"


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "root"
    root.mkdir()
    # An absolute link is the guest's own business; writing through it is not.
    planted = member("door", tarfile.SYMTYPE, str(outside))
    planted_tar = io.BytesIO(tar(planted, member("door/in"), member("pipe", tarfile.FIFOTYPE)))
    unpack(planted_tar, str(root), str(root))
    assert not any(outside.iterdir())
    assert (root / "door/in").is_file()
    assert not (root / "pipe").exists()


@pytest.mark.parametrize("linked", ["layers", LAYER, "overlay.raw"])
def test_an_asset_that_is_a_link_is_nothing(tmp_path: Path, paths: Paths, linked: str) -> None:
    # The host's own archive must neither be unpacked where it lies nor get into the guest.
    secret = tmp_path / "host"
    secret.mkdir()
    (secret / "aaaaaaaaaaaa.tar").write_bytes(tar(member("secret")))
    target = secret if linked == "layers" else secret / "aaaaaaaaaaaa.tar"
    path = str(tmp_path / "a.smolmachine")
    write_artifact(path, manifest(), tar(member(linked, tarfile.SYMTYPE, str(target))))
    footer = read_footer(path)
    cache = Cache(paths)
    cache.add(path, footer)
    root = tmp_path / "root"
    fill_root(cache.entry(footer), manifest(), str(root))
    assert not any(root.iterdir())
    assert [entry.name for entry in secret.iterdir()] == ["aaaaaaaaaaaa.tar"]


STORED, REPEATED, RESERVED = 0, 1, 3


def frame(*blocks: tuple[int, int, bytes], header: bytes = b"\xc0\x38", size: int = -1) -> bytes:
    """Make a zstd frame of (kind, length, content); a block of one kind may be many."""
    said = sum(length for _, length, _ in blocks) if size < 0 else size
    made = [b"\x28\xb5\x2f\xfd", header, said.to_bytes(8, "little")]
    for number, (kind, length, content) in enumerate(blocks, 1):
        last = number == len(blocks)
        made += [(last | kind << 1 | length << 3).to_bytes(3, "little"), content]
    return b"".join(made)


def packed(path: Path, assets: bytes, **fields: Any) -> str:
    text = manifest(**fields).to_json()
    footer = Footer((0, 0, len(assets), len(assets), len(text)), crc32(assets + text))
    path.write_bytes(assets + text + footer.to_bytes())
    return str(path)


ZEROS = (REPEATED, 128 << 10, b"\0")


@pytest.mark.parametrize(
    ("assets", "says"),
    [
        (b"", "incomplete frame"),
        (b"xxxx", "Unknown frame descriptor"),
        (frame((STORED, 5, b"hello"))[:-2], "incomplete frame"),
        (frame((STORED, 5, b"hello"), header=b"\xc8\x38"), "Unsupported frame parameter"),
        (frame((REPEATED, 2**21 - 1, b"\0")), "Data corruption detected"),
        (frame((RESERVED, 5, b"hello")), "Data corruption detected"),
        (frame((STORED, 5, b"hello"), size=4), "Destination buffer is too small"),
        (frame((STORED, 5, b"hello"), size=6), "Data corruption detected"),
        (
            frame(*[ZEROS] * 1100, header=b"\xe0"),
            "Frame requires too much memory for decoding",
        ),
    ],
)
def test_a_frame_that_is_none_is_refused_in_zstds_words(
    tmp_path: Path, paths: Paths, assets: bytes, says: str
) -> None:
    # Each asked of the real 0.8.0, on 2026-11-25.
    path = packed(tmp_path / "a.smolmachine", assets)
    with pytest.raises(ArtifactError) as refused:
        Cache(paths).add(path, read_footer(path))
    assert str(refused.value) == says
    assert not list((tmp_path / "home").rglob("*.tar"))


def sparse(size: int) -> bytes:
    header = bytearray(tar(member("s"))[:512])
    header[156:157] = b"S"
    header[483:495] = b"%011o\0" % size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(1024)


@pytest.mark.parametrize(
    "assets",
    [
        frame(*[ZEROS] * 1100),
        frame(*[ZEROS] * 100_000),
        stored_frame(sparse(8**11 - 1)),
        stored_frame(make_tar([(LAYER, sparse(8**11 - 1))])),
    ],
    ids=["144 MB", "13 GB", "a sparse file", "a sparse file in a layer"],
)
def test_what_unpacks_to_far_more_than_it_is_is_refused(
    tmp_path: Path, paths: Paths, assets: bytes
) -> None:
    path = packed(tmp_path / "a.smolmachine", assets)
    footer = read_footer(path)
    with pytest.raises(LimitError, match=f"over {GROWTH_LIMIT} more than it has"):
        Cache(paths).add(path, footer)
    assert not os.path.exists(Cache(paths).entry(footer))


def damaged(header: slice, value: bytes) -> bytes:
    data = bytearray(make_tar([("a", b"x" * 600), ("b", b"y" * 600)]))
    data[header] = value
    return bytes(data)


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        (damaged(slice(0, 1), b"z"), "archive header checksum mismatch"),
        (damaged(slice(1536, 1537), b"z"), "archive header checksum mismatch"),
        (damaged(slice(700, None), b""), "failed to unpack 'a': failed to unpack `"),
        (tar(member("x" * 300)), "failed to unpack 'xxx"),
        (tar(member("d/" * 3000)), "failed to unpack 'd/d/"),
        (b"garbage" * 200, "failed to read entire block"),
        (tar(member("y" * 200))[:1024] * 2000, "failed to read entire block"),
    ],
    ids=["first", "second", "cut", "long", "deep", "garbage", "endless names"],
)
def test_a_tar_that_is_broken_says_so(
    tmp_path: Path, paths: Paths, layer: bytes, says: str
) -> None:
    path = packed(tmp_path / "a.smolmachine", stored_frame(layer))
    with pytest.raises(ArtifactError) as refused:
        Cache(paths).add(path, read_footer(path))
    assert str(refused.value).startswith(says)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"workdir": "/a\0b"}, "invalid type: `workdir`"),
        ({"cpus": 256}, "invalid type: `cpus`, expected u8"),
        ({"image": "\ud800"}, "lone leading surrogate"),
        ({"assets": {"layers": [5]}}, "invalid type: `assets`"),
        ({"assets": {"layers": [{}]}}, "missing field `digest`"),
        ({"assets": {"layers": [{"digest": "d", "path": 5, "size": 1}]}}, "invalid type: `path`"),
    ],
)
def test_a_manifest_is_checked_whole(fields: dict[str, Any], says: str) -> None:
    text = json.dumps(json.loads(manifest().to_json()) | fields).encode()
    with pytest.raises(ArtifactError, match="JSON error: ") as refused:
        Manifest.from_json(text)
    assert says in str(refused.value)


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"cpus": ' + b"9" * 5000 + b"}", b'{"a": NaN}'])
def test_a_manifest_that_python_does_not_read_is_refused(text: bytes) -> None:
    with pytest.raises(ArtifactError, match="JSON error: "):
        Manifest.from_json(text)


def test_a_frame_of_the_real_one_is_recognised_without_its_contents(
    tmp_path: Path, paths: Paths
) -> None:
    # One block of type 2, compressed: what it holds does not matter.
    frame = b"\x28\xb5\x2f\xfd\x20\x05" + (1 | 2 << 1 | 3 << 3).to_bytes(3, "little") + b"abc"
    text = manifest().to_json()
    footer = Footer((0, 0, len(frame), len(frame), len(text)), crc32(frame + text))
    path = tmp_path / "real.smolmachine"
    path.write_bytes(frame + text + footer.to_bytes())
    assert read_manifest(str(path)).image == "alpine"
    assert Cache(paths).add(str(path), footer)
