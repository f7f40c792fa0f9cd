"""smolvm's own log, which goes to stderr between what its commands say."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def warning(env: Mapping[str, str], text: str, field: str = "", value: object = "") -> str:
    """Return a warning's line, coloured even where there is no terminal, but not with `NO_COLOR`.

    Both are so in 0.8.0, asked on 2026-11-25; its recorder had set `NO_COLOR`.
    """
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    if env.get("NO_COLOR"):
        line = f"{moment}.{nanoseconds // 1000:06}Z  WARN {text}"
        return f"{line} {field}={value}\n" if field else f"{line}\n"
    line = f"\x1b[2m{moment}.{nanoseconds // 1000:06}Z\x1b[0m \x1b[33m WARN\x1b[0m {text}"
    return f"{line} \x1b[3m{field}\x1b[0m\x1b[2m=\x1b[0m{value}\n" if field else f"{line}\n"
