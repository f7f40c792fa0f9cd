"""Modules that few command lines need, loaded when the first attribute of one is asked for."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class LazyModule:
    """Stands for a module until something of it is used.

    Where a type checker looks, the module itself is to be imported instead (`TYPE_CHECKING`).
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        # Also where it is there: another thread may be in the middle of it, and is waited for.
        __import__(self._name)
        return getattr(sys.modules[self._name], attribute)
