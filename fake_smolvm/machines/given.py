"""The files that a test gives the fake: read whole, checked whole, refused in one sentence.

What is wrong is told with the path, so that whoever wrote the file finds it. Nothing here guesses:
a word that nobody knows is an error.
"""

from __future__ import annotations

import os
from stat import S_ISREG

from fake_smolvm.errors import os_error_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

TEXT = "a text"
TEXT_OR_NULL = "a text or null"
SWITCH = "true or false"
NUMBER = "a whole number, 0 or more"
SECONDS = "a number of seconds, 0 or more"
TEXTS = "a list of texts"
TABLE = "a table of texts"
TABLES = "a list of tables"
ANY_TABLE = "a table"
STATUS = "an HTTP status, 100 to 999"
EXIT_CODE = "an exit code, 0 to 255"


def read_toml(path: str) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ValueError: If it is wrong, with the path and why.
    """
    import tomllib

    return _parsed(path, tomllib.loads)  # type: ignore[no-any-return]


def read_json(path: str) -> Any:
    """Read a JSON file.

    Raises:
        ValueError: If it is wrong, with the path and why.
    """
    from fake_smolvm.fastjson import loads

    return _parsed(path, loads)


def _parsed(path: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(_read(path).decode())
    except OSError as error:
        reason: object = os_error_text(error)
    except UnicodeDecodeError:
        reason = "not UTF-8"
    except RecursionError:
        reason = "nested too deeply"
    except ValueError as error:
        reason = error
    raise ValueError(f"{path}: {reason}")


def _read(path: str) -> bytes:
    # What is no file, a pipe perhaps, is not waited for.
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not S_ISREG(os.fstat(file).st_mode):
            raise ValueError("not a file")
        with open(file, "rb", closefd=False) as stream:
            return stream.read()
    finally:
        os.close(file)


def check(data: object, fields: Mapping[str, str], what: str, required: Iterable[str] = ()) -> None:
    """Check that `data` is a table of `fields`, each of the kind that stands beside its name.

    Raises:
        ValueError: If it is wrong, with `what`, the key, and what may stand there.
    """
    if not isinstance(data, dict):
        raise ValueError(f"{what} is {_shown(data)}, not a table")  # noqa: TRY004 - of a file
    for key, value in data.items():
        if key not in fields:
            raise ValueError(f"{what} has no {key!r}, only {', '.join(fields)}")
        if not _FITS[fields[key]](value):
            raise ValueError(f"{what}: {key} is {_shown(value)}, not {fields[key]}")
    for key in required:
        if key not in data:
            raise ValueError(f"{what} needs {_a(key)}")


def _a(word: str) -> str:
    return f"{'an' if word[0] in 'aei' else 'a'} {word}"


def _shown(value: object) -> str:
    """Show a value in a few words; one may be as long as the file."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


_SHOWN = 60


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_whole(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63


_FITS: dict[str, Callable[[Any], bool]] = {
    TEXT: _is_text,
    TEXT_OR_NULL: lambda value: value is None or isinstance(value, str),
    SWITCH: lambda value: isinstance(value, bool),
    NUMBER: _is_whole,
    ANY_TABLE: lambda value: isinstance(value, dict),
    STATUS: lambda value: _is_whole(value) and 100 <= value < 1000,  # noqa: PLR2004
    EXIT_CODE: lambda value: _is_whole(value) and value < 256,  # noqa: PLR2004
    SECONDS: lambda value: type(value) in (int, float) and 0 <= value <= 86_400,  # noqa: PLR2004
    TEXTS: lambda value: isinstance(value, list) and all(map(_is_text, value)),
    TABLE: lambda value: isinstance(value, dict) and all(map(_is_text, value.values())),
    TABLES: lambda value: isinstance(value, list) and all(isinstance(item, dict) for item in value),
}
