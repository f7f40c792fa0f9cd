"""What a machine is made of: CPUs, memory, disks, mounts, ports; checked in 0.8.0's words."""

from __future__ import annotations

import os
import sys

from fake_smolvm.errors import CommandError, os_error_text
from fake_smolvm.machines.paths import read_small
from fake_smolvm.machines.record import DEFAULT_OVERLAY_GIB, DEFAULT_STORAGE_GIB

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.record import Mount, Port, Record

MAX_CPUS = 16
"""What the hypervisor gives at most; more may be asked for."""

_MIN_MEMORY_MIB = 64
_GIB = 1024**3

_PROTECTED = (
    {
        "/": False,
        "/private/var": False,
        "/private/var/run": True,
        "/private/var/log": True,
        "/private/etc": True,
        "/usr": True,
        "/bin": True,
        "/sbin": True,
        "/lib": True,
        "/System": True,
        "/Library": True,
    }
    if sys.platform == "darwin"
    else {
        "/": False,
        "/var": False,
        "/var/run": True,
        "/var/log": True,
        "/etc": True,
        "/usr": True,
        "/bin": True,
        "/sbin": True,
        "/lib": True,
        "/proc": True,
        "/sys": True,
        "/dev": True,
        "/run": True,
    }
)
"""Host folders that are never mounted; True: nor is anything below them."""


def check(record: Record, warn: Callable[[str], None]) -> None:
    """Check CPUs, memory and disk sizes; `warn` gets a warning about too many CPUs.

    Raises:
        CommandError: For what no machine can have.
    """
    failed = "config operation failed: validate resources: "
    if record.cpus < 1:
        raise CommandError(f"{failed}CPU count must be at least 1")
    if record.cpus > MAX_CPUS:
        warn(
            f"warning: requested {record.cpus} vCPUs but the hypervisor supports at most "
            f"{MAX_CPUS}; the VM will run with {MAX_CPUS} vCPUs\n"
        )
    if record.mem < _MIN_MEMORY_MIB:
        raise CommandError(
            f"{failed}memory must be at least {_MIN_MEMORY_MIB} MiB (got {record.mem} MiB)"
        )
    if record.storage_gb == 0:
        raise CommandError(f"{failed}storage disk size must be greater than 0 GiB")
    if record.overlay_gb == 0:
        raise CommandError(f"{failed}overlay disk size must be greater than 0 GiB")


def check_network_backend(record: Record) -> None:
    """Raise CommandError for a backend that cannot do what the machine's network asks."""
    if record.network_backend != "virtio-net":
        return
    failed = "config operation failed: --net-backend: "
    policy = bool(record.allowed_cidrs or record.dns_filter_hosts)
    if not (record.network or record.ports or policy):
        raise CommandError(f"{failed}--net-backend virtio-net requires --net")
    if policy:
        raise CommandError(
            f"{failed}allow-cidr/allow-host policies are not supported by the current "
            "virtio-net implementation"
        )


def duplicate_host_port(ports: Iterable[Port]) -> str | None:
    """Return what 0.8.0 says of a host port that is mapped twice; None if there is none."""
    seen: set[int] = set()
    for host, _ in ports:
        if host in seen:
            return f"duplicate host port {host}: each host port can only be mapped once"
        seen.add(host)
    return None


def parse_mounts(specs: Iterable[str], cwd: str) -> list[Mount]:
    """Read `HOST:GUEST[:ro|:rw]`; host folders come out absolute, links resolved.

    `cwd` is what a relative host folder is relative to.

    Raises:
        CommandError: For the first bad one.
    """
    return [_parse_mount(spec, cwd) for spec in specs]


def _parse_mount(spec: str, cwd: str) -> Mount:
    parts = spec.split(":")
    if len(parts) not in (2, 3) or parts[2:] not in ([], ["ro"], ["rw"]):
        raise CommandError(
            f"invalid mount path: invalid format '{spec}' (expected host:guest[:ro|:rw])"
        )
    source, target = parts[:2]
    there = os.path.join(cwd, source)
    if not source or not os.path.exists(there):
        raise CommandError(f"mount source not found: {source}")
    failed = "mount operation failed: validate"
    if not os.path.isdir(there):
        raise CommandError(
            f"{failed} host path: source path on host must be a directory (virtiofs limitation): "
            f"{source}"
        )
    real = os.path.realpath(there)
    for folder, subtree in _PROTECTED.items():
        if real == folder or (subtree and real.startswith(folder + "/")):
            raise CommandError(
                f"{failed} host path: source path on host is a protected system path and cannot be "
                f"mounted: {real}"
            )
    if not target.startswith("/"):
        raise CommandError(
            f"{failed} guest path: target path on guest should be an absolute directory: {target}"
        )
    return (real, target, parts[2:] == ["ro"])


def parse_env(specs: Iterable[str]) -> list[tuple[str, str]]:
    """Read `KEY=VALUE`; one without `=` or with an empty key is dropped."""
    pairs = []
    for spec in specs:
        key, equals, value = spec.partition("=")
        if key and equals:
            pairs.append((key, value))
    return pairs


def storage_size(record: Record) -> int:
    """GiB of a machine's storage disk, the default where none was given."""
    return DEFAULT_STORAGE_GIB if record.storage_gb is None else record.storage_gb


def overlay_size(record: Record) -> int:
    """GiB of a machine's overlay disk, the default where none was given."""
    return DEFAULT_OVERLAY_GIB if record.overlay_gb is None else record.overlay_gb


class Disks:
    """The sizes of the two disks in a machine's data directory, in bytes; made on the first look.

    0.8.0 makes sparse files of that size; here their sizes are kept in a small one. Sizes given
    later change nothing: only `grow` does.
    """

    __slots__ = ("_file", "overlay", "storage")

    def __init__(
        self,
        paths: Paths,
        name: str,
        *,
        storage_gb: int | None = None,
        overlay_gb: int | None = None,
    ) -> None:
        self._file = os.path.join(paths.make_machine_dir(name), "disks")
        try:
            storage, overlay = read_small(self._file).split()
            self.storage, self.overlay = int(storage), int(overlay)
        except (OSError, ValueError):
            self.storage = _new_disk("storage", storage_gb, DEFAULT_STORAGE_GIB)
            self.overlay = _new_disk("overlay", overlay_gb, DEFAULT_OVERLAY_GIB)
            self._save()

    def grow(self, kind: str, size_gb: int) -> None:
        """Make a disk larger.

        Raises:
            CommandError: If it is larger than that already.
        """
        size = size_gb * _GIB % 2**64
        current = self.storage if kind == "storage" else self.overlay
        if size == current:
            return
        failed = f"storage operation failed: expand {kind} disk: storage operation failed: "
        if size < current:
            raise CommandError(
                f"{failed}expand disk: new size ({size_gb} GiB) must be larger than current size "
                f"({current // _GIB} GiB). Shrinking is not supported."
            )
        if size > 2**63:
            raise CommandError(f"{failed}seek to expand: Invalid argument (os error 22)")
        if kind == "storage":
            self.storage = size
        else:
            self.overlay = size
        self._save()

    def _save(self) -> None:
        try:
            with open(self._file + ".new", "wb", buffering=0) as file:
                file.write(b"%d %d\n" % (self.storage, self.overlay))
            os.rename(self._file + ".new", self._file)
        except OSError as error:
            raise CommandError(
                f"storage operation failed: create sparse disk: {os_error_text(error)}"
            ) from None


def has_disks(paths: Paths, name: str) -> bool:
    """Tell whether a machine has disks yet; most commands that look a machine up make them."""
    return os.path.isfile(os.path.join(paths.machine_dir(name), "disks"))


def _new_disk(kind: str, size_gb: int | None, default_gb: int) -> int:
    if size_gb == 0:
        raise CommandError(
            f"config operation failed: validate {kind} size: disk size must be greater than 0 GiB"
        )
    size = (default_gb if size_gb is None else size_gb) * _GIB % 2**64
    if size > 2**63:
        raise CommandError(
            "storage operation failed: seek to create disk: Invalid argument (os error 22)"
        )
    return size


def expand_disks(
    paths: Paths, record: Record, storage_gb: int | None, overlay_gb: int | None
) -> list[tuple[str, int, int]]:
    """Grow the disks to the sizes given; what grew, as (kind, GiB before, GiB now).

    Raises:
        CommandError: If one would shrink.
    """
    wanted = [
        ("storage", storage_size(record), storage_gb),
        ("overlay", overlay_size(record), overlay_gb),
    ]
    for kind, before, now in wanted:
        if now is not None and now < before:
            raise CommandError(
                f"config operation failed: resize: {kind} disk cannot be shrunk from {before} GiB "
                f"to {now} GiB. Only expanding is supported to prevent data loss."
            )
    disks = Disks(paths, record.name)
    grown = []
    for kind, before, now in wanted:
        if now is not None and now > before:
            disks.grow(kind, now)
            grown.append((kind, before, now))
    return grown


def port_in_use(ports: Sequence[Port], others: Iterable[Record]) -> tuple[int, str] | None:
    """Return a host port of `ports` that one of `others` has, and that machine's name."""
    hosts = {host for host, _ in ports}
    for other in others:
        for host, _ in other.ports:
            if host in hosts:
                return host, other.name
    return None
