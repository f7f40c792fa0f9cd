"""`Generic`, for classes that type checkers are to know more about than Python has to.

Importing `typing` would cost as much as everything else that a client is made of.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Generic
else:

    class Generic:
        """At run time `Command[bool]` is `Command`."""

        def __class_getitem__(cls, _: object) -> type:
            return cls


__all__ = ["Generic"]
