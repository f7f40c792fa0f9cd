"""Folders are removed whole: however deep, whatever their modes, and nothing beside them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fake_smolvm.machines.removal import remove_tree

if TYPE_CHECKING:
    from pathlib import Path


def make_deep(folder: Path, depth: int) -> None:
    """Make folders in folders, deeper than a path can be long."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("a-folder-in-a-folder", dir_fd=here)
        there = os.open("a-folder-in-a-folder", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = there
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)


def test_folders_deeper_than_a_path_is_long(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    make_deep(tmp_path / "gone", 1500)
    assert remove_tree(str(tmp_path / "gone"))
    assert not os.listdir(tmp_path)


def test_folders_that_nobody_may_look_into(tmp_path: Path) -> None:
    for number, mode in enumerate((0o000, 0o100, 0o444, 0o555)):
        folder = tmp_path / f"gone/{number}/below"
        folder.mkdir(parents=True)
        (folder / "file").touch()
        folder.chmod(mode)
        folder.parent.chmod(mode)
    pid = os.fork()
    if pid == 0:  # Root may look anywhere.
        code = 1
        try:
            if os.getuid() == 0:
                for path in [tmp_path, *tmp_path.rglob("*")]:
                    os.chown(path, 65534, 65534)
                os.setgroups([])
                os.setgid(65534)
                os.chdir(tmp_path)
                os.setuid(65534)
            code = 0 if remove_tree("gone") else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert not (tmp_path / "gone").exists()


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").write_text("kept")
    (tmp_path / "gone").mkdir()
    for name, target in (("folder", "../kept"), ("file", "../kept/file"), ("loop", "loop")):
        (tmp_path / "gone" / name).symlink_to(target)
    os.mkfifo(tmp_path / "gone/pipe")
    assert remove_tree(str(tmp_path / "gone"))
    assert os.listdir(tmp_path) == ["kept"]
    assert (tmp_path / "kept/file").read_text() == "kept"


def test_what_is_not_there_is_removed_already(tmp_path: Path) -> None:
    assert remove_tree(str(tmp_path / "nothing"))
    assert remove_tree(str(tmp_path / "nothing/below"))


@pytest.mark.parametrize("name", ["file", "link"])
def test_what_is_no_folder_is_removed_too(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    assert remove_tree(str(tmp_path / name))
    assert not os.path.lexists(tmp_path / name)
