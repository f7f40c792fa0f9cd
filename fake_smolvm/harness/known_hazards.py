"""What there is to walk into or to leave behind, and what of it fails a test."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

LEAK = "leak"
"""A machine that was still there when its test was over."""
PROCESS = "process"
"""A call that was still running when its test was over."""
UNUSED = "unused"
"""The allowance of what nothing met."""


@lru_cache
def known() -> dict[str, dict[str, Any]]:
    """Return what `hazards.json` says of each hazard, by its number."""
    text = (files("fake_smolvm.machines") / "hazards.json").read_text(encoding="utf-8")
    about: dict[str, dict[str, Any]] = json.loads(text)
    return about


def fails(name: str) -> bool:
    """Tell whether a test fails that walks into it, unless it says that it means to."""
    return name in (LEAK, PROCESS) or bool(known().get(name, {}).get("fails"))


def allowances() -> list[str]:
    """Return what `smolvm_allows` may name."""
    return [*known(), LEAK, PROCESS, UNUSED]
