"""The user's settings: registries, their credentials and mirrors, in one TOML file.

A file where the real smolvm would have it is read, never written: what the fake itself writes lies
in its own state folder. A file that `$SMOLVM_CONFIG` names is both read and written, as asked.
"""

from __future__ import annotations

import os

from fake_smolvm.errors import CommandError, os_error_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from fake_smolvm.machines.paths import Paths

DEFAULT_REGISTRY = "docker.io"
_PLACE = ".config/smolvm/config.toml"
"""Where the file is in the user's home."""

EXAMPLE = """\
# Settings of smolvm, written by fake_smolvm. Take away the "# " of what you need.
#
# A registry's password can stand here ("password"), but is safer in an environment variable
# whose name stands here ("password_env").

# Registries of packed machines:
# [machines.defaults]
# registry = "registry.smolmachines.com"
#
# [machines.registries."registry.smolmachines.com"]
# username = "token"
# password_env = "MY_MACHINES_TOKEN"

# Registries of container images:
# [images.registries."ghcr.io"]
# username = "me"
# password_env = "MY_IMAGES_TOKEN"
# mirror = "mirror.example.com"
"""


class RegistryEntry:
    """What the settings say of one registry."""

    __slots__ = ("has_identity", "has_password", "mirror", "password_env", "username")

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.username: str | None = data.get("username")
        self.password_env: str | None = data.get("password_env")
        """Name of the environment variable that holds the password."""
        self.has_password = "password" in data
        """Whether a password stands in the file; which one, nobody needs to know."""
        self.has_identity = "identity_token" in data
        self.mirror: str | None = data.get("mirror")

    def sends_password_of_file(self, env: Mapping[str, str]) -> bool:
        """Tell whether the password in the file is the one that a request would carry."""
        return (
            self.has_password
            and self.username is not None
            and not self.has_identity
            and (self.password_env is None or self.password_env not in env)
        )


class Registries:
    """The registries of one kind: of packed machines, or of images."""

    __slots__ = ("default", "entries")

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.default: str = data.get("defaults", {}).get("registry", DEFAULT_REGISTRY)
        self.entries = {
            name: RegistryEntry(entry) for name, entry in data.get("registries", {}).items()
        }

    @property
    def mirrors(self) -> dict[str, str]:
        """The registries that are replaced by another, and by which."""
        return {
            name: entry.mirror for name, entry in self.entries.items() if entry.mirror is not None
        }


class Settings:
    """All settings; an empty mapping makes the defaults."""

    __slots__ = ("images", "machines")

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.machines = Registries(data.get("machines", {}))
        self.images = Registries(data.get("images", {}))


class SettingsFile:
    """The file of one user."""

    __slots__ = ("_paths", "path", "shown_path")

    def __init__(self, paths: Paths, cwd: str) -> None:
        """Find the file; `cwd` is what a relative `$SMOLVM_CONFIG` is relative to.

        Raises:
            CommandError: For an empty `$SMOLVM_CONFIG`, and where there is no home.
        """
        chosen = paths.env.get("SMOLVM_CONFIG")
        if chosen == "":
            raise CommandError(
                "config operation failed: resolve path:"
                " SMOLVM_CONFIG is set but empty; provide a full path or unset it"
            )
        if not (chosen or paths.has_home):
            raise CommandError("config operation failed: resolve path: no home directory found")
        real = os.path.join(paths.root, _PLACE)
        self.shown_path = chosen or os.path.join(paths.shown_root, _PLACE)
        """What 0.8.0 says the file's path is."""
        if chosen:
            self.path = os.path.join(cwd, chosen)
        elif os.path.exists(real):
            self.path = real
        else:
            self.path = os.path.join(paths.state, "config.toml")
        self._paths = paths

    def exists(self) -> bool:
        """Tell whether there is such a file."""
        return os.path.exists(self.path)

    def write_example(self) -> None:
        """Make the file, with examples that change nothing.

        Raises:
            CommandError: If it cannot be made.
        """
        try:
            self._paths.make_state()
        except CommandError as error:
            reason = error.message.rpartition(": ")[2]
            raise CommandError(f"io operation failed: {reason}") from None
        try:
            os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
            with open(self.path, "w", encoding="utf-8") as file:
                file.write(EXAMPLE)
        except OSError as error:
            raise CommandError(f"io operation failed: {os_error_text(error)}") from None

    def read(self) -> Settings:
        """Read the settings; without a file, the defaults.

        Raises:
            CommandError: For a file that cannot be read or is wrong.
        """
        if not self.exists():
            return Settings({})
        import tomllib

        try:
            with open(self.path, "rb") as file:
                raw = file.read()
            data = tomllib.loads(raw.decode().removeprefix("\ufeff"))
            mistake = _first_mistake(data, _SETTINGS, ())
        except OSError as error:
            raise self._failed("read", os_error_text(error)) from None
        except UnicodeDecodeError:
            raise self._failed("read", "stream did not contain valid UTF-8") from None
        except (ValueError, RecursionError) as error:
            raise self._failed("parse", _worded(raw, None) or f"{error}\n") from None
        if mistake is not None:
            raise self._failed("parse", _worded(raw, mistake))
        return Settings(data)

    def _failed(self, what: str, reason: str) -> CommandError:
        return CommandError(
            f"config operation failed: {what} config at {self.shown_path}: {reason}"
        )


class _Table:
    """What a table may hold: by key, or (`each`) under every key; other keys are ignored."""

    __slots__ = ("each", "fields", "name")

    def __init__(
        self, name: str, fields: Mapping[str, str | _Table], each: _Table | None = None
    ) -> None:
        self.name = name
        self.fields = fields
        self.each = each


_TEXT = "a string"
_NUMBER = "i64"
_REGISTRY = _Table(
    "struct RegistryEntry",
    {
        "username": _TEXT,
        "password": _TEXT,
        "password_env": _TEXT,
        "mirror": _TEXT,
        "identity_token": _TEXT,
        "refresh_token": _TEXT,
        "expires_at": _NUMBER,
    },
)
_REGISTRIES = _Table(
    "struct RegistryConfig",
    {
        "registries": _Table("a map", {}, each=_REGISTRY),
        "defaults": _Table("struct RegistryDefaults", {"registry": _TEXT}),
    },
)
_CLOUD = _Table(
    "struct CloudSection",
    {
        "endpoint": _TEXT,
        "api_key": _TEXT,
        "refresh_token": _TEXT,
        "token_expires_at": _NUMBER,
    },
)
_SETTINGS = _Table(
    "struct SmolSettings", {"cloud": _CLOUD, "machines": _REGISTRIES, "images": _REGISTRIES}
)


def _first_mistake(
    value: object, wanted: str | _Table, path: tuple[str, ...]
) -> tuple[tuple[str, ...], str] | None:
    """Find the first value, in the file's order, that is not what it should be: where, and why."""
    from fake_smolvm.machines.smolfile import described

    if isinstance(wanted, _Table):
        if isinstance(value, dict):
            for key, item in value.items():
                kind = wanted.each or wanted.fields.get(key)
                mistake = None if kind is None else _first_mistake(item, kind, (*path, key))
                if mistake is not None:
                    return mistake
            return None
    elif isinstance(value, str if wanted is _TEXT else int) and not isinstance(value, bool):
        return None
    expected = wanted.name if isinstance(wanted, _Table) else wanted
    return path, f"invalid type: {described(value)}, expected {expected}"


def _worded(raw: bytes, mistake: tuple[tuple[str, ...], str] | None) -> str:
    """Say what is wrong as 0.8.0 does, the line with it; "" if that cannot be told."""
    from fake_smolvm.rust.toml import parse
    from fake_smolvm.rust.toml_mistakes import TomlError, report

    try:
        place = parse(raw)
    except TomlError as error:
        return str(error)
    if mistake is None:
        return ""
    path, message = mistake
    for key in path:
        place = place.items[key][1]
    return report(raw, place.span or (0, 0), message)
