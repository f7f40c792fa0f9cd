"""Smolfiles: a machine described in TOML, and how it joins with what the command line says."""

from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING

from fake_smolvm.errors import CommandError, os_error_text
from fake_smolvm.machines.record import DEFAULT_CPUS, DEFAULT_MEMORY_MIB
from fake_smolvm.rust.std import WHITE_SPACE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from fake_smolvm.machines.record import Record
    from fake_smolvm.rust.toml_mistakes import Span
    from fake_smolvm.rust.toml_tables import Node

_U8, _U16, _U32, _U64 = (2**bits - 1 for bits in (8, 16, 32, 64))
_LIST = "a list of strings"
_TEXT = "a string"
_SWITCH = "a boolean"
_NUMBERS = {"u8": _U8, "u16": _U16, "u32": _U32, "u64": _U64 // 2}
"""The largest of each kind; TOML itself knows none above 64 bits with a sign."""


_ARTIFACT = (
    "ArtifactConfig",
    {"cpus": "u8", "memory": "u32", "entrypoint": _LIST, "cmd": _LIST, "oci_platform": _TEXT},
)
_SECTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "artifact": _ARTIFACT,
    "pack": _ARTIFACT,
    "dev": (
        "DevConfig",
        {"volumes": _LIST, "env": _LIST, "init": _LIST, "workdir": _TEXT, "ports": _LIST},
    ),
    "network": ("NetworkConfig", {"allow_hosts": _LIST, "allow_cidrs": _LIST}),
    "health": (
        "HealthConfig",
        {
            "exec": _LIST,
            "interval": _TEXT,
            "timeout": _TEXT,
            "retries": "u32",
            "startup_grace": _TEXT,
        },
    ),
    "restart": ("RestartConfig", {"policy": _TEXT, "max_retries": "u32", "max_backoff": _TEXT}),
    "auth": ("AuthConfig", {"ssh_agent": _SWITCH}),
    "service": ("ServiceConfig", {"port": "u16", "protocol": _TEXT, "listen": "u16"}),
}
_FIELDS = {
    "image": _TEXT,
    "entrypoint": _LIST,
    "cmd": _LIST,
    "env": _LIST,
    "workdir": _TEXT,
    "cpus": "u8",
    "memory": "u32",
    "net": _SWITCH,
    "gpu": _SWITCH,
    "gpu_vram": "u32",
    "storage": "u64",
    "overlay": "u64",
    "ports": _LIST,
    "volumes": _LIST,
    "init": _LIST,
    **{section: section for section in _SECTIONS},
}
"""Every field of a Smolfile: what it holds, or the section that it is."""


def load(path: str, cwd: str) -> Smolfile:
    """Read the Smolfile at `path`, relative to `cwd`.

    Raises:
        CommandError: If it cannot be read or is no Smolfile, in 0.8.0's words.
    """
    failed = "config operation failed: load smolfile: failed to"
    try:
        with open(os.path.join(cwd, path), "rb") as file:
            raw = file.read()
        text = raw.decode()
    except OSError as error:
        raise CommandError(f"{failed} read {path}: {os_error_text(error)}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{failed} read {path}: stream did not contain valid UTF-8") from None
    try:
        values = tomllib.loads(text.removeprefix("\ufeff"))
        _check(values, None)
    except (ValueError, RecursionError, _MistakenError) as error:
        raise CommandError(f"{failed} parse {path}: {_worded(raw, error)}") from None
    return Smolfile(values)


class Smolfile:
    """What a Smolfile says; a section or a field that it does not have is empty."""

    __slots__ = ("data", "sections")

    def __init__(self, values: dict[str, Any]) -> None:
        self.data = values
        """The checked TOML itself."""
        self.sections: dict[str, dict[str, Any]] = {
            name: _as_table(values[name], fields) if name in values else {}
            for name, (_, fields) in _SECTIONS.items()
        }

    def merge_into(
        self, record: Record, volumes: Sequence[str], env: Sequence[str]
    ) -> tuple[list[str], list[str]]:
        """Add what the file says to what the command line said, which wins.

        Lists are the file's, then the command line's; `cmd` is one or the other. `volumes` and
        `env` are those of the command line; all of them are returned.

        Raises:
            CommandError: For a port, a network or a restart policy that is none.
        """
        file, dev = self.data, self.sections["dev"]
        record.image = _either(record.image, file.get("image"))
        record.entrypoint = record.entrypoint or file.get("entrypoint", ())
        record.cmd = record.cmd or file.get("cmd", ())
        record.ports = [*self._ports(), *record.ports]
        record.init = [*(dev.get("init") or file.get("init", ())), *record.init]
        record.workdir = _either(record.workdir, dev.get("workdir"), file.get("workdir"))
        if record.cpus == DEFAULT_CPUS:
            record.cpus = file.get("cpus", DEFAULT_CPUS)
        if record.mem == DEFAULT_MEMORY_MIB:
            record.mem = file.get("memory", DEFAULT_MEMORY_MIB)
        record.storage_gb = _either(record.storage_gb, file.get("storage"))
        record.overlay_gb = _either(record.overlay_gb, file.get("overlay"))
        record.gpu = file.get("gpu") or None
        record.gpu_vram_mib = file.get("gpu_vram")
        record.ssh_agent = self.sections["auth"].get("ssh_agent", False)
        self._merge_network(record)
        self._merge_health(record)
        all_env = [*file.get("env", ()), *dev.get("env", ()), *env]
        all_volumes = [*(dev.get("volumes") or file.get("volumes", ())), *volumes]
        return all_volumes, [spec.strip(WHITE_SPACE) for spec in all_env]

    def _ports(self) -> list[tuple[int, int]]:
        from fake_smolvm.grammars.value_parsers import port_mapping

        specs = self.sections["dev"].get("ports") or self.data.get("ports", ())
        try:
            return [port_mapping(spec) for spec in specs]
        except ValueError as error:
            raise CommandError(f"config operation failed: smolfile ports: {error}") from None

    def _merge_network(self, record: Record) -> None:
        from fake_smolvm.grammars.value_parsers import cidr

        network = self.sections["network"]
        try:
            cidrs = [cidr(spec) for spec in network.get("allow_cidrs", ())]
        except ValueError as error:
            raise CommandError(
                f"config operation failed: smolfile [network] allow_cidrs: {error}"
            ) from None
        cidrs += record.allowed_cidrs or ()
        hosts = network.get("allow_hosts") or ()
        record.allowed_cidrs = cidrs or None
        record.dns_filter_hosts = [*hosts, *(record.dns_filter_hosts or ())] or None
        record.network = bool(record.network or self.data.get("net") or cidrs or hosts)

    def _merge_health(self, record: Record) -> None:
        restart, health = self.sections["restart"], self.sections["health"]
        if "policy" in restart:
            record.restart_policy = restart_policy(restart["policy"], "smolfile [restart] policy")
        record.restart_max_retries = restart.get("max_retries", 0)
        record.restart_max_backoff_secs = _seconds(restart.get("max_backoff")) or 0
        record.health_cmd = health.get("exec") or None
        record.health_interval_secs = _seconds(health.get("interval"))
        record.health_timeout_secs = _seconds(health.get("timeout"))
        record.health_retries = health.get("retries")
        record.health_startup_grace_secs = _seconds(health.get("startup_grace"))


def restart_policy(text: str, where: str) -> RestartPolicy:
    """Read a restart policy.

    Raises:
        CommandError: For what is none, with `where` it stood.
    """
    policies: dict[str, RestartPolicy] = {
        "never": "never",
        "always": "always",
        "on-failure": "on-failure",
        "onfailure": "on-failure",
        "unless-stopped": "unless-stopped",
        "unlessstopped": "unless-stopped",
    }
    policy = policies.get(text.lower())
    if policy is None:
        raise CommandError(f"config operation failed: {where}: invalid restart policy: {text}")
    return policy


class _MistakenError(Exception):
    """A value is not what its field holds."""

    def __init__(self, message: str, span: Span | None) -> None:
        super().__init__(message)
        self.message = message
        self.span = span


def _worded(raw: bytes, error: Exception) -> str:
    """Return what 0.8.0 says of a text that was refused with `error`."""
    from fake_smolvm.rust.toml import parse
    from fake_smolvm.rust.toml_mistakes import TomlError, report

    try:
        places = parse(raw)
        _check(tomllib.loads(raw.decode().removeprefix("\ufeff")), places)
    except TomlError as fault:
        return str(fault)
    except _MistakenError as mistaken:
        return report(raw, mistaken.span or (0, 0), mistaken.message)
    except (ValueError, RecursionError):
        pass
    return f"{error}\n"


def _check(values: dict[str, Any], places: Node | None) -> None:
    """Raise _MistakenError for the first thing in a Smolfile that has no place there."""
    _check_fields(values, places, _FIELDS)


def _check_fields(values: dict[str, Any], places: Node | None, fields: dict[str, str]) -> None:
    for name in values if places is None else places.items:
        key, place = (None, None) if places is None else places.items[name]
        if name not in fields:
            raise _MistakenError(f"unknown field `{name}`, expected {_one_of(fields)}", key)
        try:
            _check_value(values[str(name)], place, fields[str(name)])
        except _MistakenError as mistaken:
            mistaken.span = mistaken.span or key
            raise


def _check_value(value: Any, place: Node | None, kind: str) -> None:
    if kind in _SECTIONS:
        _check_section(value, place, kind)
    elif kind == _LIST:
        if not isinstance(value, list):
            raise _unlike(value, place, "a sequence")
        for index, item in enumerate(value):
            _check_value(item, None if place is None else place.items[index][1], _TEXT)
    elif kind in _NUMBERS:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _unlike(value, place, kind)
        if not 0 <= value <= _NUMBERS[kind]:
            raise _unlike(value, place, kind, "value")
    elif not isinstance(value, bool if kind == _SWITCH else str):
        raise _unlike(value, place, kind)


def _check_section(value: Any, place: Node | None, section: str) -> None:
    name, fields = _SECTIONS[section]
    if isinstance(value, dict):
        _check_fields(value, place, fields)
    elif isinstance(value, list):
        # A list is taken for the fields in their order; what has no default must be there.
        for index, kind in enumerate(fields.values()):
            if index < len(value):
                _check_value(value[index], None if place is None else place.items[index][1], kind)
            elif kind != _LIST:
                plural = "" if len(fields) == 1 else "s"
                raise _MistakenError(
                    f"invalid length {index}, expected struct {name} with {len(fields)} "
                    f"element{plural}",
                    None if place is None else place.span,
                )
    else:
        raise _unlike(value, place, f"struct {name}")


def _as_table(value: Any, fields: dict[str, str]) -> dict[str, Any]:
    return value if isinstance(value, dict) else dict(zip(fields, value, strict=False))


def _unlike(value: Any, place: Node | None, expected: str, wrong: str = "type") -> _MistakenError:
    return _MistakenError(
        f"invalid {wrong}: {described(value)}, expected {expected}",
        None if place is None else place.span,
    )


def described(value: Any) -> str:
    """Name a TOML value as serde does in "invalid type: …"."""
    if isinstance(value, bool):
        return f"boolean `{str(value).lower()}`"
    if isinstance(value, int):
        return f"integer `{value}`"
    if isinstance(value, float):
        shown = repr(value) if value == value else "NaN"  # noqa: PLR0124
        return f"floating point `{shown}`"
    if isinstance(value, str):
        from fake_smolvm.rust.std import debug

        return f"string {debug(value)}"
    return "sequence" if isinstance(value, list) else "map"


def _one_of(fields: dict[str, str]) -> str:
    names = [f"`{name}`" for name in fields]
    if len(names) == 1:
        return names[0]
    return " or ".join(names) if len(names) == 2 else f"one of {', '.join(names)}"  # noqa: PLR2004


def _either(*values: Any) -> Any:
    """Return the first that is there."""
    return next((value for value in values if value is not None), None)


def _seconds(text: str | None) -> int | None:
    """Read a duration of a Smolfile ("10s", "5m", "2h", "7") in seconds; None for what is none."""
    if text is None:
        return None
    text = text.strip(WHITE_SPACE)
    unit = {"s": 1, "m": 60, "h": 3600}.get(text[-1:])
    digits = (text[:-1] if unit else text).removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        return None
    digits = digits.lstrip("0") or "0"
    if len(digits) > len(str(_U64)) or int(digits) > _U64:
        return None
    return int(digits) * (unit or 1) % 2**64


if TYPE_CHECKING:
    from fake_smolvm.machines.record import RestartPolicy
