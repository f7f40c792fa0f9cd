"""Notes which processes this one starts as `smolvm`: some are killed before they can say so."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def watched(executable: Path) -> Iterator[list[int]]:
    """Collect the process ids of `executable`, as this process starts it, in the meantime."""
    found: list[int] = []
    popen = subprocess.Popen
    begin = popen.__init__

    def noted(self: Any, args: Any, *rest: Any, **options: Any) -> None:
        begin(self, args, *rest, **options)
        if not options.get("shell") and _is(executable, options.get("executable") or args, options):
            found.append(self.pid)

    popen.__init__ = noted  # type: ignore[method-assign]
    try:
        yield found
    finally:
        popen.__init__ = begin  # type: ignore[method-assign]


def _is(executable: Path, args: Any, options: dict[str, Any]) -> bool:
    program = args if isinstance(args, str | bytes | os.PathLike) else next(iter(args), "")
    name = os.fsdecode(program)
    if os.path.basename(name) != executable.name:
        return False
    env = options.get("env")
    path = None if env is None else os.fsdecode(env.get("PATH") or env.get(b"PATH") or "")
    return shutil.which(name, path=path) == str(executable)
