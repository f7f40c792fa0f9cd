"""`smolvm config registries show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fake_smolvm.errors import CommandError
from fake_smolvm.machines.paths import Paths
from fake_smolvm.machines.user_settings import Settings, SettingsFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host
    from fake_smolvm.machines.user_settings import RegistryEntry


def run(_matches: Matches, host: Host) -> int:
    """List the registries that the settings name; settings that cannot be read count as none."""
    file = None
    try:
        file = SettingsFile(Paths(host.env), host.cwd)
        settings = file.read()
    except CommandError:
        settings = Settings({})
    sections = [
        f"[{kind}] ({what}):\n\n{_listed(registries.entries, host.env)}"
        for kind, what, registries in (
            ("machines", "smolmachine artifact registries", settings.machines),
            ("images", "container image registries", settings.images),
        )
        if registries.entries
    ]
    if sections:
        host.out("\n".join(sections))
        return 0
    host.out("No registries configured.\n")
    if file is not None:
        host.out(
            f"\nTo configure registries, create: {file.shown_path}\n"
            "Or run: smolvm config registries init\n"
        )
    return 0


def _listed(entries: Mapping[str, RegistryEntry], env: Mapping[str, str]) -> str:
    lines = []
    for name, entry in entries.items():
        lines.append(f"  [{name}]")
        if entry.username is not None:
            lines.append(f"    username: {entry.username}")
        if entry.password_env is not None:
            status = "set" if entry.password_env in env else "NOT SET"
            lines.append(f"    password_env: {entry.password_env} ({status})")
        elif entry.has_password:
            lines.append("    password: <configured>")
        if entry.mirror is not None:
            lines.append(f"    mirror: {entry.mirror}")
        lines.append("")
    return "\n".join(lines) + "\n"
