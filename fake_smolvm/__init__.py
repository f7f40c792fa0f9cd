"""A stand-in for the `smolvm` binary."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fake_smolvm.compatibility import Verdict, check

__all__ = ["DEFAULT_VERSION", "Verdict", "check"]

DEFAULT_VERSION = "0.8.0"
"""The smolvm that the fake is unless told otherwise."""


def __getattr__(name: str) -> Any:
    # Loaded when asked for: the fake itself starts thousands of times and needs neither.
    if name in __all__:
        from fake_smolvm import compatibility

        return getattr(compatibility, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
