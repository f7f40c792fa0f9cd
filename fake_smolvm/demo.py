"""A machine's whole life on the fake, as a stranger would type it: `python -m fake_smolvm demo`."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from fake_smolvm import variables
from fake_smolvm.install import install

LIFE = (
    ("pack", "create", "--image", "alpine:3.20", "-o", "alpine"),
    ("machine", "create", "--from", "alpine.smolmachine", "-e", "GREETING=hello", "demo"),
    ("machine", "start", "--name", "demo"),
    ("machine", "exec", "--name", "demo", "--", "sh", "-c", 'echo "$GREETING from $(uname -s)"'),
    ("machine", "cp", "note.txt", "demo:/root/note.txt"),
    ("machine", "exec", "--name", "demo", "--", "cat", "/root/note.txt"),
    ("machine", "cp", "demo:/root/note.txt", "copy.txt"),
    ("machine", "ls"),
    ("machine", "stop", "--name", "demo"),
    ("machine", "delete", "-f", "demo"),
)


def run() -> int:
    """Live that life in a temporary folder, showing each argv, what it says and its exit code.

    Returns:
        0 if every command succeeded, else 1.
    """
    with tempfile.TemporaryDirectory(prefix="fake-smolvm-") as folder:
        work = Path(folder)
        smolvm = install(work / "bin")
        (work / "note.txt").write_text("carried in and out\n", encoding="utf-8")
        env = {**os.environ, "HOME": folder, variables.HOME: folder}
        exit_codes = [_show(smolvm, argv, cwd=work, env=env) for argv in LIFE]
    return int(any(exit_codes))


def _show(smolvm: Path, argv: tuple[str, ...], *, cwd: Path, env: dict[str, str]) -> int:
    print(f"$ {shlex.join(['smolvm', *argv])}", flush=True)
    exit_code = subprocess.run([smolvm, *argv], cwd=cwd, env=env, check=False).returncode
    print(f"[exit code {exit_code}]\n", flush=True)
    return exit_code
