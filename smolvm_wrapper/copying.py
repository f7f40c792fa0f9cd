"""Host files, made safe to hand to `smolvm machine cp`.

Two names that are made up stand in argvs. A download goes to `.smolvm-<16 hexadecimal digits>.part`
in the folder of its target; a host path with a `:` in it is `<temporary folder>/smolvm-<8 of a-z,
0-9 and _>/file`. Recordings know them by these forms, so they stay as they are.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from smolvm_wrapper.errors import SmolvmError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def without_colon(path: str) -> Iterator[str]:
    """A name for the same file without a `:`, at which smolvm would split it (H10)."""
    if ":" not in path:
        yield path
        return
    with TemporaryDirectory(prefix="smolvm-") as folder:
        alias = Path(folder, "file")
        if ":" in str(alias):
            raise UsageError(f"{path!r} has a ':', and so has any other name it could be given")
        alias.symlink_to(Path(path).absolute())
        yield str(alias)


@contextmanager
def replaced_on_success(path: str) -> Iterator[str]:
    """A new file beside the target, which takes its place (and mode) if all goes well (H4).

    What is no place for a new file, such as a folder, a device or a path whose folder is missing,
    is handed on as it is: nothing can be destroyed there.
    """
    target = Path(os.path.realpath(path))
    special = os.path.lexists(target) and not target.is_file()
    if special or path.endswith("/") or not target.parent.is_dir():
        yield path
        return
    new = target.with_name(f".smolvm-{os.urandom(8).hex()}.part")
    try:
        yield str(new)
        if not new.is_file():
            raise SmolvmError(f"smolvm copied to {path!r} without an error, and wrote nothing")
        with suppress(FileNotFoundError):
            shutil.copymode(target, new)
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)
