"""How a new machine comes about: its name, its options, its place in the store."""

from __future__ import annotations

from fake_smolvm.errors import CommandError
from fake_smolvm.machines import resources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host
    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.record import Record
    from fake_smolvm.machines.store import Store

LOCALHOST_ONLY = ("127.0.0.0/8", "::1/128")
"""What `--outbound-localhost-only` allows."""


def set_options(
    record: Record, matches: Matches, host: Host, paths: Paths
) -> tuple[Sequence[str], Sequence[str]]:
    """Take over what `create` and `run` have in common, the Smolfile included.

    Gives the volumes and the environment, still to be read. Raises CommandError for a Smolfile that
    cannot be used, and for a host of `--allow-host` that cannot be resolved.
    """
    set_network(record, matches, paths)
    record.image = matches["image"]
    record.cpus = matches["cpus"]
    record.mem = matches["mem"]
    record.storage_gb = matches["storage"]
    record.overlay_gb = matches["overlay"]
    record.ports = matches["port"]
    record.workdir = matches["workdir"]
    volumes: Sequence[str] = matches["volume"]
    env: Sequence[str] = matches["env"]
    if matches["smolfile"] is None:
        return volumes, env
    from fake_smolvm.machines import smolfile

    return smolfile.load(matches["smolfile"], host.cwd).merge_into(record, volumes, env)


def new_name(given: str | None) -> str:
    """The name of a new machine: the one given, else one made up."""
    if given is not None:
        return given
    from fake_smolvm.machines import names

    return names.generate()


def set_network(record: Record, matches: Matches, paths: Paths) -> None:
    """Set a record's network from `--net`, `--net-backend` and the options that restrict it.

    Raises CommandError for a host of `--allow-host` that cannot be resolved.
    """
    cidrs: list[str] = list(matches["allow_cidr"])
    for name in matches["allow_host"]:
        cidrs += _resolve(paths, name)
    if matches["outbound_localhost_only"]:
        cidrs += LOCALHOST_ONLY
    record.network = matches["net"] or bool(cidrs)
    record.network_backend = matches["net_backend"]
    record.allowed_cidrs = cidrs or None
    record.dns_filter_hosts = matches["allow_host"] or None


def _resolve(paths: Paths, name: str) -> list[str]:
    from fake_smolvm.guest.egress import ResolutionError, resolve

    try:
        return resolve(paths, name)
    except ResolutionError as error:
        raise CommandError(f"config operation failed: --allow-host: {error}") from None


def store_new(
    host: Host, paths: Paths, store: Store, record: Record, volumes: Sequence[str]
) -> None:
    """Check the name, then the volumes, store the record and say so: the end of every `create`.

    Raises CommandError; the machine is then not stored.
    """
    from fake_smolvm.machines import names
    from fake_smolvm.machines.store import MachineExistsError

    failed = "config operation failed: create machine: "
    fault = names.fault(record.name)
    if fault is not None:
        raise CommandError(failed + fault)
    exists = f"{failed}machine '{record.name}' already exists"
    if store.get(record.name) is not None:
        raise CommandError(exists)
    record.mounts = resources.parse_mounts(volumes, host.cwd)
    if record.gpu_vram_mib == 0:
        raise CommandError(
            f"{failed}gpu_vram: --gpu-vram must be a positive number of MiB; "
            "use a value >= 1 or omit the flag to get the default"
        )
    try:
        store.add(record)
    except MachineExistsError:
        from fake_smolvm.machines.hazards import note

        note(
            paths,
            "H9",
            command="machine create",
            machine=record.name,
            consequence="another create of that name won; both might have said created",
        )
        raise CommandError(exists) from None
    host.out(_created(record, volumes))


def _created(record: Record, volumes: Sequence[str]) -> str:
    name = record.name
    text = f"Created machine: {name}\n  CPUs: {record.cpus}, Memory: {record.mem} MiB\n"
    for label, items in (
        ("Mounts", volumes),
        ("Ports", record.ports),
        ("Init commands", record.init),
    ):
        if items:
            text += f"  {label}: {len(items)}\n"
    return (
        f"{text}\nUse 'smolvm machine start --name {name}' to start the machine\n"
        f"Then use 'smolvm machine exec --name {name} -- <command>' to run commands\n"
    )
