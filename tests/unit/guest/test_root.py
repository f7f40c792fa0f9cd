from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fake_smolvm.guest import packages
from fake_smolvm.guest import root as guest_root
from fake_smolvm.guest.bashkit.shown import show_commands

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("planted", ["usr", "bin", "etc", "var", ".smolvm-packages"])
def test_a_link_out_of_the_root_is_not_followed(tmp_path: Path, planted: str) -> None:
    outside = tmp_path / "host"
    outside.mkdir()
    root = tmp_path / "root"
    root.mkdir()
    (root / planted).symlink_to(outside)
    identity = guest_root.load("alpine")
    guest_root.lay_out(str(root), identity)
    show_commands(str(root), identity)
    if planted == ".smolvm-packages":
        with pytest.raises(OSError, match="symbolic link"):
            packages.install(["curl"], str(root))
    else:
        packages.install(["curl"], str(root))
        assert "curl" in packages.with_installed(identity, str(root)).names
    assert not any(outside.rglob("*"))


def test_all_packages_are_installed_or_none(tmp_path: Path) -> None:
    guest_root.lay_out(str(tmp_path), guest_root.load("alpine"))
    with pytest.raises(packages.UnknownPackageError, match="nope"):
        packages.install(["curl", "nope"], str(tmp_path))
    identity = guest_root.load("busybox")
    assert "curl" not in packages.with_installed(identity, str(tmp_path)).names
    assert packages.install(["curl"], str(tmp_path)) == ["curl"]
    assert "curl" in packages.with_installed(identity, str(tmp_path)).names
