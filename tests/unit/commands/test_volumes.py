"""Volumes: what is mounted read-only stays as it is, and a mount is a border."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Fake, Said

REFUSED = "Read-only file system"
EVERY_WAY = {
    "echo a > /ro/new": "sh: can't create /ro/new",
    "echo a >> /ro/inside": "sh: can't create /ro/inside",
    ": > /ro/sub/../inside": "sh: can't create /ro/sub/../inside",
    "echo a > /tmp/to-ro": "sh: can't create /tmp/to-ro",
    "cat /etc/passwd > /ro/new": "sh: can't create /ro/new",
    "cp /etc/passwd /ro/new": "cp: can't create '/ro/new'",
    "cp /etc/passwd /tmp/to-ro": "cp: can't create '/tmp/to-ro'",
    "cp -r /root /ro/": "cp: can't create directory '/ro/root'",
    "mv /tmp/file /ro/": "mv: can't create '/ro/file'",
    "mv /ro/inside /ro/other": "mv: can't rename '/ro/inside'",
    "mv /ro/inside /tmp/": "mv: can't remove '/ro/inside'",
    "ln /etc/passwd /ro/hard": "ln: /ro/hard",
    "ln -s nowhere /ro/soft": "ln: /ro/soft",
    "ln -sf nowhere /ro/inside": "ln: /ro/inside",
    "mkdir /ro/new": "mkdir: can't create directory '/ro/new'",
    "mkdir -p /ro/new/newer": "mkdir: can't create directory '/ro/new/newer'",
    "rm /ro/inside": "rm: can't remove '/ro/inside'",
    "rm -f /ro/inside": "rm: can't remove '/ro/inside'",
    "cd /ro; rm inside": "rm: can't remove 'inside'",
    "rmdir /ro/empty": "rmdir: '/ro/empty'",
    "touch /ro/new": "touch: /ro/new",
    "touch /ro/inside": "touch: /ro/inside",
    "chmod 600 /ro/inside": "chmod: /ro/inside",
    "chown 1 /ro/inside": "chown: /ro/inside",
    "echo a | tee /ro/inside": "tee: /ro/inside",
    "sed -i s/p/q/ /ro/inside": "sed: can't create temp file '/ro/insideXXXXXX'",
    "install /etc/passwd /ro/new": "install: can't create '/ro/new'",
    "truncate -s 0 /ro/inside": "truncate: /ro/inside: open",
    "dd if=/etc/passwd of=/ro/new": "dd: can't open '/ro/new'",
    "dd if=/dev/zero of=/ro/inside count=1": "dd: can't open '/ro/inside'",
    "find /ro -name inside -delete": "find: /ro/inside",
    "find /ro -name inside -exec rm {} +": "rm: can't remove '/ro/inside'",
    "echo /ro/inside | xargs rm -f": "rm: can't remove '/ro/inside'",
    "eval 'rm -f /ro/inside'": "rm: can't remove '/ro/inside'",
    "/bin/rm -f /ro/inside": "rm: can't remove '/ro/inside'",
    "unlink /ro/inside": "unlink: can't remove file '/ro/inside'",
    "cd /ro; tar xf /ro/packed.tar": "fake_smolvm: the guest's shell stopped here",
    "gunzip /ro/packed.gz": "fake_smolvm: the guest's shell stopped here",
    "umount /ro; mount -o remount,rw /ro; rm /ro/inside": "rm: can't remove '/ro/inside'",
}


class Box:
    """A running machine with a volume that it may write and one that it may not."""

    def __init__(self, fake: Fake) -> None:
        self.fake = fake
        self.ro, self.rw = fake.home / "ro", fake.home / "rw"
        for folder in (self.ro, self.rw, self.ro / "sub", self.ro / "empty"):
            folder.mkdir()
        (self.ro / "inside").write_text("precious\n")
        volumes = ("-v", f"{self.ro}:/ro:ro", "-v", f"{self.rw}:/rw")
        assert fake("machine", "create", "box", *volumes).code == 0
        assert fake("machine", "start", "--name", "box").code == 0

    def __call__(self, *argv: str, stdin: bytes = b"") -> Said:
        return self.fake("machine", "exec", "-i", "--name", "box", "--", *argv, stdin=stdin)

    def sh(self, script: str) -> Said:
        return self.fake("machine", "exec", "--name", "box", "--", "sh", "-c", script)

    def seen(self) -> dict[str, bytes]:
        """Return what the host has in the read-only volume."""
        return {
            str(path.relative_to(self.ro)): path.read_bytes() if path.is_file() else b""
            for path in sorted(self.ro.rglob("*"))
            if not path.is_symlink()
        }


@pytest.fixture
def box(fake: Fake) -> Box:
    return Box(fake)


def test_a_read_only_volume_refuses_every_way(box: Box) -> None:
    box.sh("cd /tmp; echo f > file; tar cf /rw/packed.tar file; ln -s /ro/inside to-ro")
    box.sh("echo x > /rw/packed; gzip /rw/packed")
    for name in ("packed.tar", "packed.gz"):
        (box.rw / name).rename(box.ro / name)
    before = box.seen()
    for script, words in EVERY_WAY.items():
        said = box.sh(script)
        assert f"{words}: {REFUSED}" in said.err, script
        assert said.code != 0, script
        assert box.seen() == before, script


@pytest.mark.parametrize(
    ("argv", "stdin"),
    [
        (["dd", "if=/etc/passwd", "of=/ro/new"], b""),
        (["dd", "of=/ro/inside", "status=none"], b"bad"),
        (["sh", "-c", "cat > /ro/new"], b"bad"),
        (["ln", "-sf", "nowhere", "/ro/inside"], b""),
        (["rm", "-rf", "/ro"], b""),
        (["tee", "/ro/new"], b"bad"),
    ],
)
def test_so_does_it_without_a_shell(box: Box, argv: list[str], stdin: bytes) -> None:
    before = box.seen()
    said = box(*argv, stdin=stdin)
    assert REFUSED in said.err
    assert said.code == 1
    assert box.seen() == before


def test_what_is_sent_into_a_read_only_volume_is_refused(box: Box) -> None:
    (box.fake.cwd / "file").write_text("bad")
    box.sh("ln -s /ro /srv/link")
    for place in ("/ro/new", "/ro/inside", "/ro/sub/new", "/srv/link/inside"):
        said = box.fake("machine", "cp", "file", f"box:{place}")
        assert said.err.endswith(f"{REFUSED} (os error 30)\n")
    assert set(box.seen()) == {"inside", "sub", "empty"}


def test_a_hard_link_does_not_cross_a_mount(box: Box) -> None:
    for script in ("ln /ro/inside /tmp/link", "ln /rw/own /tmp/link", "ln /etc/passwd /rw/link"):
        (box.rw / "own").write_text("own")
        said = box.sh(script)
        place = script.rpartition(" ")[2]
        assert (said.code, said.err) == (1, f"ln: {place}: Cross-device link\n")
    assert box.sh("ln /rw/own /rw/same && cat /rw/same").out == "own"
    assert box.sh("echo bad | dd of=/tmp/link; cat /ro/inside").out == "precious\n"


def test_what_is_moved_across_a_mount_is_copied_and_removed(box: Box) -> None:
    box.sh("mkdir -p /root/d/e; echo f > /root/d/e/f; ln -s e /root/d/link; mv /root/d /rw/")
    assert (box.rw / "d/e/f").read_text() == "f\n"
    assert os.readlink(box.rw / "d/link") == "e"
    assert box.sh("ls /root; mv /rw/d /tmp/; cat /tmp/d/link/f; ls /rw").out == "f\n"


@pytest.mark.parametrize(
    "script", ["rm -rf /rw", "rmdir /rw", "mv /rw /tmp/", "mv /ro /tmp/", "find /rw -delete"]
)
def test_the_folder_of_a_volume_stays(box: Box, script: str) -> None:
    box.sh(script)
    assert box.rw.is_dir()
    assert box.ro.is_dir()
    assert box.sh("echo on > /rw/on; cat /rw/on").out == "on\n"


def test_a_volume_whose_folder_is_gone_is_empty(box: Box) -> None:
    box.rw.rmdir()
    assert box.sh("ls /rw; echo here").out == "here\n"
    assert box.sh("echo a > /rw/a").code == 1
    assert not box.rw.exists()


def test_the_innermost_volume_decides(fake: Fake) -> None:
    outer, inner = fake.home / "outer", fake.home / "inner"
    (outer / "sub").mkdir(parents=True)
    inner.mkdir()
    fake("machine", "create", "box", "-v", f"{outer}:/v:ro", "-v", f"{inner}:/v/sub")
    fake("machine", "start", "--name", "box")
    execute = ("machine", "exec", "--name", "box", "--", "sh", "-c")
    assert fake(*execute, "echo in > /v/sub/f; cat /v/sub/f").out == "in\n"
    (fake.cwd / "file").write_text("sent")
    assert fake("machine", "cp", "file", "box:/v/sub/g").code == 0
    assert fake("machine", "cp", "file", "box:/v/g").code == 1
    assert fake(*execute, "ln /v/sub/f /v/hard").err == f"ln: /v/hard: {REFUSED}\n"
    assert sorted(os.listdir(inner)) == ["f", "g"]
    assert not os.listdir(outer / "sub")


def test_a_link_in_a_volume_leads_into_the_guest(box: Box, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the host's own")
    (box.rw / "absolute").symlink_to("/etc/hostname")
    (box.rw / "up").symlink_to("../" * 30 + "etc/hostname")
    (box.rw / "host").symlink_to(secret)
    assert box.sh("cat /rw/absolute /rw/up; head -1 /rw/up | cat").out == "localhost\n" * 3
    said = box.sh("cat /rw/host; echo bad > /rw/host; cp /etc/hostname /rw/host")
    assert "the host's own" not in said.out
    box.fake("machine", "cp", "box:/rw/host", "got")
    assert not (box.fake.cwd / "got").exists()
    assert secret.read_text() == "the host's own"
