"""Writes the little TOML that cassettes and scenarios are made of; `tomllib` reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

LINE_WIDTH = 100
_ESCAPES = {"\\": "\\\\", "\b": "\\b", "\f": "\\f", "\r": "\\r"}
_FIRST_PRINTABLE = 0x20
_DELETE = 0x7F


def string(text: str) -> str:
    """Write a string, one of several lines as such.

    Raises UnicodeEncodeError for one that UTF-8 cannot hold.
    """
    text.encode()
    escaped = "".join([_character(character) for character in text])
    if "\n" in text:
        return '"""\n' + escaped.replace('"""', '""\\"') + _closing(escaped)
    return '"' + escaped.replace('"', '\\"').replace("\t", "\\t") + '"'


def value(item: Any) -> str:
    """Write a string, number, boolean, list or (inline) table."""
    if isinstance(item, str):
        return string(item)
    if isinstance(item, bool):
        return str(item).lower()
    if isinstance(item, int | float):
        return repr(item)
    if isinstance(item, dict):
        return "{" + ", ".join(f"{key} = {value(part)}" for key, part in item.items()) + "}"
    return array([value(part) for part in item])


def array(parts: Sequence[str]) -> str:
    """Write an array of values that are written already: on one line if it fits."""
    line = f"[{', '.join(parts)}]"
    if len(line) <= LINE_WIDTH and "\n" not in line:
        return line
    return "[\n" + "".join(f"  {part},\n" for part in parts) + "]"


def table(name: str, items: Mapping[str, Any]) -> str:
    """Write one element of an array of tables."""
    lines = [f"[[{name}]]", *(f"{key} = {value(item)}" for key, item in items.items())]
    return "\n".join(lines) + "\n"


def _character(character: str) -> str:
    code = ord(character)
    if character in _ESCAPES:
        return _ESCAPES[character]
    if (code < _FIRST_PRINTABLE and character not in "\n\t") or code == _DELETE:
        return f"\\u{code:04X}"
    return character


def _closing(escaped: str) -> str:
    # A quote right before the closing ones would be taken for one of them.
    return '\\\n"""' if escaped.endswith('"') else '"""'
