"""A command that smolvm itself runs in a machine, as its record has it."""

from __future__ import annotations

import os

from fake_smolvm.errors import CommandError
from fake_smolvm.guest.kinds import defaults, of
from fake_smolvm.guest.protocol import ConnectionLostError, SpawnError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from fake_smolvm.guest.protocol import GuestResult
    from fake_smolvm.host import Host
    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.record import Record


def run_in_guest(
    host: Host,
    paths: Paths,
    record: Record,
    argv: Sequence[str],
    *,
    timeout: int | None = None,
) -> GuestResult:
    """Run a command in a machine, with the environment and the folder of its record.

    `timeout` is in seconds. Raises CommandError, worded as 0.8.0's, when it cannot be started.
    """
    guest = of(host, paths, record)
    env, workdir = defaults(paths, record)
    try:
        return guest.run(argv, env=env, workdir=workdir, timeout=timeout)
    except SpawnError as error:
        raise CommandError(f"agent operation failed: vm exec: {_spawn_text(error)}") from None
    except ConnectionLostError:
        raise CommandError("io operation failed: connection closed") from None


def start_in_guest(host: Host, paths: Paths, record: Record, argv: Sequence[str]) -> None:
    """Start the workload of a machine; raises CommandError when it cannot be started."""
    guest = of(host, paths, record)
    env, workdir = defaults(paths, record)
    try:
        guest.start(argv, env, workdir)
    except SpawnError as error:
        raise CommandError(f"agent operation failed: vm exec: {_spawn_text(error)}") from None


def _spawn_text(error: SpawnError) -> str:
    """Return why a command was not started, as the agent does."""
    return f"failed to spawn command: {os.strerror(error.errno)} (os error {error.errno})"
