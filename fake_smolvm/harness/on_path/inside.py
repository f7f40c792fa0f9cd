"""What keeps a call of `smolvm` in the test's own place, whatever environment it was given."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence

HOME = "home"
"""The folder in a sandbox that is HOME."""


def keep_inside(
    env: MutableMapping[str, str], folder: str, outside: Mapping[str, Sequence[str]]
) -> None:
    """Take out of `env` what leads out of the sandbox in `folder`.

    `outside` says what each variable was before the test began: an environment that was made then,
    or one without HOME, would lead there. A value that the caller chose itself is left alone.
    """
    home = env.get("HOME", "")
    if not home or os.path.normpath(home) in outside["HOME"]:
        env["HOME"] = os.path.join(folder, HOME)
    for name, values in outside.items():
        if name != "HOME" and env.get(name) in values:
            del env[name]
