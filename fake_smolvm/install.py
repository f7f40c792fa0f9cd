"""Executables that run the fake."""

from __future__ import annotations

import os
import shlex
import sys
from errno import EEXIST
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

_SHEBANG_BYTES = 120
"""No shebang longer than this: old kernels cut one off after 127 bytes."""
_EXECUTABLE = 0o755
_MAIN = "from fake_smolvm.entry import main\nsys.exit(main())\n"
_SCRIPT_BYTES = 65536
"""More than a script of ours has, however many folders it names."""


def install(directory: str | Path) -> Path:
    """Put an executable named `smolvm`, which is the fake, into `directory`; return its path.

    The directory is made if need be; an earlier fake there is replaced. It keeps working as long as
    this interpreter and this installation of fake_smolvm stay where they are.

    Raises OSError if it cannot be written, and if what is called `smolvm` there is not the fake.
    """
    path = Path(directory) / "smolvm"
    path.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(path) and not _is_ours(path):
        raise FileExistsError(EEXIST, "this is not the fake, and stays: remove it first", str(path))
    write_executable(path, _MAIN)
    return path


def _is_ours(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _MAIN.splitlines()[0].encode() in file.read(_SCRIPT_BYTES)


def write_executable(path: Path, code: str) -> None:
    """Write an executable that runs Python `code`, where fake_smolvm and `sys` are at hand.

    It starts as fast as Python can: without `site`, which costs half of the start. The folders that
    `site` would have found are named instead.
    """
    script = f"import sys\nsys.path += {_import_path()!r}\n{code}"
    shebang = f"#!{sys.executable} -IS\n"
    if len(shebang.encode()) > _SHEBANG_BYTES or len(sys.executable.split()) != 1:
        python = shlex.quote(sys.executable)
        script = f'exec {python} -IS -c {shlex.quote(script)} "$@"\n'
        shebang = "#!/bin/sh\n"
    # In one step: what was there stays until the new one is whole.
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_text(shebang + script, encoding="utf-8", errors="surrogateescape")
        fresh.chmod(_EXECUTABLE)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


@lru_cache
def _import_path() -> list[str]:
    """Return the folders that fake_smolvm and bashkit are in."""
    folders = [Path(__file__).resolve().parents[1]]
    bashkit = find_spec("bashkit")
    if bashkit is not None and bashkit.origin is not None:
        folders.append(Path(bashkit.origin).resolve().parents[1])
    return [str(folder) for folder in dict.fromkeys(folders)]
