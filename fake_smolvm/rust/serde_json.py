"""JSON read as Rust's serde_json reads a struct, with its words for what is wrong."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_SPACE = " \t\n\r"


class JsonError(ValueError):
    """A text is not the JSON of the struct that was wanted; its argument says why."""


def read_struct(data: bytes, name: str, required: Iterable[str]) -> dict[str, Any]:
    """Read the JSON object that stands for the struct `name`; fields it does not know are allowed.

    Raises:
        JsonError: For what is no such object, with the first `required` field that is missing.
    """
    text = data.decode("utf-8", "surrogateescape")
    start = len(text) - len(text.lstrip(_SPACE))
    try:
        value, end = json.JSONDecoder(parse_constant=_no_constant).raw_decode(text, start)
        json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except json.JSONDecodeError as error:
        at_end = error.pos >= len(text)
        problem = "EOF while parsing a value" if at_end else "expected value"
        raise JsonError(f"{problem} {_where(text, error.pos + (not at_end))}") from None
    except RecursionError:
        raise JsonError("recursion limit exceeded") from None
    except UnicodeEncodeError:
        raise JsonError("lone leading surrogate in hex escape") from None
    except ValueError:
        raise JsonError("number out of range") from None
    if not isinstance(value, dict):
        raise JsonError(f"invalid type: expected struct {name} {_where(text, end)}")
    for field in required:
        if field not in value:
            raise JsonError(f"missing field `{field}` {_where(text, end)}")
    rest = text[end:].lstrip(_SPACE)
    if rest:
        raise JsonError(f"trailing characters {_where(text, len(text) - len(rest) + 1)}")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _where(text: str, end: int) -> str:
    """Name the place of the last character before `end`, both counted from 1."""
    before = text[:end]
    column = len(before[before.rfind("\n") + 1 :].encode("utf-8", "surrogateescape"))
    return f"at line {before.count(chr(10)) + 1} column {column}"
