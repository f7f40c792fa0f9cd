"""Executables that run the fake."""

from __future__ import annotations

import shlex
import sys
import sysconfig
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
    here = str(Path(__file__).resolve().parents[1])
    folders = list(dict.fromkeys([here, sysconfig.get_path("platlib")]))
    script = f"import sys\nsys.path += {folders!r}\n{code}"
    shebang = f"#!{sys.executable} -IS\n"
    if len(shebang.encode()) > _SHEBANG_BYTES or len(sys.executable.split()) != 1:
        python = shlex.quote(sys.executable)
        script = f'exec {python} -IS -c {shlex.quote(script)} "$@"\n'
        shebang = "#!/bin/sh\n"
    path.unlink(missing_ok=True)
    path.write_text(shebang + script, encoding="utf-8", errors="surrogateescape")
    path.chmod(_EXECUTABLE)
