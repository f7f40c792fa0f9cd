"""What is wrong with an artifact, and how much one may grow."""

from __future__ import annotations

from fake_smolvm.errors import LimitError

GROWTH_LIMIT = 128 * 1024 * 1024
"""Bytes that an artifact may unpack to beyond its own size."""


class ArtifactError(Exception):
    """A file is no artifact, or a broken one; the text is the real one's, without its context."""


def too_large(size: int) -> LimitError:
    """Refuse an artifact that unpacks to `size` bytes."""
    return LimitError(
        f"an artifact that unpacks to {size} bytes, over {GROWTH_LIMIT} more than it has: refused"
    )
