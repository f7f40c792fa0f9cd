"""Files in and out of a machine: what 0.8.0 refuses, and that nothing reaches outside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fake_smolvm.machines.copying import CopyError, download, upload
from fake_smolvm.machines.tree import GuestTree


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
