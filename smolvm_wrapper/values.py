"""Small values, and `Generic`, for classes that type checkers know more about than Python has to.

`dataclasses` would cost more to import than all of this package, and `typing` as much as everything
else that a client is made of.
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


__all__ = ["Generic", "Value"]


class Value:
    """Compared and shown by what it holds, and never changed.

    `__init__` of a subclass fills `vars(self)`.
    """

    def __setattr__(self, name: str, _: object) -> None:
        raise AttributeError(f"{name!r} of a {type(self).__name__} cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{name!r} of a {type(self).__name__} cannot be taken away")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, Value):
            return NotImplemented
        return self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash(self._compared())

    def __repr__(self) -> str:
        held = ", ".join(f"{name}={one!r}" for name, one in vars(self).items())
        return f"{type(self).__name__}({held})"

    def _compared(self) -> tuple[object, ...]:
        return tuple(vars(self).values())
