"""How a machine starts: boots, and on its first start is prepared."""

from __future__ import annotations

import os

from fake_smolvm.errors import CommandError
from fake_smolvm.machines import lifecycle, resources
from fake_smolvm.machines.boot import begin_boot
from fake_smolvm.operations.connection import pull, recover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.host import Host
    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.record import Record
    from fake_smolvm.machines.store import Store


def start(host: Host, paths: Paths, store: Store, record: Record) -> None:
    """Start the machine of a record and say so; one that runs is left alone.

    Raises CommandError when it does not start; its process is then gone and its record unchanged.
    """
    name = record.name
    state = lifecycle.state_of(paths, record)
    if state == "running":
        suffix = "" if record.pid is None else f" (PID: {record.pid})"
        host.out(f"Machine '{name}' already running{suffix}\n")
        return
    if state == "unreachable":
        recover(host, paths, store, record)
    _warn_of_unresolved(host, paths, record)
    _check_ports(store, record)
    try:
        resources.Disks(paths, name, storage_gb=record.storage_gb, overlay_gb=record.overlay_gb)
    except CommandError as error:
        raise CommandError(
            f"agent operation failed: create agent manager: {error.message}"
        ) from None
    mounts = f" with {len(record.mounts)} mount(s)" if record.mounts else ""
    ports = f" and {len(record.ports)} port mapping(s)" if record.ports else ""
    host.err(f"Starting machine '{name}'{mounts}{ports}...\n")
    if record.ssh_agent and "SSH_AUTH_SOCK" not in host.env:
        raise CommandError(
            "config operation failed: ssh-agent: SSH_AUTH_SOCK is not set. "
            "Start an SSH agent with: eval $(ssh-agent) && ssh-add"
        )
    without_layers = _unpack_artifact(paths, record)
    try:
        resources.check(record, host.err)
        boot = begin_boot(paths, name, virtual=host.in_process)
    except CommandError as error:
        raise CommandError(f"agent operation failed: start machine: {error.message}") from None
    with boot:
        process = boot.run()
        _check_mounts(record)
        _prepare(host, paths, store, record, without_layers)
        lifecycle.set_running(store, name, process)
    host.out(f"Machine '{name}' running (PID: {process.pid})\n")


def _warn_of_unresolved(host: Host, paths: Paths, record: Record) -> None:
    for name in record.dns_filter_hosts or ():
        from fake_smolvm.guest.egress import ResolutionError, resolve

        try:
            resolve(paths, name)
        except ResolutionError as error:
            host.err(f"Warning: could not resolve '{name}' for egress policy: {error}\n")


def _check_ports(store: Store, record: Record) -> None:
    if not record.ports:
        return
    others = (
        other
        for other in store.all()
        if other.name != record.name and lifecycle.recorded_state(other) == "running"
    )
    used = resources.port_in_use(record.ports, others)
    if used is not None:
        raise CommandError(
            f"config operation failed: start machine: host port {used[0]} is already in use by "
            f"running machine '{used[1]}'"
        )


def _check_mounts(record: Record) -> None:
    """A guest whose volume is gone from the host never becomes ready (0.8.0, vm.jsonl part g)."""
    if all(os.path.isdir(source) for source, _, _ in record.mounts):
        return
    raise CommandError(
        "agent operation failed: start machine: agent operation failed: wait for ready: "
        "agent did not become ready within 30 seconds"
    )


def _unpack_artifact(paths: Paths, record: Record) -> str:
    """Unpack the artifact that a machine was made from; why its image cannot be run, or ""."""
    if record.source_smolmachine is None:
        return ""
    from fake_smolvm.artifacts.root import prepare_start

    return prepare_start(paths, record)


def _prepare(host: Host, paths: Paths, store: Store, record: Record, without_layers: str) -> None:
    """Pull the image and run the init commands, on the first start; then start the workload."""
    if not record.init_completed:
        if record.image is not None and record.source_smolmachine is None:
            host.err(f"Pulling {record.image}...\n")
            pull(host, record.image, network=record.network)
        _run_init(host, paths, record, without_layers)
        if record.init or record.image is not None:
            store.update(record.name, _set_init_completed)
    elif record.init:
        host.out(f"Init already completed, skipping {len(record.init)} command(s)\n")
    _start_workload(host, paths, record, without_layers)


def _set_init_completed(record: Record) -> None:
    record.init_completed = True


def _run_init(host: Host, paths: Paths, record: Record, without_layers: str) -> None:
    if not record.init:
        return
    host.out(f"Running {len(record.init)} init command(s)...\n")
    if without_layers:
        raise CommandError(f"agent operation failed: run command: {without_layers}")
    for index, command in enumerate(record.init):
        from fake_smolvm.operations.in_guest import run_in_guest

        result = run_in_guest(host, paths, record, ["sh", "-c", command])
        if result.exit_code != 0:
            said = result.stdout.decode(errors="replace").strip()
            complained = result.stderr.decode(errors="replace").strip()
            reason = f"stdout: {said}" if said and complained else said
            shown = "; ".join([text for text in (complained, reason) if text])
            raise CommandError(
                f"agent operation failed: init: init[{index}] failed (exit {result.exit_code})"
                + (f": {shown}" if shown else "")
            )


def _start_workload(host: Host, paths: Paths, record: Record, without_layers: str) -> None:
    argv = [*record.entrypoint, *record.cmd]
    if not argv:
        return
    if record.image is not None:
        if without_layers:
            raise CommandError(
                "agent operation failed: start background CMD: agent operation failed: "
                f"run container detached: {without_layers}"
            )
        from fake_smolvm.operations.in_guest import start_in_guest

        start_in_guest(host, paths, record, argv)
        return
    from fake_smolvm.operations.in_guest import run_in_guest

    result = run_in_guest(host, paths, record, argv)
    host.stdout.write(result.stdout)
    host.stdout.flush()
    host.stderr.write(result.stderr)
    host.stderr.flush()
    if result.exit_code != 0:
        host.err(f"workload exited with code {result.exit_code}\n")
