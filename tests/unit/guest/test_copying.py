"""Files in and out of a machine: what 0.8.0 refuses, and that nothing reaches outside it."""

from __future__ import annotations

import contextlib
import os
import resource
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fake_smolvm.guest.copying import CopyError, download, upload
from fake_smolvm.guest.tree import GuestTree
from fake_smolvm.machines.removal import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a guest's root folder, with a secret of the host beside it."""
    (tmp_path / "secret").write_text("the host's own")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/motd").write_text("hello\n")
    return root


def put(root: Path, guest_path: str, data: bytes = b"new") -> int:
    source = root.parent / "source"
    source.write_bytes(data)
    return upload(GuestTree(str(root)), str(source), guest_path, "source", lambda _: None)


def get(root: Path, guest_path: str, destination: Path) -> int:
    return download(
        GuestTree(str(root)), guest_path, str(destination), destination.name, lambda _: None
    )


@pytest.mark.parametrize("size", [0, 1, (1 << 20), (1 << 20) + 1, (3 << 20) + 7])
def test_bytes_arrive_unchanged_in_both_directions(root: Path, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    assert put(root, "/new/deep/file", data) == size
    assert get(root, "new/deep/file", tmp_path / "back") == size
    assert (tmp_path / "back").read_bytes() == data
    assert os.listdir(root / "new/deep") == ["file"]


@pytest.mark.parametrize("target", ["../../secret", "../../../../../../secret", "/../secret"])
@pytest.mark.parametrize("folder", [False, True], ids=["file link", "folder link"])
def test_a_link_never_leads_out_of_the_machine(
    root: Path, tmp_path: Path, target: str, *, folder: bool
) -> None:
    link = Path(target).parent if folder else target
    (root / "etc/link").symlink_to(link)
    through = "/etc/link/secret" if folder else "/etc/link"
    with pytest.raises(CopyError, match="No such file or directory"):
        get(root, through, tmp_path / "stolen")
    put(root, through, b"overwritten")
    assert (tmp_path / "secret").read_text() == "the host's own"


def test_an_absolute_link_starts_at_the_guests_root(root: Path, tmp_path: Path) -> None:
    (root / "link").symlink_to("/etc/motd")
    get(root, "/link", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "hello\n"


def test_links_in_a_circle_are_an_error(root: Path, tmp_path: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(CopyError, match=r"failed to open /a: .* \(os error"):
        get(root, "/a", tmp_path / "back")


@pytest.mark.parametrize(
    ("guest_path", "message"),
    [
        ("", "write file: invalid guest path : path is empty"),
        ("/a/../b", "write file: invalid guest path /a/../b: parent traversal is not allowed"),
        ("/etc/", "write file: failed to rename onto /etc/: Not a directory (os error 20)"),
        ("/etc", "write file: failed to rename onto /etc: Is a directory (os error 21)"),
        (
            "/proc/x",
            (
                "write file: failed to write /proc/x.smolvm-upload.1.0: "
                "No such file or directory (os error 2)"
            ),
        ),
    ],
)
def test_an_upload_is_refused_as_recorded(root: Path, guest_path: str, message: str) -> None:
    before = sorted(root.rglob("*"))
    with pytest.raises(CopyError) as refused:
        put(root, guest_path)
    assert str(refused.value) == message
    assert sorted(root.rglob("*")) == before


def test_a_download_that_fails_destroys_the_local_file(root: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("precious")
    with pytest.raises(CopyError, match="failed to open /missing"):
        get(root, "/missing", kept)
    assert not kept.exists()


def test_a_mounted_folder_is_the_hosts_and_may_be_read_only(root: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "data").write_text("from the host")
    tree = GuestTree(str(root), [("/never/used", "/other", False), (str(shared), "/mnt", True)])
    download(tree, "/mnt/data", str(tmp_path / "back"), "back", lambda _: None)
    assert (tmp_path / "back").read_text() == "from the host"
    with pytest.raises(CopyError, match="Read-only file system"):
        upload(tree, str(tmp_path / "back"), "/mnt/data", "back", lambda _: None)


ROUNDS = 400
"""Copies while a folder of the guest is swapped for a link to the host's, and back."""


@pytest.mark.parametrize("swapped", ["etc", "etc/deep"])
def test_a_copy_cannot_be_raced_out_of_the_machine(
    root: Path, tmp_path: Path, swapped: str
) -> None:
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    for folder in (outside, outside / "deep"):
        (folder / "motd").write_text("the host's own")
    (root / "etc/deep").mkdir()
    (root / "etc/deep/motd").write_text("hello\n")
    before = sorted(str(path) for path in outside.rglob("*"))
    place, aside, link = root / swapped, root / "aside", root / "link"
    link.symlink_to(outside if swapped == "etc" else outside / "deep")
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            for source, target in ((place, aside), (link, place), (place, link), (aside, place)):
                if place.is_dir() and not place.is_symlink() and target is place:
                    remove_tree(str(place))  # A copy into the machine has made it anew.
                if source is not place or target is aside or place.is_symlink():
                    with contextlib.suppress(OSError):
                        source.rename(target)

    swapping = threading.Thread(target=swap)
    swapping.start()
    tree = GuestTree(str(root))
    try:
        for _ in range(ROUNDS):
            for what in (get_quietly, put_quietly):
                what(root, "/etc/deep/motd", tmp_path / "got")
            with contextlib.suppress(FileNotFoundError):
                assert "own" not in (tmp_path / "got").read_text()
            with (
                contextlib.suppress(OSError),
                open(tree.open("/etc/deep/motd", os.O_RDONLY)) as file,
            ):
                assert "own" not in file.read()
    finally:
        over.set()
        swapping.join()
    assert sorted(str(path) for path in outside.rglob("*")) == before
    assert {path.read_text() for path in outside.rglob("motd")} == {"the host's own"}


def get_quietly(root: Path, guest_path: str, destination: Path) -> None:
    with contextlib.suppress(CopyError):
        get(root, guest_path, destination)


def put_quietly(root: Path, guest_path: str, _: Path) -> None:
    with contextlib.suppress(CopyError):
        put(root, guest_path)


@contextlib.contextmanager
def small_files() -> Iterator[None]:
    """Let no file of this process be longer than 1,000 bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def large(root: Path) -> Path:
    """Make a file of 2,000 bytes on the host, and one in the guest."""
    (root / "large").write_bytes(b"x" * 2000)
    large = root.parent / "large"
    large.write_bytes(b"x" * 2000)
    return large


def test_a_disk_that_is_full_is_said(root: Path, large: Path, tmp_path: Path) -> None:
    tree, kept = GuestTree(str(root)), tmp_path / "kept"
    kept.write_text("kept")
    with small_files(), pytest.raises(CopyError, match=r"failed to write /new.*: File too large"):
        upload(tree, str(large), "/new", "large", lambda _: None)
    assert sorted(os.listdir(root)) == ["etc", "large"]
    with small_files(), pytest.raises(CopyError, match="write local file: File too large"):
        get(root, "/large", kept)
    assert not kept.exists()
