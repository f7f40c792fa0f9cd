"""`smolvm config show`."""

from __future__ import annotations

from fake_smolvm.errors import CommandError
from fake_smolvm.machines.paths import Paths
from fake_smolvm.machines.record import DEFAULT_CPUS, DEFAULT_MEMORY_MIB
from fake_smolvm.machines.store import Store
from fake_smolvm.machines.user_settings import Registries, Settings, SettingsFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host
    from fake_smolvm.machines.user_settings import RegistryEntry

_DEFAULT_DNS = "1.1.1.1"


def run(_matches: Matches, host: Host) -> int:
    """Print the defaults and the registries; settings that cannot be read count as none."""
    paths = Paths(host.env)
    Store(paths).all()  # 0.8.0 reads the machines along with its defaults, and fails if it cannot.
    settings = Settings({})
    where = ""
    try:
        file = SettingsFile(paths, host.cwd)
        status = "configured" if file.exists() else "not configured (using defaults)"
        where = f"  Config file: {file.shown_path}\n  Status: {status}\n"
        settings = file.read()
    except CommandError:
        pass
    host.out(
        "Global Configuration:\n"
        f"  Default CPUs: {DEFAULT_CPUS}\n"
        f"  Default Memory: {DEFAULT_MEMORY_MIB} MiB\n"
        f"  Default DNS: {_DEFAULT_DNS}\n"
        "\n"
        "Settings:\n"
        f"{where}"
        "\n"
        "  [machines] (smolmachine artifact registries):\n"
        f"{_section(settings.machines, mirrors=False)}"
        "\n"
        "  [images] (container image registries):\n"
        f"{_section(settings.images, mirrors=True)}"
    )
    return 0


def _section(registries: Registries, *, mirrors: bool) -> str:
    lines = [
        f"    Default: {registries.default}\n",
        f"    Configured: {len(registries.entries)}\n",
    ]
    for name, entry in registries.entries.items():
        mirror = f" -> {entry.mirror}" if mirrors and entry.mirror is not None else ""
        lines.append(f"      {name}: {_authentication(entry)}{mirror}\n")
    return "".join(lines)


def _authentication(entry: RegistryEntry) -> str:
    if entry.username is None:
        return "no auth"
    if entry.password_env is not None:
        return "auth (env var)"
    return "auth (direct)" if entry.has_password else "no password"
