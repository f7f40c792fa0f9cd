"""JSON in and out without importing `json` (which pulls in `re`), for the fake's start-up."""

from __future__ import annotations

from _json import encode_basestring, encode_basestring_ascii, make_scanner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class _Settings:
    """What `json.JSONDecoder` hands to the C scanner."""

    strict = False
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


_scan = make_scanner(_Settings)  # type: ignore[arg-type] # any object with these attributes will do


def loads(text: str) -> Any:
    """Read one JSON document.

    Raises ValueError when `text` is not exactly one document (spaces around it are allowed).
    """
    start = len(text) - len(text.lstrip(" \t\r\n"))
    try:
        value, end = _scanned(text, start)
    except StopIteration as stop:
        raise ValueError(f"not a JSON document from character {stop.value} on") from None
    except RecursionError:
        raise ValueError("a JSON document that is nested too deeply") from None
    if text[end:].strip(" \t\r\n"):
        raise ValueError(f"more than one JSON document, the second at character {end}")
    return value


def _scanned(text: str, start: int) -> tuple[Any, int]:
    try:
        return _scan(text, start)
    except SystemError:
        # Until it is imported, the error that the scanner means to raise is not there.
        import json.decoder  # noqa: F401

        return _scan(text, start)


def dumps(value: Any, indent: int | None = None) -> str:
    """Write `value` as serde_json does: no spaces at all, or one item a line with `indent`."""
    return _write(value, "" if indent is None else "\n", " " * (indent or 0))


def dumps_line(value: Any) -> bytes:
    """Write `value` as one line of a journal: ASCII, so that no reader sees another line's end."""
    text = dumps(value)
    if not text.isascii():
        text = "".join(
            [
                letter if letter.isascii() else encode_basestring_ascii(letter)[1:-1]
                for letter in text
            ]
        )
    return text.encode() + b"\n"


def _write(value: Any, newline: str, step: str) -> str:
    plain = _PLAIN.get(type(value))
    if plain is not None:
        return plain(value)
    inner = newline + step if newline else ""
    if isinstance(value, dict):
        opening, closing = "{", "}"
        colon = ": " if newline else ":"
        items = [
            encode_basestring(key)
            + colon
            + (plain(item) if (plain := _PLAIN.get(type(item))) else _write(item, inner, step))
            for key, item in value.items()
        ]
    else:
        opening, closing = "[", "]"
        items = [_write(item, inner, step) for item in value]
    if not items:
        return opening + closing
    return f"{opening}{inner}{f',{inner}'.join(items)}{newline}{closing}"


_PLAIN: dict[type, Callable[[Any], str]] = {
    str: encode_basestring,
    int: repr,
    float: repr,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
}
