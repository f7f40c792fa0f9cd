"""The command lines of smolvm's versions: one data file each (see `fake_smolvm.clap.grammar`)."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from fake_smolvm.clap.grammar import Grammar

DEFAULT_VERSION = "0.8.0"
"""The smolvm that the fake is unless told otherwise."""

_DIRECTORY = os.path.dirname(__file__)
_ENDING = ".json"


def known_versions() -> list[str]:
    """Return the versions there is a grammar of, oldest first."""
    names = [
        name.removesuffix(_ENDING) for name in os.listdir(_DIRECTORY) if name.endswith(_ENDING)
    ]
    return sorted(names, key=lambda name: [int(part) for part in name.split(".")])


def load(version: str, env: Mapping[str, str] | None = None) -> Grammar:
    """Return the grammar of a version; some defaults in it depend on the environment.

    Raises LookupError, naming the known versions, for one there is no grammar of.
    """
    runtime_dir = _runtime_dir(env or {})
    grammar = _loaded.get((version, runtime_dir))
    if grammar is not None:
        return grammar
    if version.strip("0123456789.") or not version:
        raise _unknown(version)
    # Whoever only asks which versions there are needs neither.
    from fake_smolvm.clap.grammar import Grammar
    from fake_smolvm.fastjson import loads

    try:
        with open(f"{_DIRECTORY}/{version}{_ENDING}", encoding="utf-8") as file:
            data = loads(file.read())
    except FileNotFoundError:
        raise _unknown(version) from None
    grammar = _loaded[version, runtime_dir] = Grammar(data, {"runtime_dir": runtime_dir})
    return grammar


_loaded: dict[tuple[str, str], Grammar] = {}
"""In one process, as under the harness, a thousand commands read the data once."""


def _unknown(version: str) -> LookupError:
    known = ", ".join(known_versions())
    return LookupError(f"no smolvm version {version!r} is known to the fake, only {known}")


def _runtime_dir(env: Mapping[str, str]) -> str:
    """Where sockets go: smolvm ignores a directory that is not absolute."""
    directory = env.get("XDG_RUNTIME_DIR", "")
    if not directory.startswith("/"):
        return "/tmp"  # noqa: S108
    readable = directory.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return readable.removesuffix("/")
