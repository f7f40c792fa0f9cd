"""What several commands on machines have in common."""

from __future__ import annotations

from fake_smolvm.errors import CommandError
from fake_smolvm.machines import lifecycle
from fake_smolvm.machines.agent import agent_of, end
from fake_smolvm.machines.paths import Paths
from fake_smolvm.machines.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.guest.images import Image
    from fake_smolvm.host import Host
    from fake_smolvm.machines.process import Process
    from fake_smolvm.machines.record import Record

DEFAULT_MACHINE = "default"
"""The machine that a command without a name is about."""


def open_state(host: Host) -> tuple[Paths, Store]:
    """The paths and the store of the host; clears away what killed `machine run`s left behind.

    A store that cannot be made or read shows at its first use.
    """
    paths = Paths(host.env)
    store = Store(paths)
    try:
        lifecycle.sweep(paths, store)
    except CommandError:
        pass
    return paths, store


def look_up(paths: Paths, name: str) -> None:
    """What 0.8.0 does to look a machine up by name, whether it exists or not.

    Leaves a data directory behind. Raises CommandError for a name that no machine can have.
    """
    from fake_smolvm.machines import names
    from fake_smolvm.machines.resources import Disks

    fault = names.fault(name)
    if fault is not None:
        raise CommandError(f"config operation failed: validate machine name: {fault}")
    Disks(paths, name)


def find(store: Store, name: str) -> Record | None:
    """The record of a machine; a store that cannot be read counts as empty, as `status` has it."""
    try:
        return store.get(name)
    except CommandError:
        return None


def connect(paths: Paths, store: Store, name: str | None) -> Process:
    """The process of the machine that `exec`, `cp` and `shell` work on; None: the default one.

    Raises CommandError when the machine is unknown or does not answer.
    """
    label = DEFAULT_MACHINE if name is None else name
    look_up(paths, label)
    process = agent_of(paths, label)
    if process is not None:
        return process
    record = find(store, label)
    if record is None:
        if name is None:
            raise CommandError(f"agent operation failed: connect: machine '{label}' not found")
        raise CommandError(f"vm not found: {label}")
    if lifecycle.recorded_state(record) == "running":
        store.update(label, _set_unreachable)
    option = "" if name is None else f" --name {label}"
    raise CommandError(
        f"agent operation failed: connect: machine '{label}' is not running. "
        f"Use 'smolvm machine start{option}' first."
    )


def recover(host: Host, paths: Paths, store: Store, record: Record) -> None:
    """End the process of a machine that does not answer, and say so."""
    process = lifecycle.process_of(record)
    if process is not None:
        end(paths, record.name, process)
    lifecycle.set_stopped(store, record.name)
    host.out(
        f"Machine '{record.name}' is unreachable (PID {record.pid or 0} alive but agent "
        "unresponsive); cleaning up.\n"
    )


def pull(host: Host, reference: str, *, network: bool) -> Image:
    """Fetch an image for a machine, as far as that can be seen.

    Raises CommandError when nobody provides the image, or the machine has no network to fetch it.
    """
    from fake_smolvm.guest import images

    host.err(f"Pulling image {reference}...")
    image = images.find(host.env, reference) if network else None
    host.err(f"\rPulling image {reference}... done.                              \n")
    if image is None:
        if network:
            images.check_known(host.env, reference)
        raise CommandError(f"agent operation failed: pull image: {images.pull_failure(reference)}")
    return image


def _set_unreachable(record: Record) -> None:
    record.state = "unreachable"
