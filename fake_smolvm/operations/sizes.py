"""Sizes as smolvm prints them."""

from __future__ import annotations


def readable(size: int) -> str:
    """Write a number of bytes as `format_bytes` of 0.8.0 does: `1.5 GB`, `42.0 MB`, `17 B`."""
    for exponent, unit in ((30, "GB"), (20, "MB"), (10, "KB")):
        if size >> exponent:
            return f"{size / (1 << exponent):.1f} {unit}"
    return f"{size} B"
