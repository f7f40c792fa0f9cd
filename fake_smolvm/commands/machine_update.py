"""`machine update`: changes the settings of a machine that does not run."""

from __future__ import annotations

import os

from fake_smolvm.errors import CommandError
from fake_smolvm.machines import lifecycle, resources
from fake_smolvm.operations.connection import open_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host
    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.record import Mount, Port, Record


def run(matches: Matches, host: Host) -> int:
    """Check every change before making any; then make all of them in one step."""
    paths, store = open_state(host)
    name: str = matches["name"]
    record = store.get(name)
    if record is None:
        raise CommandError(f"config operation failed: update: machine '{name}' not found")
    state = lifecycle.recorded_state(record)
    if state not in ("stopped", "created"):
        raise CommandError(f"invalid vm state: expected stopped, got {state.capitalize()}")
    mounts = _checked(record, matches, host)
    said = [
        f"{kind}: {before} GiB → {now} GiB"
        for kind, before, now in _grown_disks(paths, record, matches)
    ]

    def change(record: Record) -> None:
        _change_mounts(record, matches["remove_volume"], mounts, host.cwd, said)
        _change_ports(record, matches["remove_port"], matches["port"], said)
        _change_resources(record, matches, said)
        _change_network(record, matches, said)
        _change_env(record, matches["remove_env"], matches["env"], said)
        _change_rest(record, matches, said)

    store.update(name, change)
    if not said:
        host.out("No changes specified.\n")
        return 0
    lines = "".join([f"  {line}\n" for line in said])
    host.out(f"Updated machine '{name}':\n{lines}\n")
    host.out(f"Start with: smolvm machine start --name {name}\n")
    return 0


def _checked(record: Record, matches: Matches, host: Host) -> list[Mount]:
    """Check all but the disks; return the mounts to add. Raises CommandError."""
    _check_resources(record, matches, host)
    for spec in matches["env"]:
        key, equals, _ = spec.partition("=")
        if not (key and equals):
            raise CommandError(
                f"config operation failed: update: invalid env format '{spec}': expected KEY=VALUE"
            )
    mounts = resources.parse_mounts(matches["volume"], host.cwd)
    ports = _changed_ports(record.ports, matches["remove_port"], matches["port"])
    duplicate = resources.duplicate_host_port(ports)
    if duplicate is not None:
        raise CommandError(f"config operation failed: update: {duplicate}")
    return mounts


def _grown_disks(paths: Paths, record: Record, matches: Matches) -> list[tuple[str, int, int]]:
    if matches["storage"] is None and matches["overlay"] is None:
        return []
    return resources.expand_disks(paths, record, matches["storage"], matches["overlay"])


def _change_rest(record: Record, matches: Matches, said: list[str]) -> None:
    if matches["storage"] is not None:
        record.storage_gb = matches["storage"]
    if matches["overlay"] is not None:
        record.overlay_gb = matches["overlay"]
    if matches["workdir"] is not None:
        said.append(f"workdir: {matches['workdir']}")
        record.workdir = matches["workdir"]
    if matches["gpu"]:
        said.append("gpu: enabled")
        record.gpu = True
    if matches["no_gpu"]:
        said.append("gpu: disabled")
        record.gpu = False


def _check_resources(record: Record, matches: Matches, host: Host) -> None:
    proposed = type(record).from_row(record.to_row())
    if matches["cpus"] is not None:
        proposed.cpus = matches["cpus"]
    if matches["mem"] is not None:
        proposed.mem = matches["mem"]
    resources.check(proposed, host.err)


def _changed_ports(
    ports: Sequence[Port], removed: Sequence[Port], added: Sequence[Port]
) -> list[Port]:
    kept = [(host, guest) for host, guest in ports if (host, guest) not in removed]
    for port in added:
        if port not in kept:
            kept.append(port)
    return kept


def _change_ports(
    record: Record, removed: Sequence[Port], added: Sequence[Port], said: list[str]
) -> None:
    ports = [(host, guest) for host, guest in record.ports]
    for port in removed:
        if port in ports:
            ports = [kept for kept in ports if kept != port]
            said.append(f"removed port: {port[0]}:{port[1]}")
    for port in added:
        if port not in ports:
            ports.append(port)
            said.append(f"added port: {port[0]}:{port[1]}")
    record.ports = ports


def _change_mounts(
    record: Record, removed: Sequence[str], added: Sequence[Mount], cwd: str, said: list[str]
) -> None:
    mounts = [(host, guest, read_only) for host, guest, read_only in record.mounts]
    for spec in removed:
        host, colon, guest = spec.partition(":")
        there = os.path.join(cwd, host)
        known = {spec}
        if colon and host and os.path.exists(there):
            known.add(f"{os.path.realpath(there)}:{guest}")
        kept = [mount for mount in mounts if f"{mount[0]}:{mount[1]}" not in known]
        if len(kept) < len(mounts):
            mounts = kept
            said.append(f"removed volume: {spec}")
    for host, guest, read_only in added:
        if all(mount[:2] != (host, guest) for mount in mounts):
            mounts.append((host, guest, read_only))
            said.append(f"added volume: {host}:{guest}{':ro' if read_only else ''}")
    record.mounts = mounts


def _change_resources(record: Record, matches: Matches, said: list[str]) -> None:
    if matches["cpus"] is not None:
        said.append(f"cpus: {record.cpus} → {matches['cpus']}")
        record.cpus = matches["cpus"]
    if matches["mem"] is not None:
        said.append(f"memory: {record.mem} MiB → {matches['mem']} MiB")
        record.mem = matches["mem"]


def _change_network(record: Record, matches: Matches, said: list[str]) -> None:
    if matches["net"]:
        said.append("network: enabled")
        record.network = True
    if matches["no_net"]:
        said.append("network: disabled")
        record.network = False
        if record.allowed_cidrs is not None:
            said.append("cleared allow_cidrs")
            record.allowed_cidrs = None
        if record.dns_filter_hosts is not None:
            said.append("cleared dns_filter_hosts")
            record.dns_filter_hosts = None


def _change_env(
    record: Record, removed: Sequence[str], added: Sequence[str], said: list[str]
) -> None:
    env = [(key, value) for key, value in record.env]
    for key in removed:
        kept = [pair for pair in env if pair[0] != key]
        if len(kept) < len(env):
            env = kept
            said.append(f"removed env: {key}")
    for spec in added:
        key, _, value = spec.partition("=")
        env = [pair for pair in env if pair[0] != key]
        env.append((key, value))
        said.append(f"env: {key}={value}")
    record.env = env
