"""Executables that run the fake."""

from __future__ import annotations

import shlex
import sys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

_SHEBANG_BYTES = 120
"""No shebang longer than this: old kernels cut one off after 127 bytes."""
_EXECUTABLE = 0o755


def install(directory: str | Path) -> Path:
    """Put an executable named `smolvm`, which is the fake, into `directory`; give its path.

    The directory is made if need be; what is called `smolvm` there is replaced. It keeps working as
    long as this interpreter and this installation of fake_smolvm stay where they are.

    Raises OSError if it cannot be written.
    """
    path = Path(directory) / "smolvm"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_executable(path, "from fake_smolvm.entry import main\nsys.exit(main())\n")
    return path


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
    path.unlink(missing_ok=True)
    path.write_text(shebang + script, encoding="utf-8", errors="surrogateescape")
    path.chmod(_EXECUTABLE)


@lru_cache
def _import_path() -> list[str]:
    """Give the folders that fake_smolvm and bashkit are in."""
    folders = [Path(__file__).resolve().parents[1]]
    bashkit = find_spec("bashkit")
    if bashkit is not None and bashkit.origin is not None:
        folders.append(Path(bashkit.origin).resolve().parents[1])
    return [str(folder) for folder in dict.fromkeys(folders)]
