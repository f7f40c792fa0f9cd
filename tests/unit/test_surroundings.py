"""What the world around the fake may refuse: a home, a disk, files, permissions.

The texts are those of the real 0.8.0, asked on 2026-11-25 under the same conditions.
"""

from __future__ import annotations

import compileall
import os
import resource
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.fake import run_here

import fake_smolvm
from fake_smolvm.install import install

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534


def smolvm(
    env: dict[str, str], *argv: str, limits: dict[int, int] | None = None, stdout: int | None = None
) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        for what, most in (limits or {}).items():
            resource.setrlimit(what, (most, most))

    return subprocess.run(
        [Path(env["HOME"]) / "smolvm", *argv],
        env={"PATH": "/usr/bin:/bin", **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
        check=False,
    )


FROM_STORE = "database operation failed: create directory: {}"
FROM_DATA = "io operation failed: {}"
OF_MACHINES = (
    ["machine", "ls"],
    ["machine", "create", "box"],
    ["machine", "start"],
    ["config", "show"],
)
OF_DATA = ["machine", "status"], ["machine", "exec", "--", "true"], ["config", "registries", "init"]


def in_process(env: dict[str, str], *argv: str) -> tuple[int, str, str]:
    return run_here(env, *argv).text


@pytest.mark.parametrize(
    ("argv", "text"),
    [(argv, FROM_STORE) for argv in OF_MACHINES] + [(argv, FROM_DATA) for argv in OF_DATA],
    ids=" ".join,
)
def test_a_home_that_cannot_be(argv: list[str], text: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for home, reason in (
        (str(tmp_path / "file"), "Not a directory (os error 20)"),
        (str(tmp_path / "file/below"), "Not a directory (os error 20)"),
        ("/dev/null", "Not a directory (os error 20)"),
        ("/proc/nope", "No such file or directory (os error 2)"),
    ):
        for variable in ("HOME", "FAKE_SMOLVM_HOME"):
            said = in_process({variable: home}, *argv)
            assert said == (1, "", f"Error: {text.format(reason)}\n"), (variable, home)


@pytest.fixture
def as_nobody(tmp_path: Path) -> Iterator[Path]:
    """A home whose owner is somebody else."""
    home = tmp_path / "home"
    in_process({"HOME": str(home)}, "machine", "create", "box")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o011 == 0:
            folder.chmod(0o755)
    yield home
    home.chmod(0o755)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(
    ("mode", "store", "text"),
    [
        (0o700, 0o600, "database operation failed: create directory: Permission denied"),
        (0o755, 0o600, "database not available: open database: unable to open database file: "),
        (0o755, 0o644, "configure pragmas: attempt to write a readonly database"),
    ],
)
def test_another_users_machines(as_nobody: Path, mode: int, store: int, text: str) -> None:
    state = as_nobody / ".fake_smolvm"
    as_nobody.chmod(mode)
    state.chmod(0o755)
    (state / "machines.db").chmod(store)
    os.seteuid(NOBODY)
    try:
        said = in_process({"HOME": str(as_nobody)}, "machine", "ls")
    finally:
        os.seteuid(0)
    assert said[:2] == (1, "")
    assert text in said[2]


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)
    nowhere = "could not determine local data directory"
    for argv, code, text in (
        ("machine ls", 1, f"Error: database not available: {nowhere}\n"),
        (
            "machine status",
            1,
            "Error: storage operation failed: resolve path: could not determine data directory\n",
        ),
        (
            "config registries path",
            1,
            "Error: config operation failed: resolve path: no home directory found\n",
        ),
        ("config registries show", 0, "No registries configured.\n"),
        ("machine data-dir m1", 0, "/tmp/smolvm/vms/ca0df2c95aa144c1\n"),  # noqa: S108
    ):
        said = in_process({}, *argv.split())
        assert said == ((code, text, "") if code == 0 else (code, "", text)), argv


LIFE = """
machine ls
machine create more
machine update box --cpus 3
machine start --name box
machine exec --name box -- sh -c "echo hello > /root/f"
machine cp {note} box:/root/note
machine stop --name box
machine delete -f box
pack create --image alpine -o {note}.pack
machine create new --from {pack}
machine run -- true
config registries init
""".strip().splitlines()


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = tmp_path_factory.mktemp("lived")
    # Python compiles what it imports, and where a file may not be long it leaves half of one.
    compileall.compile_dir(os.path.dirname(fake_smolvm.__file__), quiet=1)
    install(home)
    (home / "note").write_text("note" * 5000)
    env = {"HOME": str(home)}
    for argv in (
        ["machine", "create", "box"],
        ["machine", "create", "bax"],
        ["machine", "start", "--name", "bax"],
        ["machine", "stop", "--name", "bax"],
        ["pack", "create", "--image", "alpine", "-o", str(home / "p")],
    ):
        assert smolvm(env, *argv).returncode == 0
    return env


@pytest.mark.parametrize(
    "limits",
    [
        {resource.RLIMIT_FSIZE: 0},
        {resource.RLIMIT_FSIZE: 40},
        {resource.RLIMIT_FSIZE: 3000},
        *({resource.RLIMIT_NOFILE: most} for most in range(4, 9)),
    ],
    ids=str,
)
def test_too_little_of_something_is_one_sentence(
    lived: dict[str, str], limits: dict[int, int]
) -> None:
    import shlex

    home = lived["HOME"]
    for line in LIFE:
        argv = shlex.split(line.format(note=f"{home}/note", pack=f"{home}/p.smolmachine"))
        done = smolvm(lived, *argv, limits=limits)
        told = f"{line}: {done.returncode} {done.stderr}"
        assert "Traceback" not in done.stderr, told
        assert done.returncode in (0, 1, 2), told
        assert done.returncode == 0 or done.stderr.strip(), told
    assert smolvm(lived, "machine", "ls").returncode == 0, "the store is whole"


def test_a_guest_without_its_shell_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = {"HOME": str(tmp_path)}
    for line in ("machine create box", "machine start --name box"):
        assert in_process(env, *line.split())[0] == 0
    monkeypatch.setattr("fake_smolvm.guest.bashkit.native._MODULE", "bashkit.there_is_none")
    code, out, err = in_process(
        env, *["machine", "exec", "--name", "box", "--", "sh", "-c", "true"]
    )
    assert (code, out) == (1, "")
    assert err.startswith("fake_smolvm: bashkit is not installed; ")
    assert err.endswith("pip install 'smolvm-wrapper[testing]'\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has a full device")
@pytest.mark.parametrize(
    ("argv", "code"),
    [(["machine", "ls"], 101), (["machine", "data-dir", "x"], 101), (["--help"], 101)],
)
def test_an_output_that_takes_nothing(lived: dict[str, str], argv: list[str], code: int) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        done = smolvm(lived, *argv, stdout=full)
    finally:
        os.close(full)
    assert done.returncode == code
    assert done.stderr == (
        "fake_smolvm: failed printing to stdout: No space left on device (os error 28)\n"
    )
