"""What the wrapper is given, checked once, where it is given: before any process starts.

An argument's annotation says what it wants, so each method is checked by its own signature. What
comes out is plain: paths as text, lists, a dict. Each mistake is one `UsageError` (a `ValueError`)
that names the argument, what it wants and what it was given, though never the value of a variable.
"""

from __future__ import annotations

import os

from smolvm_wrapper.dialects import version_in
from smolvm_wrapper.durations import WANTED as A_DURATION
from smolvm_wrapper.durations import as_seconds, is_duration
from smolvm_wrapper.errors import UsageError
from smolvm_wrapper.guards import Guards
from smolvm_wrapper.secrets import Secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from smolvm_wrapper.durations import Duration

_LARGEST = 2**64 - 1
_LONGEST_SHOWN = 200


def arguments(
    build: Callable[..., Any], guards: Guards, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call to a method, checked and made plain.

    Raises:
        UsageError: one of them is not what its annotation wants.
        TypeError: there are too many, too few or unknown ones.
    """
    wanted = build.__annotations__
    names = build.__code__.co_varnames[1 : build.__code__.co_argcount]
    optional = names[len(names) - len(build.__defaults__ or ()) :]
    _bind(build, names, optional, len(args), kwargs)

    def check(name: str, given: Any) -> Any:
        kind, _, none = wanted[name].partition(" | ")
        if given is None and none:
            return None
        plain = _KINDS[kind](name, given)
        if not plain and name == "command" and name not in optional:
            raise UsageError("`command` wants a program and its arguments, not nothing")
        if name in _MEANINGS:
            _MEANINGS[name](name, plain, guards)
        return plain

    try:
        return (
            tuple(map(check, names, args)),
            {name: check(name, one) for name, one in kwargs.items()},
        )
    except UsageError as error:
        mistake = str(error)
    raise UsageError(_secrets(kwargs.get("env")).mask(mistake))


def _bind(
    build: Callable[..., Any],
    names: tuple[str, ...],
    optional: tuple[str, ...],
    positional: int,
    kwargs: dict[str, Any],
) -> None:
    """Raise the TypeError that Python raises: an async method asks for the version before it."""
    given = {*names[:positional], *kwargs}
    missing = [name for name in names if name not in given and name not in optional]
    unknown = [name for name in kwargs if name not in build.__annotations__ or name == "return"]
    twice = [name for name in names[:positional] if name in kwargs]
    if positional > len(names):
        problem = f"takes {len(names)} positional arguments but {positional} were given"
    elif unknown:
        problem = f"got an unexpected keyword argument {unknown[0]!r}"
    elif twice:
        problem = f"got multiple values for argument {twice[0]!r}"
    elif missing:
        problem = f"is missing {' and '.join(map(repr, missing))}"
    else:
        return
    raise TypeError(f"{build.__name__}() {problem}")


# --- what a client is made with ---


def binary(given: object) -> str:
    """Return the path or name of a smolvm."""
    return _path("binary", given)


def version(given: object) -> str:
    """Return a version of smolvm, such as "1.4.0"."""
    found = version_in(_text("version", given))
    if found is None:
        _refuse("version", "a version such as '1.4.0'", given)
    return found


def guards_or_all(given: object) -> Guards:
    """Return the guards that were given, or all."""
    if given is None:
        return Guards()
    if not isinstance(given, Guards):
        _refuse("guards", "a Guards(…)", given)
    return given


def host_timeout(given: object) -> float:
    """Return a host timeout in seconds."""
    seconds = as_seconds(_duration("host_timeout", given))
    if not seconds:
        _refuse("host_timeout", "more than 0 seconds (None is no limit)", given)
    return seconds


# --- by annotation ---


def _text(name: str, given: object) -> str:
    if not isinstance(given, str):
        _refuse(name, "text", given)
    if not given and name not in _MAY_BE_EMPTY:
        raise UsageError(f"`{name}` is empty")
    return _plain(name, given)


def _path(name: str, given: object) -> str:
    try:
        path = os.fspath(given)  # type: ignore[call-overload]
    except TypeError:
        path = None
    if not isinstance(path, str):
        _refuse(name, "a path (text or an os.PathLike of text)", given)
    return _text(name, path)


def _whole_number(name: str, given: object) -> int:
    try:
        number: int = given.__index__()  # type: ignore[attr-defined]
    except (AttributeError, TypeError):
        number = -1
    if isinstance(given, bool) or not 0 <= number <= _LARGEST:
        _refuse(name, f"a whole number (0 to {_LARGEST})", given)
    return number


def _flag(name: str, given: object) -> bool:
    if not isinstance(given, bool):
        _refuse(name, "True or False", given)
    return given


def _texts(name: str, given: object) -> list[str]:
    return [_text(f"{name}[{at}]", one) for at, one in enumerate(_listed(name, given))]


def _words(name: str, given: object) -> list[str]:
    """A command: not shown, as it may hold what is secret."""
    not_in_order = isinstance(given, (str, bytes, bytearray, set, frozenset))
    if not_in_order or hasattr(given, "keys") or not hasattr(given, "__iter__"):
        raise UsageError(f"`{name}` wants a list of words, not {_kind(given)}")
    words = list(given)
    for at, one in enumerate(words):
        if not isinstance(one, str):
            raise UsageError(f"`{name}[{at}]` wants text, not {_kind(one)}")
    return [_plain(f"{name}[{at}]", one, show=False) for at, one in enumerate(words)]


def _env(name: str, given: object) -> dict[str, str]:
    try:
        pairs = [(key, given[key]) for key in given.keys()]  # type: ignore[index,attr-defined]  # noqa: SIM118 - any mapping
    except (AttributeError, TypeError):
        raise UsageError(
            f"`{name}` wants a mapping of names to texts, not {_kind(given)}"
        ) from None
    for key, text in pairs:
        if not isinstance(key, str):
            raise UsageError(f"`{name}` wants text for names, not {_kind(key)}")
        if not isinstance(text, str):
            raise UsageError(f"`{name}[{_before_equals(key)!r}]` wants text, not {_kind(text)}")
    return {
        _plain(f"a name in {name}", key, show=False): _plain(
            f"{name}[{_before_equals(key)!r}]", text, show=False
        )
        for key, text in pairs
    }


def _duration(name: str, given: Any) -> Any:
    if not is_duration(given):
        _refuse(name, A_DURATION, given)
    return given


def _guest_duration(name: str, given: Any) -> Any:
    return _text(name, given) if isinstance(given, str) else _duration(name, given)


def _stdin(name: str, given: Any) -> Any:
    wanted = "bytes, a binary file or an iterable of bytes"
    if isinstance(given, (bytes, bytearray, memoryview)):
        return bytes(given)
    if getattr(given, "closed", False):
        raise UsageError(f"`{name}` is a file that is closed")
    if hasattr(given, "fileno") or hasattr(given, "read"):
        readable = getattr(given, "readable", None)
        if readable is not None and not readable():
            raise UsageError(f"`{name}` is a file that is not open for reading")
        # With a descriptor, the child reads it itself: text or not, it is bytes that it gets.
        if hasattr(given, "encoding") and not has_descriptor(given):
            _refuse(name, wanted, given)
        return given
    if isinstance(given, (str, dict)) or not hasattr(given, "__iter__"):
        # What is handed over may be secret.
        raise UsageError(f"`{name}` wants {wanted}, not {_kind(given)}")
    for at, one in enumerate(given if isinstance(given, (list, tuple)) else ()):
        if not isinstance(one, (bytes, bytearray, memoryview)):
            raise UsageError(f"`{name}[{at}]` wants bytes, not {_kind(one)}")
    return given


_KINDS: dict[str, Callable[[str, Any], Any]] = {
    "str": _text,
    "StrPath": _path,
    "int": _whole_number,
    "bool": _flag,
    "Iterable[str]": _texts,
    "Sequence[str]": _words,
    "Env": _env,
    "Duration": _duration,
    "GuestDuration": _guest_duration,
    "Stdin": _stdin,
}
_MAY_BE_EMPTY = ("src", "dst")  # nothing is copied then, and that is a promise


# --- by name: what a guard has a say in ---


def _machine(name: str, given: str, guards: Guards) -> None:
    if guards.option_like_names and given.startswith("-"):
        _refuse(name, "a machine's name, and smolvm would take this for an option", given)


def _operand(name: str, given: str, guards: Guards) -> None:
    if guards.option_like_names and given.startswith("-"):
        _refuse(name, "what smolvm does not take for an option", given)


def _env_keys(name: str, given: dict[str, str], guards: Guards) -> None:
    for key in given if guards.env_keys else ():
        if not key or "=" in key or key.startswith("-"):
            raise UsageError(
                f"`{name}` has a variable {_before_equals(key)!r}: a name is not empty, has no '='"
                " and does not begin with '-'"
            )


def _volumes(name: str, given: list[str], guards: Guards) -> None:
    for text in given if guards.colon_paths else ():
        host, *guest = text.split(":")
        if not host or len(guest) not in (1, 2) or not guest[0] or guest[1:] not in _ACCESS:
            _refuse(name, "'HOST:GUEST' or 'HOST:GUEST:ro', as smolvm splits it at each ':'", text)


def _host_timeout(_: str, given: Duration, __: Guards) -> None:
    host_timeout(given)


_ACCESS: tuple[list[str], ...] = ([], ["ro"], ["rw"])
_MEANINGS: dict[str, Callable[[str, Any, Guards], None]] = {
    "name": _machine,
    "from_vm": _machine,
    "reference": _operand,
    "url": _operand,
    "env": _env_keys,
    "volumes": _volumes,
    "remove_volumes": _volumes,
    "host_timeout": _host_timeout,
}


# --- parts ---


def _secrets(env: Any) -> Secrets:
    values = getattr(env, "values", tuple)
    return Secrets(text for text in values() if isinstance(text, str))


def has_descriptor(source: Any) -> bool:
    """Whether this is a file that a child process can read by itself."""
    try:
        source.fileno()
    except (AttributeError, OSError, ValueError):
        return False
    return True


def _listed(name: str, given: Any) -> list[Any]:
    is_one = isinstance(given, (str, bytes, bytearray)) or not hasattr(given, "__iter__")
    if is_one or hasattr(given, "keys"):
        _refuse(name, "a list of texts", given)
    return list(given)


def _plain(name: str, given: str, *, show: bool = True) -> str:
    """Return a plain str that can be a word of a command line."""
    text = str.__str__(given)
    if "\0" in text:
        wrong = "a NUL character"
    elif _is_encodable(text):
        return text
    else:
        wrong = "half a character (a lone surrogate)"
    given = f": {_shown(text)}" if show else ""
    raise UsageError(f"`{name}` has {wrong} in it, which no command line can hold{given}")


def _is_encodable(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def _before_equals(key: str) -> str:
    name, equals, _ = key.partition("=")
    return name + equals


def _refuse(name: str, wanted: str, given: object) -> NoReturn:
    raise UsageError(f"`{name}` wants {wanted}, not {_shown(given)}")


def _kind(given: object) -> str:
    return "None" if given is None else type(given).__name__


def _shown(given: object) -> str:
    try:
        text = repr(given).encode(errors="backslashreplace").decode()
    except ValueError:  # a number with too many digits for Python to write
        text = ""
    return text if 0 < len(text) <= _LONGEST_SHOWN else f"a long {_kind(given)}"
