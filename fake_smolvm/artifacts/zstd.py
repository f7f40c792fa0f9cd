"""zstd frames: written of stored blocks, read where no block is compressed."""

from __future__ import annotations

import os

from fake_smolvm.artifacts.errors import GROWTH_LIMIT, ArtifactError, too_large

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_MAGIC = b"\x28\xb5\x2f\xfd"
_BLOCK_LIMIT = 128 * 1024
_WINDOW_LIMIT = 128 * 1024 * 1024
_HEADER_LIMIT = 18
_STORED, _REPEATED, _COMPRESSED = 0, 1, 2


def stored_frame(data: bytes) -> bytes:
    """Put `data` into a zstd frame of stored blocks."""
    # A window of one block, so that a frame of any size can be read block by block.
    parts = [_MAGIC, b"\xc0\x38", len(data).to_bytes(8, "little")]
    for start in range(0, len(data) or 1, _BLOCK_LIMIT):
        block = data[start : start + _BLOCK_LIMIT]
        last = start + _BLOCK_LIMIT >= len(data)
        parts.append((last | _STORED << 1 | len(block) << 3).to_bytes(3, "little"))
        parts.append(block)
    return b"".join(parts)


def unframed(file: BinaryIO, size: int, unpacked: str) -> BinaryIO | None:
    """Unpack the frame of `size` bytes that `file` stands at into a file called `unpacked`.

    Returns:
        That file, open and without its name; None if the frame's blocks are compressed.

    Raises:
        ArtifactError: If it is no whole frame, in zstd's words.
        LimitError: If it grows beyond all measure.
    """
    start = file.tell()
    declared, window = _read_header(file, size)
    blocks = file.tell()
    total = stored = 0
    for kind, length in _blocks(file, start + size):
        if kind == _COMPRESSED:
            return None
        if kind not in (_STORED, _REPEATED) or length > _BLOCK_LIMIT:
            raise ArtifactError("Data corruption detected")
        total += length
        stored += length if kind == _STORED else 1
        if declared is not None and total > declared:
            raise ArtifactError("Destination buffer is too small")
    if declared not in (None, total):
        raise ArtifactError("Data corruption detected")
    if window > _WINDOW_LIMIT:
        raise ArtifactError("Frame requires too much memory for decoding")
    if total > stored + GROWTH_LIMIT:
        raise too_large(total)
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


def _read_header(file: BinaryIO, size: int) -> tuple[int | None, int]:
    """Read up to the first block; return the size of the contents, if told, and of the window."""
    header = file.read(min(size, _HEADER_LIMIT))
    if header[:4] != _MAGIC[: len(header)]:
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
    """Yield each block's kind and length; the file then stands behind it.

    Raises:
        ArtifactError: For blocks that do not end before `end`.
    """
    last = False
    while not last:
        header = int.from_bytes(file.read(3), "little")
        last, kind, length = bool(header & 1), header >> 1 & 3, header >> 3
        there = file.seek(1 if kind == _REPEATED else length, os.SEEK_CUR)
        if there > end and kind <= _COMPRESSED:
            raise ArtifactError("incomplete frame")
        yield kind, length
