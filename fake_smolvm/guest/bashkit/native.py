"""bashkit itself: its native module, and what it tells of itself."""

from __future__ import annotations

import _thread
import os
import sys

from fake_smolvm.errors import LimitError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MODULE = "bashkit._bashkit"
_loading = _thread.allocate_lock()
READ_ONLY = "filesystem is read-only"
"""What it says where nothing may be written."""
_CO_COROUTINE = 0x80


def analyze(script: str) -> Any:
    """Return what a script refers to, as bashkit tells it; None if it does not parse."""
    bashkit = load()
    with _analyzing:
        if not _analyzers:
            _analyzers.append(make(profile=bashkit.ExecutionProfile.Interactive))
        try:
            return _analyzers[0].analyze(script)
        except bashkit.BashError:
            return None


def make(**options: Any) -> Any:
    """Make a shell; raise OSError when the system has no room for one."""
    try:
        return load().Bash(**options)
    except RuntimeError as error:
        raise told_by_the_system(error) from None


def told_by_the_system(error: BaseException) -> BaseException:
    """Return the OSError that bashkit tells of in a RuntimeError; any other as it is."""
    number = str(error).rpartition("(os error ")[2].partition(")")[0]
    if isinstance(error, RuntimeError) and number.isdigit():
        return OSError(int(number), os.strerror(int(number)))
    return error


def known_commands() -> frozenset[str]:
    """Return the commands that bashkit has."""
    if not _known:
        bashkit = load()
        with _analyzing:
            shell = make(profile=bashkit.ExecutionProfile.Interactive)
            _known.append(frozenset(shell.execute_sync("compgen -c").stdout.split()))
    return _known[0]


_known: list[frozenset[str]] = []
_analyzing = _thread.allocate_lock()
_analyzers: list[Any] = []


def load() -> Any:
    """Load bashkit's native module alone: its package costs a process more than the rest of us."""
    with _loading:
        module = sys.modules.get(_MODULE)
        if module is not None:
            return module
        from _frozen_importlib_external import PathFinder

        package = PathFinder.find_spec("bashkit")
        spec = package and PathFinder.find_spec(_MODULE, package.submodule_search_locations)
        if spec is None or spec.loader is None:
            raise LimitError(
                "bashkit is not installed; it is the shell of fake_smolvm's guests: "
                "pip install 'smolvm-wrapper[testing]'"
            )
        sys.modules.setdefault("inspect", _Inspect("inspect"))
        module = spec.loader.create_module(spec)
        sys.modules[_MODULE] = module  # type: ignore[assignment]
        spec.loader.exec_module(module)  # type: ignore[arg-type]
    return module


class _Inspect(type(sys)):  # type: ignore[misc]
    """`inspect`, of which bashkit asks two things: importing the real one takes 8 ms.

    Whoever asks for more gets the real one.
    """

    @staticmethod
    def isawaitable(thing: object) -> bool:
        return hasattr(thing, "__await__")

    @staticmethod
    def iscoroutinefunction(thing: object) -> bool:
        code = getattr(thing, "__code__", None)
        return code is not None and bool(code.co_flags & _CO_COROUTINE)

    def __getattr__(self, name: str) -> Any:
        from importlib import import_module

        if sys.modules.get("inspect") is self:
            del sys.modules["inspect"]
        return getattr(import_module("inspect"), name)
