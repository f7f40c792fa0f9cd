"""The fixtures that are alive, whosever they are: kept apart, as each run of pytest loads this."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from fake_smolvm.harness.verdicts.life import Life

LIVES: list[Life] = []
"""The fixtures that are alive, the newest last."""


def lives_of(config: pytest.Config) -> list[Life]:
    """Return the fixtures of this run that are alive, the newest last."""
    return [life for life in LIVES if life.config is config]
