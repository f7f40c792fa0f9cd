"""Tar archives: packed, and unpacked without ever leaving the folder they are unpacked into."""

from __future__ import annotations

import os
from errno import EDQUOT, EFBIG, ENAMETOOLONG, ENOSPC

from fake_smolvm.artifacts.errors import GROWTH_LIMIT, ArtifactError, too_large

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tarfile import TarFile, TarInfo
    from typing import BinaryIO

_BLOCK = 512
_DEEPEST = 500
"""Folders that a member of an archive may lie in, one inside the other."""
_CHUNK = 1024 * 1024


def make_tar(members: list[tuple[str, str | bytes]]) -> bytes:
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


def unpack(tar: BinaryIO, folder: str, shown: str) -> None:
    """Unpack a tar into `folder`, never outside it; nothing at all is an empty one.

    Links are made as they are but never followed; devices are left out. `shown` is what the folder
    is called in a message.

    Raises:
        ArtifactError: For a broken tar, and for a member that would lie, or point, outside.
        LimitError: For one that unpacks to far more than it is.
    """
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
                    raise too_large(size + GROWTH_LIMIT - left)
                _unpack_told(members, member, os.path.realpath(folder), shown)
            tar.seek(members.offset)
            if tar.read(_BLOCK).strip(b"\0"):
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
        if os.path.isfile(linked) and not passes_a_link(folder, linked):
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
        if not is_within(folder, os.path.join(folder, base, target.lstrip("/"))):
            raise ArtifactError(f"tar symlink '{name}' -> '{target}' {escapes}")
    elif member.islnk() and not is_within(folder, os.path.join(folder, target)):
        raise ArtifactError(f"tar hardlink '{name}' {escapes}")
    if not is_within(folder, os.path.join(folder, name)):
        raise ArtifactError(f"tar entry '{name}' {escapes}")


def is_within(folder: str, path: str) -> bool:
    """Tell whether a path, its `..` resolved, is a folder or below it."""
    return f"{os.path.normpath(path)}/".startswith(f"{folder}/")


def passes_a_link(folder: str, path: str) -> bool:
    """Tell whether something on the way from `folder` to `path`, or `path` itself, is a link."""
    while path != folder:
        if os.path.islink(path):
            return True
        path = os.path.dirname(path)
    return False


def is_own_file(path: str) -> bool:
    """Tell whether there is a file, and not a link to one that may be the host's."""
    return os.path.isfile(path) and not os.path.islink(path)


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
