"""The program that a packed machine is started by."""

from __future__ import annotations

import os

from fake_smolvm.artifacts.zstd import stored_frame
from fake_smolvm.fastjson import loads

_LIBS_MAGIC = b"SMOLLIBS"
_LIBS_VERSION = 1


def launcher() -> bytes:
    """Return what starts a packed machine: a shell script that hands over to `fake_smolvm.packed`.

    What is appended to it is never read as a script: the hand-over has no return.
    """
    import sys
    from shlex import join

    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code = (
        f"import sys; sys.path.append({here!r}); "
        "from fake_smolvm.packed import main; sys.exit(main())"
    )
    words = join([sys.executable, "-I", "-c", code])
    return f'#!/bin/sh\n# A packed machine, made by fake_smolvm.\nexec {words} "$0" "$@"\n'.encode(
        "utf-8", "surrogateescape"
    )


def with_libs(program: bytes) -> bytes:
    """Append the runtime libraries, of which there are none, as a packed program has them."""
    libs = stored_frame(b"")
    where = len(program).to_bytes(8, "little") + len(libs).to_bytes(8, "little")
    return program + libs + _LIBS_MAGIC + _LIBS_VERSION.to_bytes(4, "little") + where + bytes(4)


class RealSizes:
    """How large the parts of a real artifact are, in bytes, before a guest's own files."""

    __slots__ = ("assets", "program")

    def __init__(self, version: str) -> None:
        """Look a smolvm version up; an unknown one is taken to be as large as the last known."""
        with open(os.path.join(os.path.dirname(__file__), "releases.json"), "rb") as file:
            releases = loads(file.read().decode())
        sizes = releases.get(version) or list(releases.values())[-1]
        self.program: int = sizes["program_bytes"]
        self.assets: int = sizes["assets_bytes"]
