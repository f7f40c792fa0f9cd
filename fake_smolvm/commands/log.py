"""smolvm's own log, which goes to stderr between what its commands say."""

from __future__ import annotations

import time


def warning(text: str, field: str = "", value: object = "") -> str:
    """Give a warning's line, coloured as 0.8.0 colours it even where there is no terminal."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    line = f"\x1b[2m{moment}.{nanoseconds // 1000:06}Z\x1b[0m \x1b[33m WARN\x1b[0m {text}"
    return f"{line} \x1b[3m{field}\x1b[0m\x1b[2m=\x1b[0m{value}\n" if field else f"{line}\n"
